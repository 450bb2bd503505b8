use std::collections::BTreeSet;

use drdrill_core::checker::{Finding, Severity};
use drdrill_core::event::StepOutcome;
use drdrill_core::record::{
    BankFound, Consistency, FollowedRunbook, FollowedStep, Interval, Record, SplitBrain,
};
use drdrill_core::runbook::{Phase, StepBy};
use drdrill_core::verdict::Verdict;

use super::*;
use crate::testkit::{Case, Fixture};

fn ids(record: &Record) -> BTreeSet<String> {
    recommend(record).into_iter().map(|advice| advice.rule).collect()
}

fn record(case: Case) -> Record {
    Fixture::build(case).record
}

/// A record that no rule has anything to say about.
fn flawless() -> Record {
    let mut record = record(Case::Passed);
    let service = &mut record.services[0];
    service.rto.target_ms = Some(30_000.0);
    let kept = service.streams.iter_mut().find(|stream| stream.name == "read-kept").unwrap();
    kept.outage = Some(Interval { at_least_ms: 3_500.0, at_most_ms: Some(3_540.0) });
    let rpo = service.rpo.as_mut().unwrap();
    rpo.writes.lost = 0;
    rpo.at_least_ms = Some(0.0);
    rpo.at_most_ms = Some(0.0);
    record
}

/// A runbook of one step, for which somebody took so long and has one second.
fn followed(outcome: StepOutcome, took_ms: f64) -> FollowedRunbook {
    let step = FollowedStep {
        name: "tell".to_owned(),
        phase: Phase::Verify,
        owner: "lead".to_owned(),
        by: StepBy::Person,
        who: Some("Ada".to_owned()),
        within_ms: 1_000.0,
        started_ms: Some(6_000.0),
        finished_ms: Some(6_000.0 + took_ms),
        outcome: Some(outcome),
        note: String::new(),
        otherwise: None,
    };
    FollowedRunbook {
        name: "r".to_owned(),
        sha256: "00".to_owned(),
        scripted: true,
        participants: Vec::new(),
        steps: vec![step],
        by_people_ms: took_ms,
        to_take_back: Vec::new(),
    }
}

/// A rule, and what makes a flawless record one that it applies to.
type Flaw = (&'static str, fn(&mut Record));

const FLAWS: &[Flaw] = &[
    ("leftovers", |r| r.leftovers = record(Case::Stuck).leftovers),
    ("drill_invalid", |r| r.faults[0].in_effect_ms = None),
    ("prober_errors", |r| r.services[0].samples.prober_error = 1),
    ("split_brain", |r| {
        r.split_brain.push(SplitBrain {
            from_ms: 5_000.0,
            to_ms: 5_400.0,
            detail: "epochs 1 and 2".to_owned(),
        });
    }),
    ("bystander_hurt", |r| r.bystanders[0].samples.failed = 30),
    ("never_recovered", |r| {
        r.services[0].rto.at_most_ms = None;
        r.services[0].rto.verdict = Verdict::Fail;
    }),
    ("rto_missed", |r| {
        r.services[0].rto.target_ms = Some(1_000.0);
        r.services[0].rto.verdict = Verdict::Fail;
    }),
    ("rto_not_established", |r| {
        r.services[0].rto.target_ms = Some(3_500.0);
        r.services[0].rto.verdict = Verdict::Unknown;
    }),
    ("rpo_missed", |r| r.services[0].rpo.as_mut().unwrap().verdict = Verdict::Fail),
    ("runbook_step_failed", |r| {
        r.runbook = Some(followed(StepOutcome::Failed, 100.0));
        let message = "step tell of the runbook failed".to_owned();
        let (verdict, severity) = (Verdict::Fail, Severity::Info);
        r.findings.push(Finding { checker: "runbook".to_owned(), verdict, severity, message });
    }),
    ("manual_steps_slow", |r| r.runbook = Some(followed(StepOutcome::Done, 1_001.0))),
    ("writes_lost", |r| r.services[0].rpo.as_mut().unwrap().writes.lost = 1),
    ("writes_lost_after_fault", |r| r.services[0].rpo.as_mut().unwrap().lost_after_fault = 1),
    ("rlo_missed", |r| r.services[0].rlo.verdict = Verdict::Fail),
    ("target_has_room", |r| r.services[0].rto.target_ms = Some(36_000.0)),
    ("no_targets", |r| r.services[0].rto.target_ms = None),
    ("functionality_failed", |r| r.functionality[0].outcome = Verdict::Fail),
    ("step_failed", |r| r.steps[0].outcome = drdrill_core::event::StepOutcome::Failed),
    ("failback_lost_writes", |r| r.services[0].rpo.as_mut().unwrap().failback_lost = Some(1)),
    ("data_damaged", |r| r.services[0].rpo.as_mut().unwrap().writes.corrupt = 1),
    ("inconsistent", |r| {
        r.services[0].consistency = Some(Consistency { registers: None, bank: Some(wrong_bank()) });
    }),
    ("kept_connections_slower", |r| {
        r.services[0].streams[2].outage = Some(Interval { at_least_ms: 9_000.0, at_most_ms: None });
    }),
    ("critical_finding", |r| {
        r.findings[0].verdict = Verdict::Fail;
        r.findings[0].severity = drdrill_core::checker::Severity::Critical;
    }),
    ("emulated", |r| r.environment.emulated = true),
];

fn wrong_bank() -> BankFound {
    BankFound {
        verdict: Verdict::Fail,
        transfers: 100,
        unknown_transfers: 2,
        snapshots: 200,
        snapshots_after_fault: Some(3),
        wrong_snapshots: 3,
        total: Some(500),
        findings: vec!["the balances read at 4.213 s add up to 497, and there is 500".to_owned()],
    }
}

#[test]
fn a_flawless_run_needs_no_advice() {
    assert_eq!(recommend(&flawless()), []);
}

#[test]
fn every_rule_has_a_record_that_triggers_it_and_only_it() {
    for (rule, spoil) in FLAWS {
        let mut record = flawless();
        spoil(&mut record);
        assert_eq!(ids(&record), BTreeSet::from([(*rule).to_owned()]));
    }
    let tested: BTreeSet<&str> = FLAWS.iter().map(|(rule, _)| *rule).collect();
    let known: BTreeSet<&str> = rules().map(|rule| rule.id).collect();
    assert_eq!(tested, known);
}

#[test]
fn every_advice_shows_its_figures() {
    for (rule, spoil) in FLAWS {
        let mut record = flawless();
        spoil(&mut record);
        for advice in recommend(&record) {
            assert!(!advice.evidence.is_empty(), "{rule}");
            assert!(advice.text.ends_with('.'), "{rule}: {}", advice.text);
        }
    }
}

#[test]
fn the_slowest_phase_decides_what_a_missed_target_advises() {
    let advise = |detected: f64, decided: f64, failed_over: f64| {
        let mut record = flawless();
        record.services[0].rto.target_ms = Some(1_000.0);
        record.services[0].rto.verdict = Verdict::Fail;
        record.phases.detected_ms = Some(detected);
        record.phases.decided_ms = Some(decided);
        record.phases.failed_over_ms = Some(failed_over);
        recommend(&record).remove(0).text
    };
    assert!(advise(8_000.0, 8_010.0, 8_100.0).contains("health monitor"));
    assert!(advise(5_100.0, 8_000.0, 8_100.0).contains("automate the decision"));
    assert!(advise(5_100.0, 5_200.0, 8_400.0).contains("pre-warm the DR site"));
    assert!(advise(5_100.0, 5_200.0, 5_300.0).contains("DNS TTLs"));
}

#[test]
fn where_a_recovery_got_stuck_is_named() {
    let stuck = record(Case::NeverRecovered);
    let advice = recommend(&stuck);
    let never = advice.iter().find(|advice| advice.rule == "never_recovered").unwrap();
    assert!(never.text.contains("decided and never finished"), "{}", never.text);
    assert!(never.evidence[0].contains("> 54.934 s"), "{:?}", never.evidence);
    assert!(never.evidence[1].contains("fence_primary"), "{:?}", never.evidence);
}

#[test]
fn a_recovery_whose_end_was_not_established_is_not_said_to_have_failed() {
    let mut record = flawless();
    record.services[0].rto.at_most_ms = None;
    record.services[0].rto.verdict = Verdict::Unknown;
    assert_eq!(ids(&record), BTreeSet::from(["rto_not_established".to_owned()]));
}

#[test]
fn people_who_are_in_time_are_given_no_advice_unless_they_are_most_of_the_recovery() {
    let mut record = flawless();
    record.runbook = Some(followed(StepOutcome::Done, 1_000.0));
    assert!(ids(&record).is_empty(), "{:?}", ids(&record));
    // Of the whole recovery more than half.
    let took = record.phases.restored_ms.unwrap() - record.phases.fault_ms.unwrap();
    record.runbook.as_mut().unwrap().by_people_ms = took / 2.0 + 1.0;
    let advice = recommend(&record);
    assert_eq!(advice[0].rule, "manual_steps_slow");
    assert!(advice[0].evidence[0].starts_with("people took "), "{:?}", advice[0].evidence);
}

#[test]
fn the_most_urgent_comes_first() {
    let mut record = record(Case::Failed);
    record.leftovers = super::tests::record(Case::Stuck).leftovers;
    assert_eq!(recommend(&record)[0].rule, "leftovers");
}
