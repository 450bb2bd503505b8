use std::time::Duration;

use drdrill_core::event::{AbortCause, Entry, Event};
use drdrill_core::record::Record;
use drdrill_core::scenario::{Targets, parse_runbook};
use drdrill_core::tabletop::{Answer, Conclusion, Participant, StepResult};
use drdrill_core::time::At;
use drdrill_core::units::Span;
use drdrill_core::verdict::Verdict;

use crate::checkers::testing::started;
use crate::judge::judge;

const RUNBOOK: &str = "\
runbook: r
title: R
triggers: [it is gone]
contacts:
  - { role: lead, name: L, reach: phone }
  - { role: dba, name: D, reach: phone }
steps:
  - { name: notice, phase: detect, owner: lead, within: 5min, do: [look], expect: seen }
  - { name: promote, phase: fail_over, owner: dba, within: 10min, do: [promote], expect: promoted }
  - { name: back, phase: fail_back, owner: dba, within: 2h, do: [go back], expect: back }
";

fn minutes(minutes: u64) -> Span {
    Span(Duration::from_mins(minutes))
}

/// An exercise in which each step was done in so many minutes; the objective is 20 minutes.
struct Exercise {
    participants: Vec<Participant>,
    answers: Vec<Answer>,
    more: Vec<Event>,
}

impl Exercise {
    fn good() -> Self {
        let person = |role: &str| Participant {
            name: role.to_uppercase(),
            role: role.to_owned(),
            planned: true,
            present: true,
        };
        let done = |step: &str, took: u64| Answer {
            result: StepResult::Done,
            takes: Some(minutes(took)),
            ..Answer::skipped(step)
        };
        Self {
            participants: vec![person("lead"), person("dba")],
            answers: vec![done("notice", 5), done("promote", 9), done("back", 60)],
            more: Vec::new(),
        }
    }

    fn judged(self) -> Record {
        self.judged_by(RUNBOOK)
    }

    /// Judged by another runbook.
    fn judged_by(self, runbook: &str) -> Record {
        let targets = Targets { rto: Some(minutes(20)), ..Targets::default() };
        let mut events = vec![
            started(Vec::new(), targets, true),
            Event::TabletopStarted {
                runbook: Box::new(parse_runbook("r.yaml", runbook).unwrap()),
                runbook_sha256: "00".into(),
                scripted: true,
                participants: self.participants,
            },
        ];
        let step = |answer| Event::TabletopStep { started: At(1), finished: At(2), answer };
        events.extend(self.answers.into_iter().map(step));
        events.push(Event::TabletopConcluded { conclusion: Conclusion::default() });
        events.extend(self.more);
        events.push(Event::DrillFinished { finished_at: "2026-01-01T00:00:00Z".into() });
        let entry = |(at, event)| Entry { at: At(at), event };
        judge(&(0..).zip(events).map(entry).collect::<Vec<_>>()).unwrap()
    }
}

#[track_caller]
fn comes_to(exercise: Exercise, verdict: Verdict, exit: u8, reason: &str) {
    let record = exercise.judged();
    let reasons = record.reasons.join("\n");
    assert_eq!((record.verdict, record.exit_code), (verdict, exit), "{reasons}");
    assert!(reasons.contains(reason), "{reasons}");
    for service in &record.services {
        let measured = (service.rto.at_least_ms, service.rto.at_most_ms, service.rto.verdict);
        assert_eq!(measured, (None, None, Verdict::Unknown), "nothing was measured");
    }
}

#[test]
fn all_steps_in_the_time_is_a_pass_that_says_what_it_is() {
    let record = Exercise::good().judged();
    assert_eq!(record.tabletop.as_ref().unwrap().judged_recovery_ms, Some(14.0 * 60_000.0));
    comes_to(Exercise::good(), Verdict::Pass, 0, "were not measured: this was a tabletop exercise");
}

#[test]
fn a_step_that_cannot_be_done_fails_it() {
    let mut exercise = Exercise::good();
    exercise.answers[1].result = StepResult::Failed;
    comes_to(exercise, Verdict::Fail, 10, "step `promote` cannot be done as the runbook says");
}

#[test]
fn a_step_that_takes_longer_than_it_may_fails_it() {
    let mut exercise = Exercise::good();
    exercise.answers[0].takes = Some(minutes(6));
    comes_to(exercise, Verdict::Fail, 10, "step `notice` takes 6m, the runbook gives it 5m");
}

#[test]
fn a_plan_that_misses_the_objective_fails_it_though_each_step_is_in_time() {
    let mut exercise = Exercise::good();
    exercise.answers[1].takes = Some(minutes(10));
    assert_eq!(exercise.judged().verdict, Verdict::Pass, "15 of 20 minutes");
    let mut exercise = Exercise::good();
    exercise.answers[1].takes = Some(minutes(16));
    let record = exercise.judged_by(&RUNBOOK.replace("within: 10min", "within: 30min"));
    assert_eq!(record.verdict, Verdict::Fail);
    let reasons = record.reasons.join("\n");
    assert!(reasons.contains("restored after 21m; the objective is 20m"), "{reasons}");
}

#[test]
fn a_step_that_was_left_out_is_unknown() {
    let mut exercise = Exercise::good();
    exercise.answers.remove(2);
    comes_to(exercise, Verdict::Unknown, 11, "step `back` was not walked through");
}

#[test]
fn a_step_whose_owner_was_not_there_is_unknown() {
    let mut exercise = Exercise::good();
    exercise.participants[1].present = false;
    comes_to(exercise, Verdict::Unknown, 11, "nobody was there for the role `dba`");
}

#[test]
fn an_exercise_that_was_broken_off_is_not_passed() {
    let mut exercise = Exercise::good();
    let reason = "interrupted by the operator".to_owned();
    exercise.more = vec![Event::Aborted { cause: AbortCause::Operator, reason }];
    comes_to(exercise, Verdict::Unknown, 15, "the exercise was aborted: interrupted");
}
