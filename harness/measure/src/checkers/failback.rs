//! The way back, where the scenario asks for one.

use drdrill_core::checker::Finding;
use drdrill_core::event::Milestone;

use super::{Rule, critical, fine, unknown};
use crate::judge::case::Case;

const NAME: &str = "failback";

/// A failback that the scenario asks for was begun and finished.
pub(super) const RULE: Rule = Rule::new(NAME, look);

fn look(case: &Case<'_>) -> Vec<Finding> {
    if case.digest.start.scenario.failback.is_none() {
        return vec![fine(NAME, "no failback was asked for")];
    }
    let passed = |milestone| case.digest.milestone(milestone);
    let one = match (passed(Milestone::FailbackStarted), passed(Milestone::FailbackFinished)) {
        (_, Some(_)) => fine(NAME, "the original site serves again"),
        (started, None) => {
            let text = if started.is_some() {
                "failback was begun and never finished"
            } else {
                "failback was never begun"
            };
            if case.digest.is_complete() { critical(NAME, text) } else { unknown(NAME, text) }
        }
    };
    vec![one]
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Story, verdict_of};
    use drdrill_core::event::{Event, Milestone};
    use drdrill_core::verdict::Verdict;

    #[test]
    fn a_finished_failback_passes_and_an_unfinished_one_fails() {
        let mut story = Story::recovered();
        story.asks_for_failback();
        story.milestone(10_300, Milestone::FailbackStarted);
        assert_eq!(verdict_of(super::RULE, &story), Verdict::Fail);
        story.milestone(10_600, Milestone::FailbackFinished);
        assert_eq!(verdict_of(super::RULE, &story), Verdict::Pass);
    }

    #[test]
    fn a_failback_that_the_end_of_the_history_cut_off_is_unknown() {
        let mut story = Story::recovered();
        story.asks_for_failback();
        story.entries.retain(|entry| !matches!(entry.event, Event::DrillFinished { .. }));
        assert_eq!(verdict_of(super::RULE, &story), Verdict::Unknown);
    }
}
