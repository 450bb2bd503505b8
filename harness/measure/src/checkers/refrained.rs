//! A failover that should not have been.

use drdrill_core::checker::Finding;
use drdrill_core::event::Milestone;
use drdrill_core::scenario::Failover;

use super::{Rule, critical, fine, warning};
use crate::judge::case::Case;

const NAME: &str = "refrained";

/// Where the scenario says that the machinery has to hold back, nothing was failed over.
pub(super) const RULE: Rule = Rule::new(NAME, look);

fn look(case: &Case<'_>) -> Vec<Finding> {
    if case.digest.start.scenario.recovery.failover != Failover::Refrain {
        return vec![fine(NAME, "a failover was allowed")];
    }
    let at = |milestone| case.digest.milestone(milestone).map(|at| at.ms() / 1e3);
    vec![match (at(Milestone::Decided), at(Milestone::FailedOver)) {
        (_, Some(at)) => {
            critical(NAME, format!("failed over at {at:.3} s, although it had to hold back"))
        }
        (Some(at), None) => warning(
            NAME,
            format!("at {at:.3} s it was decided to fail over, and nothing came of it"),
        ),
        (None, None) => fine(NAME, "nothing was failed over, as it should be"),
    }]
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Story, verdict_of};
    use drdrill_core::event::Milestone;
    use drdrill_core::scenario::Failover;
    use drdrill_core::verdict::Verdict;

    #[test]
    fn a_failover_that_was_not_wanted_fails() {
        let mut story = Story::recovered();
        story.milestone(5_800, Milestone::Decided);
        story.milestone(6_900, Milestone::FailedOver);
        assert_eq!(verdict_of(super::RULE, &story), Verdict::Pass);
        story.failover(Failover::Refrain);
        assert_eq!(verdict_of(super::RULE, &story), Verdict::Fail);
    }

    #[test]
    fn a_plan_that_came_to_nothing_is_a_warning() {
        let mut story = Story::recovered();
        story.failover(Failover::Refrain);
        assert_eq!(verdict_of(super::RULE, &story), Verdict::Pass);
        story.milestone(5_800, Milestone::Decided);
        assert_eq!(verdict_of(super::RULE, &story), Verdict::Pass);
    }
}
