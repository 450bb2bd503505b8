use drdrill_core::event::{Entry, Event};
use drdrill_core::probe::Purpose;
use drdrill_core::record::Record;
use drdrill_core::sample::{Decider, Deed, Outcome, Sample};
use drdrill_core::time::At;
use drdrill_core::units::Span;

use super::*;
use crate::checkers::testing::{Story, facts};

const REGISTERS: u16 = 1;
const BANK: u16 = 2;

/// A drill with the fault at 5.002 s and the DR site in charge from 7 s on, and what clients did.
struct Drill {
    story: Story,
    sequence: u64,
}

impl Drill {
    fn new(rpo: Option<Duration>) -> Self {
        let mut story = Story::recovered();
        let Event::DrillStarted(start) = &mut story.entries[0].event else { panic!() };
        start.streams.push(facts(REGISTERS, "register_write", Purpose::Workload));
        start.streams.push(facts(BANK, "balances", Purpose::Workload));
        start.environment.services[0].targets.rpo = rpo.map(Span);
        let mut drill = Self { story, sequence: 0 };
        drill.write(1, 1_000);
        drill.read(1, 1_100);
        drill
    }

    fn add(&mut self, stream: u16, deed: Deed, ms: u64, outcome: Outcome) {
        let (sent, done) = (At::from_millis(ms), At::from_millis(ms + 1));
        let (site, epoch) = if ms < 7_000 { ("primary", 1) } else { ("dr", 2) };
        let decider = outcome.is_ok().then(|| Decider { site: site.into(), epoch });
        let sequence = self.sequence;
        self.sequence += 1;
        let deed = Some(Box::new(deed));
        let sample = Sample { stream, sequence, due: sent, sent, done, outcome, decider, deed };
        self.story.entries.push(Entry { at: done, event: Event::Sample(sample) });
    }

    fn write(&mut self, value: u64, ms: u64) {
        self.add(REGISTERS, Deed::Write { key: 3, value }, ms, Outcome::Ok);
    }

    fn read(&mut self, value: u64, ms: u64) {
        self.add(REGISTERS, Deed::Read { key: 3, value: Some(value) }, ms, Outcome::Ok);
    }

    fn balances(&mut self, all: [i64; 2], ms: u64) {
        let balances = (0..).zip(all).collect();
        self.add(BANK, Deed::Balances { balances }, ms, Outcome::Ok);
    }

    fn record(&self) -> Record {
        crate::judge::judge(&self.story.entries).unwrap()
    }

    fn registers(&self) -> RegistersFound {
        let record = self.record();
        let found = record.services[0].consistency.clone().unwrap().registers.unwrap();
        let worst = Verdict::of([record.verdict]);
        assert!(worst >= found.verdict, "{:?}", record.reasons);
        found
    }
}

const TWO_SECONDS: Option<Duration> = Some(Duration::from_secs(2));

#[test]
fn a_drill_without_workloads_has_no_such_section() {
    let record = crate::judge::judge(&Story::recovered().entries).unwrap();
    assert_eq!(record.services[0].consistency, None);
}

#[test]
fn a_register_that_answers_as_one_passes() {
    let mut drill = Drill::new(TWO_SECONDS);
    drill.read(1, 8_000);
    drill.write(2, 8_100);
    drill.read(2, 8_200);
    let found = drill.registers();
    assert_eq!((found.verdict, found.reads, found.writes, found.lost), (Verdict::Pass, 3, 2, 0));
    assert_eq!(drill.record().verdict, Verdict::Pass);
}

#[test]
fn a_stale_read_after_the_failover_fails_the_drill_and_is_told_in_words() {
    let mut drill = Drill::new(TWO_SECONDS);
    drill.write(2, 7_900);
    drill.read(1, 8_200);
    let found = drill.registers();
    assert_eq!(
        (found.verdict, found.stale_reads, found.stale_for_ms),
        (Verdict::Fail, 1, Some(299.0))
    );
    let told = "a read of register 3 at 8.200 s, answered by dr, returned 1, which had been overwritten by 2 at 7.901 s, 299.0 ms before";
    assert_eq!(found.findings, [told]);
    let record = drill.record();
    assert_eq!(record.exit_code, 10);
    assert!(
        record.reasons[0].starts_with(&format!("app: registers: {told}")),
        "{:?}",
        record.reasons
    );
}

#[test]
fn what_the_failover_lost_within_the_objective_is_counted_and_no_failure() {
    let mut drill = Drill::new(TWO_SECONDS);
    drill.write(2, 4_900);
    drill.read(2, 4_950);
    drill.read(1, 8_000);
    let found = drill.registers();
    assert_eq!((found.verdict, found.lost, found.stale_reads), (Verdict::Pass, 1, 0));
    // F− 5.002 s, acknowledged at 4.901 s; F+ 5.003 s, sent at 4.900 s.
    assert_eq!((found.lost_at_least_ms, found.lost_at_most_ms), (Some(101.0), Some(103.0)));
    assert_eq!(drill.record().verdict, Verdict::Pass);
}

#[test]
fn what_the_failover_lost_beyond_the_objective_fails_and_at_its_border_nobody_knows() {
    let lose = |objective: u64| {
        let mut drill = Drill::new(Some(Duration::from_millis(objective)));
        drill.write(2, 4_900);
        drill.read(1, 8_000);
        drill.registers().verdict
    };
    assert_eq!(
        (lose(103), lose(102), lose(100), lose(0)),
        (Verdict::Pass, Verdict::Unknown, Verdict::Fail, Verdict::Fail)
    );
}

#[test]
fn a_lost_value_that_comes_back_fails() {
    let mut drill = Drill::new(TWO_SECONDS);
    drill.write(2, 4_900);
    drill.read(1, 8_000);
    drill.read(2, 9_000);
    let found = drill.registers();
    assert_eq!((found.verdict, found.returned), (Verdict::Fail, 1));
    assert!(
        found.findings[0]
            .starts_with("a read of register 3 at 9.000 s, answered by dr, returned 2"),
        "{found:?}"
    );
}

#[test]
fn a_value_that_nobody_wrote_fails_unless_the_history_was_cut_off() {
    let mut drill = Drill::new(TWO_SECONDS);
    drill.read(77, 4_000);
    let found = drill.registers();
    assert_eq!(found.verdict, Verdict::Fail);
    assert_eq!(
        found.findings,
        ["a read of register 3 at 4.000 s, answered by primary, returned 77, which nobody wrote"]
    );
    drill.story.entries.retain(|entry| !matches!(entry.event, Event::DrillFinished { .. }));
    assert_eq!(drill.registers().verdict, Verdict::Unknown);
}

#[test]
fn a_write_of_unknown_outcome_may_have_been_applied_and_a_failed_one_not() {
    let read_after = |outcome: Outcome| {
        let mut drill = Drill::new(TWO_SECONDS);
        drill.add(REGISTERS, Deed::Write { key: 3, value: 9 }, 3_000, outcome);
        drill.read(9, 4_000);
        drill.read(9, 8_000);
        drill.registers().verdict
    };
    assert_eq!(read_after(Outcome::Unknown("late".into())), Verdict::Pass);
    assert_eq!(read_after(Outcome::ProberError("late".into())), Verdict::Pass);
    assert_eq!(read_after(Outcome::Failed("refused".into())), Verdict::Fail);
}

#[test]
fn where_answers_do_not_say_who_decided_a_loss_cannot_be_told_from_a_stale_read() {
    let mut drill = Drill::new(TWO_SECONDS);
    drill.write(2, 4_900);
    drill.read(1, 8_000);
    drill.story.samples(|sample| sample.decider = None);
    assert_eq!(drill.registers().verdict, Verdict::Unknown);
    // What is stale without those who say nothing is stale.
    let mut drill = Drill::new(TWO_SECONDS);
    drill.write(2, 7_900);
    drill.read(1, 8_200);
    drill.read(1, 8_300);
    drill.story.samples(|sample| {
        if sample.sent == At::from_millis(8_300) {
            sample.decider = None;
        }
    });
    let found = drill.registers();
    assert_eq!((found.verdict, found.stale_reads, found.untold), (Verdict::Fail, 1, 1));
    // No loss explains a value from nowhere.
    drill.read(77, 9_000);
    drill.story.samples(|sample| sample.decider = None);
    assert_eq!(drill.registers().verdict, Verdict::Fail);
}

#[test]
fn a_fault_that_was_never_seen_in_effect_may_have_lost_something_all_the_same() {
    let mut drill = Drill::new(TWO_SECONDS);
    drill.write(2, 4_900);
    drill.read(1, 8_000);
    drill.story.entries.retain(|entry| !matches!(entry.event, Event::FaultInEffect { .. }));
    let found = drill.registers();
    assert_eq!((found.verdict, found.lost, found.stale_reads), (Verdict::Pass, 1, 0));
    assert_eq!(drill.record().verdict, Verdict::Unknown);
}

#[test]
fn nothing_read_is_unknown() {
    let mut drill = Drill::new(TWO_SECONDS);
    drill.story.entries.retain(|entry| match &entry.event {
        Event::Sample(sample) => !matches!(sample.deed.as_deref(), Some(Deed::Read { .. })),
        _ => true,
    });
    assert_eq!(drill.registers().verdict, Verdict::Unknown);
    assert_eq!(drill.record().exit_code, 11);
}

#[test]
fn registers_that_nobody_could_read_after_the_fault_are_unknown() {
    let mut drill = Drill::new(TWO_SECONDS);
    // All of before the fault, while nobody was served, or after the drill began to mend things.
    for ms in [1_200, 6_000, 10_500] {
        drill.read(1, ms);
    }
    drill.add(REGISTERS, Deed::Read { key: 3, value: None }, 8_000, Outcome::Failed("500".into()));
    let found = drill.registers();
    assert_eq!((found.verdict, found.reads_after_fault), (Verdict::Unknown, Some(0)));
    assert_eq!(drill.record().exit_code, 11);
    drill.read(1, 8_100);
    let found = drill.registers();
    assert_eq!((found.verdict, found.reads_after_fault), (Verdict::Pass, Some(1)));
}

#[test]
fn registers_that_nobody_could_write_are_unknown() {
    let mut drill = Drill::new(TWO_SECONDS);
    drill.add(REGISTERS, Deed::Read { key: 3, value: None }, 8_000, Outcome::Ok);
    drill.story.entries.retain(|entry| match &entry.event {
        Event::Sample(sample) => !matches!(
            sample.deed.as_deref(),
            Some(Deed::Write { .. } | Deed::Read { value: Some(_), .. })
        ),
        _ => true,
    });
    let found = drill.registers();
    assert_eq!((found.verdict, found.reads, found.writes), (Verdict::Unknown, 1, 0));
}

#[test]
fn where_no_register_shows_what_was_left_no_loss_is_denied() {
    let drill = |objective: Option<Duration>| {
        let mut drill = Drill::new(objective);
        drill.write(2, 4_900);
        drill.write(3, 8_000);
        drill.read(3, 8_100);
        let found = drill.registers();
        assert_eq!((found.compared, found.lost, found.lost_at_least_ms), (Some(0), 0, None));
        let reasons = drill.record().reasons;
        assert!(
            reasons.iter().any(|one| one.contains("what the failover lost is not known")),
            "{reasons:?}"
        );
        found.verdict
    };
    assert_eq!(drill(TWO_SECONDS), Verdict::Unknown);
    assert_eq!(drill(None), Verdict::Pass);
    let mut looked = Drill::new(TWO_SECONDS);
    looked.read(1, 8_000);
    assert_eq!(looked.registers().compared, Some(1));
    let reasons = looked.record().reasons;
    let told = "1 of 1 registers compared across the failover, no value lost";
    assert!(reasons.iter().any(|one| one.contains(told)), "{reasons:?}");
}

#[test]
fn what_a_second_failover_under_the_same_fault_lost_has_no_age() {
    let lose = |objective: u64| {
        let mut drill = Drill::new(Some(Duration::from_millis(objective)));
        drill.read(1, 8_000);
        drill.write(2, 8_100);
        drill.read(1, 9_000);
        drill.story.samples(|sample| {
            if sample.sent == At::from_millis(9_000) {
                sample.decider = Some(Decider { site: "third".into(), epoch: 3 });
            }
        });
        let found = drill.registers();
        assert_eq!((found.lost, found.stale_reads, found.lost_after_fault), (1, 0, 0));
        assert_eq!(found.lost_at_most_ms, None);
        found.verdict
    };
    assert_eq!((lose(2_000), lose(0)), (Verdict::Unknown, Verdict::Fail));
}

#[test]
fn money_that_only_moves_passes_and_a_torn_transfer_fails() {
    let mut drill = Drill::new(TWO_SECONDS);
    drill.add(BANK, Deed::Transfer { from: 0, to: 1, amount: 3 }, 2_000, Outcome::Ok);
    drill.balances([50, 50], 1_500);
    drill.balances([47, 53], 2_500);
    let bank =
        |drill: &Drill| drill.record().services[0].consistency.clone().unwrap().bank.unwrap();
    let found = bank(&drill);
    // All of it is of before the fault.
    assert_eq!((found.verdict, found.snapshots_after_fault), (Verdict::Unknown, Some(0)));
    // While nobody was served, and after the drill began to mend things.
    drill.balances([47, 53], 6_000);
    drill.balances([47, 53], 10_500);
    assert_eq!(bank(&drill).snapshots_after_fault, Some(0));
    drill.balances([47, 53], 8_000);
    let found = bank(&drill);
    assert_eq!((found.verdict, found.total, found.transfers), (Verdict::Pass, Some(100), 1));
    assert_eq!(found.snapshots_after_fault, Some(1));
    let mut idle = Drill::new(TWO_SECONDS);
    idle.balances([50, 50], 1_500);
    idle.balances([50, 50], 8_000);
    assert_eq!(bank(&idle).verdict, Verdict::Unknown, "nothing was moved");
    drill.balances([47, 50], 8_213);
    let found = bank(&drill);
    assert_eq!((found.verdict, found.wrong_snapshots), (Verdict::Fail, 1));
    assert_eq!(found.findings, ["the balances read at 8.213 s add up to 97, and there is 100"]);
    assert_eq!(drill.record().exit_code, 10);
}

#[test]
fn money_that_was_gone_before_anybody_looked_is_missed_where_the_history_says_what_there_was() {
    let bank = |opened: &[(u32, i64)], each: [i64; 2]| {
        let mut drill = Drill::new(TWO_SECONDS);
        let Event::DrillStarted(start) = &mut drill.story.entries[0].event else { panic!() };
        start.environment.accounts = opened.iter().copied().collect();
        drill.add(BANK, Deed::Transfer { from: 0, to: 1, amount: 3 }, 2_000, Outcome::Ok);
        drill.balances(each, 1_500);
        drill.balances(each, 8_000);
        drill.record().services[0].consistency.clone().unwrap().bank.unwrap()
    };
    let all = [(0, 50), (1, 50)];
    let found = bank(&all, [50, 50]);
    assert_eq!((found.verdict, found.total, found.snapshots), (Verdict::Pass, Some(100), 2));
    let found = bank(&all, [47, 50]);
    assert_eq!((found.verdict, found.total, found.wrong_snapshots), (Verdict::Fail, Some(100), 2));
    // An account that no snapshot has, and a history of before this was written down.
    assert_eq!(bank(&[(0, 50), (1, 50), (2, 0)], [50, 50]).verdict, Verdict::Fail);
    assert_eq!(bank(&[], [47, 50]).verdict, Verdict::Pass);
}

#[test]
fn workloads_decide_neither_recovery_time_nor_recovery_point() {
    let without = crate::judge::judge(&Story::recovered().entries).unwrap();
    let mut drill = Drill::new(Some(Duration::ZERO));
    // Down for much longer than the service.
    for ms in (5_100..9_900).step_by(100) {
        drill.add(
            BANK,
            Deed::Balances { balances: [].into() },
            ms,
            Outcome::Failed("refused".into()),
        );
    }
    let with = drill.record();
    let figures = |record: &Record| (record.services[0].rto, record.services[0].rpo.clone());
    assert_eq!(figures(&with), figures(&without));
}
