//! What holds for every history: the order in which it is given does not matter, what happens elsewhere does not
//! matter, and the checkers do not contradict each other.

#[path = "support/exhaustive.rs"]
mod exhaustive;

use std::collections::{BTreeMap, BTreeSet};

use drdrill_core::time::At;
use drdrill_core::verdict::Verdict;
use drdrill_histories::bank::{Rules, Snapshot, Transfer};
use drdrill_histories::split_brain::Acknowledgement;
use drdrill_histories::{
    Access, Bank, Books, KeyOrder, Operation, Outcome, Registers, SplitBrain, StaleReads,
};
use proptest::prelude::*;

fn outcomes() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        6 => Just(Outcome::Ok),
        1 => Just(Outcome::Failed),
        2 => Just(Outcome::Indeterminate),
    ]
}

fn times() -> impl Strategy<Value = (At, At)> {
    (0_u64..30, 0_u64..10).prop_map(|(sent, length)| (At(sent), At(sent + length)))
}

/// Operations of four clients on one key. Their values are unique: a write writes its own place.
fn operations(key: u32) -> impl Strategy<Value = Vec<Operation>> {
    let seen = prop_oneof![1 => Just(None), 5 => (0_u64..8).prop_map(Some)];
    let one = (0_u32..4, any::<bool>(), seen, times(), outcomes());
    prop::collection::vec(one, 0..9).prop_map(move |all| {
        let operation = |(place, (process, writes, seen, (sent, done), outcome))| {
            let access = if writes { Access::Write(place) } else { Access::Read(seen) };
            Operation { process, key, access, sent, done, outcome }
        };
        (0_u64..).zip(all).map(operation).collect()
    })
}

/// A history and the same in another order.
fn shuffled<T: Clone + std::fmt::Debug>(
    all: impl Strategy<Value = Vec<T>>,
) -> impl Strategy<Value = (Vec<T>, Vec<T>)> {
    all.prop_flat_map(|all| (Just(all.clone()), Just(all).prop_shuffle()))
}

/// Two keys, so that reports have more than one entry.
fn two_keys() -> impl Strategy<Value = Vec<Operation>> {
    (operations(0), operations(5)).prop_map(|(a, b)| [a, b].concat())
}

/// What happens on a key of its own, without fault.
const ELSEWHERE: [Operation; 2] = {
    let write = Operation {
        process: 9,
        key: 9,
        access: Access::Write(1),
        sent: At(3),
        done: At(4),
        outcome: Outcome::Ok,
    };
    [write, Operation { access: Access::Read(Some(1)), sent: At(5), done: At(6), ..write }]
};

fn acknowledgements() -> impl Strategy<Value = Vec<Acknowledgement<'static>>> {
    let site = prop::sample::select(vec!["east", "west", "north"]);
    let one = (site, 0_u64..4, times());
    let one =
        one.prop_map(|(site, epoch, (sent, done))| Acknowledgement { site, epoch, sent, done });
    prop::collection::vec(one, 0..8)
}

fn transfers() -> impl Strategy<Value = Vec<Transfer>> {
    let one = (0_u32..3, 0_u32..3, 1_u64..5, times(), outcomes());
    let one = one.prop_map(|(from, to, amount, (sent, done), outcome)| Transfer {
        process: 0,
        from,
        to,
        amount,
        sent,
        done,
        outcome,
    });
    prop::collection::vec(one, 0..5)
}

fn snapshots() -> impl Strategy<Value = Vec<Snapshot>> {
    let one = (prop::collection::vec(-1_i64..9, 3), any::<bool>(), times());
    let one = one.prop_map(|(balances, atomic, (sent, done))| Snapshot {
        process: 1,
        balances: (0..).zip(balances).collect(),
        atomic,
        sent,
        done,
    });
    prop::collection::vec(one, 0..6)
}

fn rules() -> impl Strategy<Value = Rules> {
    (prop::option::of(0_i128..30), any::<bool>()).prop_map(|(total, overdraft)| Rules {
        total,
        overdraft,
        accounts: BTreeSet::new(),
    })
}

/// Ids that were written.
type Written = Vec<(u64, Outcome)>;
/// Ids that a reading found, and whether they were intact.
type Found = Vec<(u64, bool)>;

/// Ids that were written, and what two readings found.
fn ids() -> impl Strategy<Value = (Written, [Found; 2])> {
    let written = prop::collection::btree_map(0_u64..40, outcomes(), 0..30);
    let found = || prop::collection::vec((0_u64..45, prop::bool::weighted(0.9)), 0..40);
    (written, found(), found()).prop_map(|(written, a, b)| (written.into_iter().collect(), [a, b]))
}

fn books(written: &[(u64, Outcome)], readings: &[Found]) -> Books {
    let mut books = Books::default();
    for (id, outcome) in written {
        books.write(*id, *outcome);
    }
    for found in readings {
        let mut reading = books.reading();
        for (id, intact) in found {
            reading.found(*id, *intact);
        }
        reading.end();
    }
    books
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..Default::default() })]

    #[test]
    fn shuffling_operations_changes_no_finding((history, other) in shuffled(two_keys())) {
        prop_assert_eq!(Registers::judge(&history), Registers::judge(&other));
        prop_assert_eq!(StaleReads::judge(&history), StaleReads::judge(&other));
        prop_assert_eq!(KeyOrder::judge(&history), KeyOrder::judge(&other));
    }

    #[test]
    fn what_happens_on_another_key_changes_no_finding(history in two_keys()) {
        let more = [&ELSEWHERE[..], &history].concat();
        let (before, after) = (Registers::judge(&history), Registers::judge(&more));
        prop_assert_eq!(&before.violations, &after.violations);
        prop_assert_eq!(&before.troubles, &after.troubles);
        prop_assert_eq!((before.keys + 1, before.reads + 1), (after.keys, after.reads));
        let (before, after) = (StaleReads::judge(&history), StaleReads::judge(&more));
        prop_assert_eq!((before.stale, before.worst), (after.stale, after.worst));
        let (before, after) = (KeyOrder::judge(&history), KeyOrder::judge(&more));
        prop_assert_eq!(before, after);
    }

    #[test]
    fn what_says_nothing_changes_no_finding(history in operations(0)) {
        prop_assume!(!history.is_empty());
        let silent = |outcome, access| Operation {
            process: 9, key: 0, access, sent: At(7), done: At(8), outcome,
        };
        let more = [
            &history[..],
            &[
                silent(Outcome::Failed, Access::Write(100)),
                silent(Outcome::Failed, Access::Read(None)),
                silent(Outcome::Indeterminate, Access::Read(None)),
                // It may take effect, and nobody ever saw it.
                silent(Outcome::Indeterminate, Access::Write(101)),
            ],
        ].concat();
        prop_assert_eq!(Registers::judge(&history), Registers::judge(&more));
        prop_assert_eq!(StaleReads::judge(&history), StaleReads::judge(&more));
        prop_assert_eq!(KeyOrder::judge(&history), KeyOrder::judge(&more));
    }

    #[test]
    fn zones_agree_with_trying_every_order(history in operations(0)) {
        let failed = Registers::judge(&history).verdict() == Verdict::Fail;
        prop_assert_eq!(failed, !exhaustive::is_linearizable(&history));
    }

    #[test]
    fn what_is_stale_or_out_of_order_is_no_register(history in two_keys()) {
        let stale = StaleReads::judge(&history).verdict() == Verdict::Fail;
        let disordered = KeyOrder::judge(&history).verdict() == Verdict::Fail;
        if stale || disordered {
            prop_assert_eq!(Registers::judge(&history).verdict(), Verdict::Fail);
        }
    }

    #[test]
    fn a_counterexample_is_no_register_on_its_own(history in operations(0)) {
        use drdrill_histories::registers::Reason;
        for violation in Registers::judge(&history).violations {
            let alone: Vec<Operation> = match violation.reason {
                Reason::NeverWritten { read } => vec![read],
                Reason::WriteFailed { read, write } | Reason::BeforeItsWrite { read, write } => {
                    vec![read, write]
                }
                Reason::Crossed { early, late, other_early, other_late } => {
                    // With the writes of both values, which may have been given up and never end.
                    let values = [late.value(), other_late.value()];
                    let writes = history.iter().filter(|one| {
                        matches!(one.access, Access::Write(_)) && values.contains(&one.value())
                            && one.outcome != Outcome::Failed
                    });
                    let mut all: Vec<Operation> = writes.copied().collect();
                    all.extend(early);
                    all.extend([late, other_early, other_late]);
                    all.sort_by_key(|one| (one.sent, one.done, one.process, one.access));
                    all.dedup();
                    all
                }
            };
            prop_assert!(!exhaustive::is_linearizable(&alone), "{violation}\n{alone:#?}");
        }
    }

    #[test]
    fn shuffling_acknowledgements_changes_no_finding((all, other) in shuffled(acknowledgements())) {
        prop_assert_eq!(SplitBrain::judge(&all), SplitBrain::judge(&other));
    }

    #[test]
    fn a_reign_that_touches_no_other_changes_no_finding(all in acknowledgements()) {
        let later = Acknowledgement { site: "south", epoch: 9, sent: At(900), done: At(901) };
        let mut more = all.clone();
        more.push(later);
        prop_assert_eq!(SplitBrain::judge(&all).conflicts, SplitBrain::judge(&more).conflicts);
    }

    #[test]
    fn shuffling_transfers_and_snapshots_changes_no_finding(
        rules in rules(),
        (transfers, other_transfers) in shuffled(transfers()),
        (snapshots, other_snapshots) in shuffled(snapshots()),
    ) {
        let found = Bank::judge(&rules, &transfers, &snapshots);
        let other = Bank::judge(&rules, &other_transfers, &other_snapshots);
        prop_assert_eq!(found.verdict(), other.verdict());
        prop_assert_eq!((found.compared, found.torn), (other.compared, other.torn));
        prop_assert_eq!(found.wrong_snapshots, other.wrong_snapshots);
    }

    #[test]
    fn a_transfer_that_was_over_or_refused_changes_no_finding(
        rules in rules(), transfers in transfers(), snapshots in snapshots(),
    ) {
        let after = Transfer {
            process: 5, from: 0, to: 1, amount: 3, sent: At(900), done: At(901), outcome: Outcome::Ok,
        };
        let refused = Transfer { sent: At(0), outcome: Outcome::Failed, ..after };
        let more = [&transfers[..], &[after, refused]].concat();
        let found = Bank::judge(&rules, &transfers, &snapshots);
        prop_assert_eq!(found, Bank::judge(&rules, &more, &snapshots));
    }

    #[test]
    fn the_books_are_what_sets_say((written, readings) in ids()) {
        let tally = books(&written, &readings).tally();
        let outcome: BTreeMap<u64, Outcome> = written.into_iter().collect();
        let is = |id: &u64, wanted| outcome.get(id) == Some(&wanted);
        let has = |reading: usize, id: u64| readings[reading].iter().any(|(one, _)| *one == id);
        let ever = |id: &u64| has(0, *id) || has(1, *id);
        let all = 0_u64..45;
        let pick = |rule: &dyn Fn(&u64) -> bool| all.clone().filter(|id| rule(id)).collect::<Vec<_>>();
        let same = |class: &drdrill_histories::accounting::Class, ids: Vec<u64>| {
            class.count == ids.len() as u64 && class.first[..] == ids[..ids.len().min(10)]
        };
        let ok = |id: &u64| is(id, Outcome::Ok);
        prop_assert!(same(&tally.lost, pick(&|id| ok(id) && !has(1, *id))));
        prop_assert!(same(&tally.resurrected, pick(&|id| ok(id) && !has(0, *id) && has(1, *id))));
        let failed = |id: &u64| is(id, Outcome::Failed);
        prop_assert!(same(&tally.refused, pick(&|id| failed(id) && ever(id))));
        prop_assert!(same(&tally.unsent, pick(&|id| !outcome.contains_key(id) && ever(id))));
        let corrupt = |id: &u64| readings.iter().flatten().any(|(one, intact)| one == id && !intact);
        prop_assert!(same(&tally.corrupt, pick(&corrupt)));
        let twice = |id: &u64| {
            readings.iter().any(|found| found.iter().filter(|(one, _)| one == id).count() > 1)
        };
        prop_assert!(same(&tally.duplicate, pick(&twice)));
        let maybe = |id: &u64| is(id, Outcome::Indeterminate);
        prop_assert_eq!(tally.recovered, pick(&|id| maybe(id) && ever(id)).len() as u64);
        prop_assert_eq!(tally.unresolved, pick(&|id| maybe(id) && !ever(id)).len() as u64);
    }

    #[test]
    fn one_more_write_that_is_there_changes_only_the_count((written, mut readings) in ids()) {
        let before = books(&written, &readings).tally();
        let mut more = written.clone();
        more.insert(written.len() / 2, (1_000, Outcome::Ok));
        for found in &mut readings {
            found.insert(found.len() / 2, (1_000, true));
        }
        let mut after = books(&more, &readings).tally();
        after.acknowledged -= 1;
        prop_assert_eq!(before, after);
    }

    #[test]
    fn the_order_of_ids_changes_nothing(
        ((written, other), (found, other_found)) in ids().prop_flat_map(|(written, [found, _])| {
            (shuffled(Just(written)), shuffled(Just(found)))
        })
    ) {
        let tally = books(&written, &[found]).tally();
        prop_assert_eq!(tally, books(&other, &[other_found]).tally());
    }
}
