//! Without a healthy service before the fault there is nothing to recover to.

use drdrill_core::checker::Finding;
use drdrill_core::event::When;
use drdrill_core::verdict::Verdict;

use super::{Rule, fine, unknown};
use crate::judge::case::Case;

const NAME: &str = "baseline_healthy";

/// The deciding streams and the functions worked before the fault.
pub(super) const RULE: Rule = Rule::new(NAME, look);

fn look(case: &Case<'_>) -> Vec<Finding> {
    if !case.has_faults() {
        return vec![fine(NAME, "no fault was part of this drill")];
    }
    let mut found = Vec::new();
    let mut successes = 0;
    for service in &case.services {
        for story in service.headline() {
            successes += story.baseline.ok;
            if let Some(why) = story.baseline.unhealthy() {
                let stream = &story.stream.facts.name;
                let text = format!("baseline unhealthy: {} ({stream}): {why}", service.facts.name);
                found.push(unknown(NAME, text));
            }
        }
    }
    for check in &case.digest.functions {
        if check.when == When::BeforeFault && check.verdict != Verdict::Pass {
            let text = format!(
                "baseline unhealthy: `{}` did not work before the fault: {}",
                check.name, check.detail
            );
            found.push(unknown(NAME, text));
        }
    }
    if found.is_empty() && successes > 0 {
        found.push(fine(NAME, format!("{successes} attempts succeeded before the fault")));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Story, verdict_of};
    use drdrill_core::sample::Outcome;
    use drdrill_core::verdict::Verdict;

    #[test]
    fn a_service_that_worked_before_passes() {
        assert_eq!(verdict_of(super::RULE, &Story::recovered()), Verdict::Pass);
    }

    #[test]
    fn failures_before_the_fault_make_it_unknown() {
        let mut story = Story::recovered();
        story.samples(|sample| {
            if sample.sequence % 20 == 3 && sample.sequence < 200 {
                sample.outcome = Outcome::Failed("refused".into());
            }
        });
        assert_eq!(verdict_of(super::RULE, &story), Verdict::Unknown);
    }

    #[test]
    fn one_unlucky_attempt_does_not_spoil_the_drill() {
        let mut story = Story::recovered();
        story.samples(|sample| {
            if sample.sequence == 3 {
                sample.outcome = Outcome::Failed("refused".into());
            }
        });
        assert_eq!(verdict_of(super::RULE, &story), Verdict::Pass);
    }
}
