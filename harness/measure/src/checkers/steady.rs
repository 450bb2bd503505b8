//! Drills without faults: the service must simply work.

use drdrill_core::checker::Finding;

use super::{Rule, critical, fine, unknown};
use crate::judge::case::Case;
use crate::judge::shots::{StreamShots, ratio, sum};

const NAME: &str = "steady_state";

/// Least share of successes: that of a sustained window.
const LEAST: f64 = 0.999;

/// Without a fault, 99.9 % of the attempts of each service succeed.
pub(super) const RULE: Rule = Rule::new(NAME, look);

fn look(case: &Case<'_>) -> Vec<Finding> {
    if case.has_faults() {
        return vec![fine(NAME, "judged by the recovery instead")];
    }
    let services = case.services.iter();
    services
        .map(|service| {
            let counts = service.headline().into_iter().map(|story| story.stream);
            let counts = sum(counts.map(StreamShots::counts));
            let usable = counts.sent - counts.prober_error;
            let text = format!(
                "{}: no fault was part of this drill; {} of {usable} attempts succeeded",
                service.facts.name, counts.ok
            );
            if usable == 0 {
                unknown(NAME, text)
            } else if ratio(counts.ok, usable) < LEAST {
                critical(NAME, text)
            } else {
                fine(NAME, text)
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Story, verdict_of};
    use drdrill_core::verdict::Verdict;

    #[test]
    fn a_service_that_works_passes_one_that_does_not_fails_one_unseen_is_unknown() {
        let works = Story::without_faults(|_| true);
        assert_eq!(verdict_of(super::RULE, &works), Verdict::Pass);
        let record = crate::judge::judge(&works.entries).unwrap();
        assert_eq!((record.verdict, record.exit_code), (Verdict::Pass, 0), "{:?}", record.reasons);
        let broken = Story::without_faults(|ms| ms % 100 != 0);
        assert_eq!(verdict_of(super::RULE, &broken), Verdict::Fail);
        let mut unseen = Story::without_faults(|_| true);
        unseen.drop_samples(|_| true);
        assert_eq!(verdict_of(super::RULE, &unseen), Verdict::Unknown);
    }
}
