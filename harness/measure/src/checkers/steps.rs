//! Steps of plans that did not do what they should.

use drdrill_core::checker::Finding;
use drdrill_core::event::StepOutcome;

use super::{Rule, critical, fine, unknown, warning};
use crate::judge::case::Case;
use crate::judge::digest::StepFacts;

const NAME: &str = "steps";

/// A step that failed and was taken back needs an owner; the plan came to nothing, which others judge, but a restore that
/// came to nothing is a reason to fail that people should read. One that failed
/// while the plan went on leaves the system other than it should be, as does a rollback that failed.
pub(super) const RULE: Rule = Rule::new(NAME, look);

fn look(case: &Case<'_>) -> Vec<Finding> {
    let steps = &case.digest.steps;
    let mut found = Vec::new();
    for (index, step) in steps.iter().enumerate() {
        if step.outcome == StepOutcome::Failed {
            found.push(failed(case, step, steps.get(index + 1)));
        }
    }
    if found.is_empty() {
        found.push(fine(NAME, format!("none of {} steps failed", steps.len())));
    }
    found
}

/// A plan that is rolled back takes back the failed step first of all, so the next step tells whether it went on.
fn failed(case: &Case<'_>, step: &StepFacts<'_>, next: Option<&StepFacts<'_>>) -> Finding {
    let what = format!("`{}` on {}: {}", step.name, step.site, step.detail);
    let before_fault = case.digest.first_applied().is_none_or(|applied| step.started < applied);
    if before_fault {
        unknown(NAME, format!("before anything was broken, step {what}"))
    } else if step.rollback {
        critical(NAME, format!("rollback of step {what}"))
    } else if next.is_some_and(|next| next.rollback)
        && case.digest.start.scenario.recovery.restore.is_some()
    {
        critical(NAME, format!("nothing was restored: step {what}"))
    } else if next.is_some_and(|next| next.rollback) {
        warning(NAME, format!("step {what}"))
    } else {
        critical(NAME, format!("a step failed and was not taken back: {what}"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Story, verdict_of};
    use drdrill_core::event::StepOutcome::{Done, Failed, Skipped};
    use drdrill_core::verdict::Verdict;

    /// Steps of one drill, in order; the flag marks rollbacks.
    fn story(steps: &[(drdrill_core::event::StepOutcome, bool)]) -> Story {
        let mut story = Story::recovered();
        for (ms, (outcome, rollback)) in (6_400..).step_by(30).zip(steps) {
            story.step("promote", ms, *outcome, *rollback);
        }
        story
    }

    fn verdict(steps: &[(drdrill_core::event::StepOutcome, bool)]) -> Verdict {
        verdict_of(super::RULE, &story(steps))
    }

    #[test]
    fn steps_that_were_done_or_not_needed_pass() {
        assert_eq!(verdict(&[]), Verdict::Pass);
        assert_eq!(verdict(&[(Done, false), (Skipped, false)]), Verdict::Pass);
    }

    #[test]
    fn a_failed_step_of_a_plan_that_went_on_fails() {
        assert_eq!(verdict(&[(Failed, false), (Done, false)]), Verdict::Fail);
        assert_eq!(verdict(&[(Done, false), (Failed, false)]), Verdict::Fail);
        // The rollback of a later plan takes back nothing of this one.
        let later = [(Failed, false), (Done, false), (Failed, false), (Done, true)];
        assert_eq!(verdict(&later), Verdict::Fail);
    }

    #[test]
    fn a_finished_failback_does_not_excuse_a_failed_step() {
        let mut story = Story::failed_back();
        assert_eq!(crate::judge::judge(&story.entries).unwrap().exit_code, 0);
        story.step("dr follows again", 10_450, Failed, false);
        assert_eq!(verdict_of(super::RULE, &story), Verdict::Fail);
        let record = crate::judge::judge(&story.entries).unwrap();
        assert_eq!((record.verdict, record.exit_code), (Verdict::Fail, 10));
        assert!(record.reasons[0].contains("dr follows again"), "{:?}", record.reasons);
    }

    #[test]
    fn a_failed_step_that_was_taken_back_warns_and_a_failed_rollback_fails() {
        assert_eq!(verdict(&[(Failed, false), (Done, true)]), Verdict::Pass);
        assert_eq!(verdict(&[(Failed, false), (Failed, true)]), Verdict::Fail);
    }

    #[test]
    fn a_step_that_failed_before_anything_was_broken_is_unknown() {
        let mut story = Story::recovered();
        story.step("promote", 4_000, Failed, false);
        assert_eq!(verdict_of(super::RULE, &story), Verdict::Unknown);
    }

    #[test]
    fn a_rollback_marks_the_step_it_took_back() {
        let both = story(&[(Done, false), (Done, true)]);
        let record = crate::judge::judge(&both.entries).unwrap();
        assert_eq!(record.steps.len(), 1);
        assert!(record.steps[0].rolled_back);
    }
}
