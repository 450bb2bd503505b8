//! Steps of plans that did not do what they should.

use drdrill_core::checker::Finding;
use drdrill_core::event::StepOutcome;

use super::{Rule, critical, fine, warning};
use crate::judge::case::Case;

const NAME: &str = "steps";

/// A step that failed needs an owner; a rollback that failed leaves the system between two states.
pub(super) const RULE: Rule = Rule::new(NAME, look);

fn look(case: &Case<'_>) -> Vec<Finding> {
    let steps = &case.digest.steps;
    let failed = steps.iter().filter(|step| step.outcome == StepOutcome::Failed);
    let mut found: Vec<Finding> = failed
        .map(|step| {
            let what = format!("`{}` on {}: {}", step.name, step.site, step.detail);
            if step.rollback {
                critical(NAME, format!("rollback of step {what}"))
            } else {
                warning(NAME, format!("step {what}"))
            }
        })
        .collect();
    if found.is_empty() {
        found.push(fine(NAME, format!("none of {} steps failed", steps.len())));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Story, verdict_of};
    use drdrill_core::event::{Event, StepOutcome};
    use drdrill_core::time::At;
    use drdrill_core::verdict::Verdict;

    fn story(outcome: StepOutcome, rollback: bool) -> Story {
        let mut story = Story::recovered();
        story.add(
            6_500,
            Event::Step {
                name: "promote".into(),
                action: "promote".into(),
                site: "dr".into(),
                started: At::from_millis(6_400),
                finished: At::from_millis(6_500),
                outcome,
                rollback,
                detail: "timed out".into(),
            },
        );
        story
    }

    #[test]
    fn a_failed_rollback_fails_and_a_failed_step_warns() {
        let verdict = |outcome, rollback| verdict_of(super::RULE, &story(outcome, rollback));
        assert_eq!(verdict(StepOutcome::Done, false), Verdict::Pass);
        assert_eq!(verdict(StepOutcome::Failed, false), Verdict::Pass);
        assert_eq!(verdict(StepOutcome::Failed, true), Verdict::Fail);
    }

    #[test]
    fn a_rollback_marks_the_step_it_took_back() {
        let mut both = story(StepOutcome::Done, false);
        both.entries.extend(
            story(StepOutcome::Done, true)
                .entries
                .into_iter()
                .filter(|entry| matches!(entry.event, Event::Step { .. })),
        );
        let record = crate::judge::judge(&both.entries).unwrap();
        assert_eq!(record.steps.len(), 1);
        assert!(record.steps[0].rolled_back);
    }
}
