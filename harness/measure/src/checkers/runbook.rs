//! Steps of a runbook that a drill followed.

use drdrill_core::checker::Finding;
use drdrill_core::event::{Stage, StepOutcome};
use drdrill_core::runbook::{Phase, RunbookStep};
use drdrill_core::scenario::Failover;
use drdrill_core::time::At;
use drdrill_core::units::Span;

use super::{Rule, critical, fine, unknown, warning};
use crate::judge::case::Case;
use crate::judge::runbook::walked;

const NAME: &str = "runbook";

/// A step that failed, or that nobody ended while the drill waited, fails the drill: the plan does not work as it is
/// written. One that was skipped proves nothing. One that took longer than the runbook gives it needs an owner.
pub(super) const RULE: Rule = Rule::new(NAME, look);

fn look(case: &Case<'_>) -> Vec<Finding> {
    let follows = case.digest.start.scenario.recovery.failover == Failover::Runbook;
    let Some(followed) = case.digest.followed else {
        return vec![if follows {
            unknown(NAME, "the scenario says that a runbook is followed, and none was")
        } else {
            fine(NAME, "no runbook was to be followed")
        }];
    };
    let goes_back = case.digest.start.scenario.failback.is_some();
    let mut found = undone(case);
    let mut reached = true;
    for step in followed.runbook.steps.iter().filter(|step| is_carried_out(step, goes_back)) {
        let Some(walked) = walked(case.digest, step) else {
            let due = step.phase.counts_to_recovery() || went_back(case);
            if reached && due {
                // Those behind it say nothing new.
                reached = false;
                found.push(unknown(NAME, format!("the drill never came to step {}", step.name)));
            }
            continue;
        };
        let said = |note: &str| if note.is_empty() { String::new() } else { format!(": {note}") };
        match walked.ended {
            None if !was_given_up(case, step, walked.started) => {
                found.push(unknown(NAME, format!("the drill ended during step {}", step.name)));
                reached = false;
            }
            None => {
                let text =
                    format!("step {} of the runbook was never done ({})", step.name, walked.who);
                found.push(critical(NAME, text));
                reached = false;
            }
            Some((_, StepOutcome::Failed, note)) => {
                let text = format!("step {} of the runbook failed{}", step.name, said(note));
                found.push(critical(NAME, text));
                reached = false;
            }
            Some((_, StepOutcome::Skipped, note)) => {
                let text = format!("step {} of the runbook was skipped{}", step.name, said(note));
                found.push(unknown(NAME, text));
            }
            Some((at, StepOutcome::Done, _)) => {
                let took = at.since(walked.started);
                if took > step.within.0 {
                    let by = step.by().word();
                    let text = format!(
                        "step {} ({by}) took {:.3} s, longer than the {} that the runbook gives it",
                        step.name,
                        took.as_secs_f64(),
                        Span(step.within.0)
                    );
                    found.push(warning(NAME, text));
                }
            }
        }
    }
    if found.is_empty() {
        found.push(fine(NAME, "every step of the runbook was done in its time"));
    }
    found
}

/// Commands that nobody has seen taken back, and of which nobody says that they are still in place.
fn undone(case: &Case<'_>) -> Vec<Finding> {
    let digest = case.digest;
    if digest.finished.is_none() {
        return Vec::new();
    }
    let open = digest.commands.iter().filter(|(id, _)| {
        !digest.taken_back.contains(id) && !digest.leftovers.iter().any(|left| left.id == **id)
    });
    let text =
        |name: &str| format!("what became of the command {name} is not known: nobody took it back");
    open.map(|(_, name)| critical(NAME, text(name))).collect()
}

/// Whether the way back was begun.
fn went_back(case: &Case<'_>) -> bool {
    let begun = |(_, stage): &(At, Stage)| *stage == Stage::Failback;
    case.digest.stages.iter().any(begun)
}

/// Whether a step that nobody ended had all the time that the drill gives it. What ended the drill later says nothing
/// about it; a drill that was ended before says nothing about the step.
fn was_given_up(case: &Case<'_>, step: &RunbookStep, started: At) -> bool {
    let digest = case.digest;
    let Some((aborted, ..)) = digest.aborted else { return true };
    let begins = if step.phase.counts_to_recovery() {
        digest.faults.values().filter_map(|fault| Some(fault.in_effect.as_ref()?.0)).max()
    } else {
        let back = digest.stages.iter().filter(|(_, stage)| *stage == Stage::Failback);
        back.map(|(at, _)| *at).min()
    };
    let patience = digest.start.scenario.recovery.give_up_after.0;
    aborted >= begins.unwrap_or(started).plus(patience)
}

/// What comes after the drill is no part of it.
fn is_carried_out(step: &RunbookStep, goes_back: bool) -> bool {
    step.phase.counts_to_recovery() || (step.phase == Phase::FailBack && goes_back)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use drdrill_core::event::{AbortCause, Event, Stage, StepOutcome};
    use drdrill_core::runbook::{Phase, StepBy};
    use drdrill_core::scenario::{Failover, parse_runbook};
    use drdrill_core::time::At;
    use drdrill_core::units::Span;
    use drdrill_core::verdict::Verdict;

    use super::super::testing::{Story, verdict_of};

    const RUNBOOK: &str = "\
runbook: r
title: R
triggers: [x]
contacts: [{ role: lead, name: L, reach: x }]
steps:
  - { name: confirm, phase: detect, owner: lead, within: 1s, do: [x], expect: x }
  - { name: tell, phase: verify, owner: lead, within: 1s, do: [x], expect: x, otherwise: y }
  - { name: review, phase: close, owner: lead, within: 1s, do: [x], expect: x }
rollback: [undo it]
";

    /// A drill that followed the runbook, with what came of its steps and how long they took.
    fn story(steps: &[(&str, Option<StepOutcome>, u64)]) -> Story {
        let mut story = Story::recovered();
        story.failover(Failover::Runbook);
        story.add(
            1,
            Event::RunbookFollowed {
                runbook: Box::new(parse_runbook("r.yaml", RUNBOOK).unwrap()),
                runbook_sha256: "00".into(),
                scripted: true,
                participants: Vec::new(),
            },
        );
        for (ms, (name, outcome, took)) in (5_200..).step_by(50).zip(steps) {
            story.add(
                ms,
                Event::RunbookStepStarted {
                    step: (*name).into(),
                    by: StepBy::Person,
                    who: "L".into(),
                    within_ns: 1_000_000_000,
                },
            );
            if let Some(outcome) = outcome {
                story.add(
                    ms + took,
                    Event::RunbookStep {
                        step: (*name).into(),
                        started: At::from_millis(ms),
                        finished: At::from_millis(ms + took),
                        outcome: *outcome,
                        note: "said".into(),
                    },
                );
            }
        }
        story
    }

    fn verdict(steps: &[(&str, Option<StepOutcome>, u64)]) -> Verdict {
        verdict_of(super::RULE, &story(steps))
    }

    const DONE: Option<StepOutcome> = Some(StepOutcome::Done);

    #[test]
    fn every_step_that_was_done_passes_and_a_slow_one_warns() {
        assert_eq!(verdict(&[("confirm", DONE, 100), ("tell", DONE, 100)]), Verdict::Pass);
        let slow = story(&[("confirm", DONE, 1_500), ("tell", DONE, 100)]);
        assert_eq!(verdict_of(super::RULE, &slow), Verdict::Pass);
        let record = crate::judge::judge(&slow.entries).unwrap();
        let said = record.findings.iter().any(|found| {
            found.checker == "runbook" && found.message.contains("took 1.500 s, longer than the 1s")
        });
        assert!(said, "{:#?}", record.findings);
    }

    #[test]
    fn a_step_that_failed_or_was_never_done_fails_and_says_which() {
        for outcome in [Some(StepOutcome::Failed), None] {
            let steps = [("confirm", DONE, 100), ("tell", outcome, 100)];
            assert_eq!(verdict(&steps), Verdict::Fail);
            let record = crate::judge::judge(&story(&steps).entries).unwrap();
            assert_eq!(record.exit_code, 10);
            assert!(record.reasons.iter().any(|one| one.contains("step tell")), "{record:#?}");
        }
    }

    #[test]
    fn a_step_that_was_skipped_or_never_reached_proves_nothing() {
        let skipped = [("confirm", Some(StepOutcome::Skipped), 0), ("tell", DONE, 100)];
        assert_eq!(verdict(&skipped), Verdict::Unknown);
        assert_eq!(verdict(&[("confirm", DONE, 100)]), Verdict::Unknown);
        assert_eq!(verdict(&[]), Verdict::Unknown);
    }

    #[test]
    fn a_drill_that_ends_while_somebody_is_asked_says_nothing_about_them() {
        let mut story = story(&[("confirm", None, 0)]);
        let reason = "interrupted".to_owned();
        story.add(6_000, Event::Aborted { cause: AbortCause::Operator, reason });
        assert_eq!(verdict_of(super::RULE, &story), Verdict::Unknown);
    }

    #[test]
    fn who_had_all_the_time_there_was_is_not_excused_by_what_ended_the_drill_later() {
        let aborted = |ms| {
            let mut story = story(&[("confirm", None, 0)]);
            let reason = "interrupted".to_owned();
            story.add(ms, Event::Aborted { cause: AbortCause::Operator, reason });
            let Event::DrillStarted(started) = &mut story.entries[0].event else { panic!() };
            started.scenario.recovery.give_up_after = Span(Duration::from_secs(3));
            verdict_of(super::RULE, &story)
        };
        assert_eq!(aborted(7_500), Verdict::Unknown);
        assert_eq!(aborted(8_500), Verdict::Fail);
    }

    #[test]
    fn a_way_back_that_leaves_out_a_step_proves_nothing() {
        let of = |went_back: bool| {
            let mut story = story(&[("confirm", DONE, 100), ("tell", DONE, 100)]);
            story.asks_for_failback();
            for entry in &mut story.entries {
                if let Event::RunbookFollowed { runbook, .. } = &mut entry.event {
                    runbook.steps[2].phase = Phase::FailBack;
                }
            }
            if went_back {
                story.add(10_100, Event::StageStarted(Stage::Failback));
            }
            verdict_of(super::RULE, &story)
        };
        assert_eq!(of(true), Verdict::Unknown);
        // That it was not gone at all is said elsewhere.
        assert_eq!(of(false), Verdict::Pass);
    }

    #[test]
    fn a_command_that_nobody_has_seen_taken_back_fails() {
        let steps = [("confirm", DONE, 100), ("tell", DONE, 100)];
        let mut story = story(&steps);
        story.add(5_300, Event::CommandPlanned { id: 7, name: "dns".into() });
        assert_eq!(verdict_of(super::RULE, &story), Verdict::Fail);
        story.add(10_500, Event::CommandTakenBack { id: 7, at: At::from_millis(10_500) });
        assert_eq!(verdict_of(super::RULE, &story), Verdict::Pass);
    }

    #[test]
    fn a_runbook_that_was_to_be_followed_and_was_not_proves_nothing() {
        let mut story = Story::recovered();
        assert_eq!(verdict_of(super::RULE, &story), Verdict::Pass);
        story.failover(Failover::Runbook);
        assert_eq!(verdict_of(super::RULE, &story), Verdict::Unknown);
    }

    #[test]
    fn the_record_has_every_step_who_did_it_and_how_long_people_took() {
        let story = story(&[("confirm", DONE, 100), ("tell", DONE, 40)]);
        let runbook = crate::judge::judge(&story.entries).unwrap().runbook.unwrap();
        assert_eq!((runbook.name.as_str(), runbook.scripted), ("r", true));
        let names: Vec<_> = runbook.steps.iter().map(|step| step.name.as_str()).collect();
        assert_eq!(names, ["confirm", "tell", "review"]);
        let [confirm, _, review] = runbook.steps.as_slice() else { panic!("{runbook:#?}") };
        assert_eq!(confirm.who.as_deref(), Some("L"));
        assert_eq!((confirm.started_ms, confirm.finished_ms), (Some(5_200.0), Some(5_300.0)));
        assert_eq!((review.started_ms, review.outcome), (None, None));
        assert!((100.0..=140.0).contains(&runbook.by_people_ms), "{}", runbook.by_people_ms);
    }

    #[test]
    fn a_step_that_began_before_anything_was_broken_is_an_early_failover() {
        let mut story = story(&[]);
        story.add(
            3_000,
            Event::RunbookStepStarted {
                step: "confirm".into(),
                by: StepBy::Person,
                who: "L".into(),
                within_ns: 1,
            },
        );
        let record = crate::judge::judge(&story.entries).unwrap();
        assert_ne!(record.verdict, Verdict::Pass);
        let premature =
            record.findings.iter().find(|found| found.checker == "failover_after_fault").unwrap();
        assert_eq!(premature.verdict, Verdict::Unknown, "{premature:?}");
    }
}
