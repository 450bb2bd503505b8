use drdrill_core::verdict::Verdict;

use super::*;
use crate::{Registers, StaleReads};

/// Written in milliseconds; key 3; the client does not matter.
fn one(access: Access, sent: u64, done: u64, epoch: u64) -> Answer {
    let (sent, done) = (At::from_millis(sent), At::from_millis(done));
    let operation = Operation { process: 0, key: 3, access, sent, done, outcome: Outcome::Ok };
    Answer { operation, epoch: Some(epoch) }
}

fn write(value: u64, sent: u64, epoch: u64) -> Answer {
    one(Access::Write(value), sent, sent + 1, epoch)
}

fn read(value: u64, sent: u64, epoch: u64) -> Answer {
    one(Access::Read(Some(value)), sent, sent + 1, epoch)
}

fn unknown(answer: Answer) -> Answer {
    let operation = Operation { outcome: Outcome::Indeterminate, ..answer.operation };
    Answer { operation, epoch: None }
}

/// Over at once.
const DISASTER: Disaster = Disaster {
    from: At::from_millis(100),
    at: At::from_millis(102),
    until: At::from_millis(103),
    decisive: false,
};

fn of(answers: &[Answer]) -> Succession {
    let found = Succession::of(answers, &[DISASTER], None);
    let mut backwards = answers.to_vec();
    backwards.reverse();
    assert_eq!(
        Succession::of(&backwards, &[DISASTER], None),
        found,
        "the order of a history never matters"
    );
    found
}

/// Whether each stretch can be that of a register.
fn verdict(found: &Succession) -> Verdict {
    let fails = found.stretches.iter().any(|stretch| Registers::judge(stretch).failing_keys > 0);
    if fails { Verdict::Fail } else { Verdict::Pass }
}

fn lost(found: &Succession) -> Vec<Option<u64>> {
    found.lost.iter().map(|lost| lost.write.value()).collect()
}

#[test]
fn the_last_values_before_a_disaster_may_be_lost_and_are_told() {
    let history =
        [write(1, 10, 1), read(1, 20, 1), write(2, 30, 1), read(2, 40, 1), write(3, 90, 1)];
    let after = [read(1, 200, 2), write(4, 210, 2), read(4, 220, 2)];
    let found = of(&[&history[..], &after[..]].concat());
    assert_eq!((found.stretches.len(), lost(&found)), (2, vec![Some(2), Some(3)]));
    assert_eq!(found.lost[0].shown, history[2].operation);
    assert_eq!(found.lost[0].disaster, DISASTER);
    assert_eq!((verdict(&found), found.returned.len()), (Verdict::Pass, 0));
}

#[test]
fn what_is_all_there_after_a_disaster_lost_nothing() {
    let found = of(&[write(1, 10, 1), write(2, 30, 1), read(2, 200, 2)]);
    assert_eq!((lost(&found), verdict(&found)), (vec![], Verdict::Pass));
}

#[test]
fn without_a_disaster_between_them_two_epochs_are_one_register() {
    // The second failover is after the disaster: it may lose nothing.
    let history = [write(1, 10, 1), read(1, 200, 2), write(2, 210, 2), read(1, 300, 3)];
    let found = of(&history);
    assert_eq!((found.stretches.len(), lost(&found)), (2, vec![]));
    assert_eq!(verdict(&found), Verdict::Fail);
    let stale = StaleReads::judge(&found.stretches[1]);
    assert_eq!(stale.worst.unwrap().read, history[3].operation);
}

#[test]
fn a_lost_value_that_comes_back_is_told_with_the_read_of_it() {
    let history =
        [write(1, 10, 1), write(2, 90, 1), read(1, 200, 2), write(3, 210, 2), read(2, 300, 3)];
    let found = of(&history);
    // It was not found at first, and is not lost.
    assert_eq!(lost(&found), []);
    let returned = Returned { read: history[4].operation, before: history[2].operation };
    assert_eq!(found.returned, [returned]);
}

#[test]
fn one_who_answers_after_a_newer_epoch_did_is_judged_by_what_that_one_has() {
    let history =
        [write(1, 10, 1), read(1, 200, 2), write(2, 210, 2), read(1, 220, 1), read(2, 230, 2)];
    let found = of(&history);
    assert_eq!(verdict(&found), Verdict::Fail);
    // Under way while the other took over: nobody can tell that it should not have answered.
    let history = [write(1, 10, 1), read(1, 200, 2), one(Access::Read(Some(1)), 199, 260, 1)];
    assert_eq!(verdict(&of(&history)), Verdict::Pass);
}

#[test]
fn a_write_of_unknown_outcome_may_take_effect_on_either_side_of_a_disaster() {
    let in_doubt = unknown(write(2, 99, 1));
    for value in [1, 2] {
        let found = of(&[write(1, 10, 1), in_doubt, read(value, 200, 2)]);
        assert_eq!((lost(&found), verdict(&found)), (vec![], Verdict::Pass), "{value}");
    }
    // Once it was read it is a value like any other.
    let found = of(&[write(1, 10, 1), in_doubt, read(2, 99, 1), read(1, 200, 2)]);
    assert_eq!(lost(&found), [Some(2)]);
    // It took effect late, and nothing of before is known to be gone.
    let found = of(&[write(1, 10, 1), in_doubt, write(3, 99, 1), read(2, 200, 2), read(2, 300, 2)]);
    assert_eq!((lost(&found), verdict(&found)), (vec![], Verdict::Pass));
}

#[test]
fn a_value_that_is_only_read_later_was_not_lost_and_nor_was_what_it_had_replaced() {
    let history = [write(8, 10, 1), write(9, 30, 1), write(10, 50, 1), write(11, 70, 1)];
    let after = [read(8, 200, 2), read(10, 300, 2)];
    let found = of(&[&history[..], &after[..]].concat());
    assert_eq!((lost(&found), found.returned.len()), (vec![Some(11)], 1));
}

#[test]
fn after_a_new_write_an_older_value_is_stale_and_tells_nothing_of_a_loss() {
    let history = [write(1, 10, 1), write(2, 90, 1), write(3, 200, 2), read(1, 210, 2)];
    let found = of(&history);
    assert_eq!((lost(&found), found.compared, verdict(&found)), (vec![], 0, Verdict::Fail));
    // Both at once: it may have been read before.
    let mut history = history;
    history[3].operation.sent = At::from_millis(200);
    let found = of(&history);
    assert_eq!((lost(&found), found.compared, verdict(&found)), (vec![Some(2)], 1, Verdict::Pass));
}

#[test]
fn only_registers_that_show_what_was_left_of_them_are_compared() {
    let other = |mut answer: Answer| {
        answer.operation.key = 4;
        answer
    };
    let history =
        [write(1, 10, 1), other(write(1, 20, 1)), read(1, 200, 2), other(write(2, 200, 2))];
    assert_eq!(of(&history).compared, 1);
    assert_eq!(of(&[write(1, 10, 1), write(2, 200, 2), read(2, 210, 2)]).compared, 0);
    assert_eq!(of(&[write(1, 10, 1), read(1, 20, 1)]).compared, 0, "nobody took over");
}

#[test]
fn a_disaster_that_lasts_may_cost_something_at_each_failover_but_not_on_the_way_back() {
    let history = [
        write(1, 10, 1),
        read(1, 200, 2),
        write(2, 210, 2),
        read(1, 300, 3),
        write(3, 310, 3),
        read(1, 400, 4),
    ];
    let lasting = Disaster { until: At::from_millis(350), ..DISASTER };
    let way_back = Some(At::from_millis(350));
    let found = Succession::of(&history, &[lasting], way_back);
    assert_eq!((found.stretches.len(), lost(&found)), (3, vec![Some(2)]));
    assert!(found.lost[0].again);
    // Epoch 4 took over on the way back: it reads what had been overwritten before.
    let stale = StaleReads::judge(&found.stretches[2]);
    assert_eq!(stale.worst.unwrap().read, history[5].operation);
    let over = Succession::of(&history, &[DISASTER], way_back);
    assert_eq!((over.stretches.len(), lost(&over)), (2, vec![]));
}

#[test]
fn of_two_disasters_a_loss_counts_from_the_one_that_decided() {
    let history = [write(1, 10, 1), write(2, 90, 1), read(1, 200, 2)];
    let of = |decisive| {
        let first = Disaster { decisive, ..DISASTER };
        let (from, at) = (At::from_millis(150), At::from_millis(152));
        let second = Disaster { from, at, until: at, decisive: false };
        Succession::of(&history, &[second, first], None).lost[0].disaster.from
    };
    assert_eq!((of(true), of(false)), (At::from_millis(100), At::from_millis(150)));
}

#[test]
fn a_register_that_is_empty_after_a_disaster_lost_everything() {
    let empty = one(Access::Read(None), 200, 201, 2);
    let found = of(&[write(1, 10, 1), write(2, 30, 1), empty]);
    assert_eq!((lost(&found), verdict(&found)), (vec![Some(1), Some(2)], Verdict::Pass));
}

#[test]
fn a_value_that_nobody_wrote_fails_in_its_stretch() {
    let found = of(&[write(1, 10, 1), read(1, 200, 2), read(9, 300, 2)]);
    assert_eq!(verdict(&found), Verdict::Fail);
    let mut failed = write(9, 20, 1);
    failed.operation.outcome = Outcome::Failed;
    let found = of(&[write(1, 10, 1), failed, read(1, 200, 2), read(9, 300, 2)]);
    assert_eq!(verdict(&found), Verdict::Fail);
}

#[test]
fn answers_that_do_not_say_who_gave_them_are_counted() {
    let silent = Answer { epoch: None, ..write(2, 90, 1) };
    let found = of(&[write(1, 10, 1), silent, read(2, 200, 2)]);
    assert_eq!((found.untold, lost(&found)), (1, vec![]));
}
