//! Functions that must work again: tried, passed, and still working after failback.

use drdrill_core::checker::Finding;
use drdrill_core::event::When;

use super::{Rule, critical, fine, unknown};
use crate::judge::case::Case;
use crate::judge::functions_at;

const NAME: &str = "functions_work";

/// Every function of the scenario's `verify` passed after the recovery; all that were tried passed after failback.
pub(super) const RULE: Rule = Rule::new(NAME, look);

fn look(case: &Case<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    for name in &case.functions.never_passed {
        found.push(critical(NAME, format!("`{name}` never worked again after the recovery")));
    }
    for name in &case.functions.unclear {
        found.push(unknown(NAME, format!("whether `{name}` works again could not be told")));
    }
    for name in &case.functions.missing {
        found.push(unknown(NAME, format!("`{name}` was never tried after the recovery")));
    }
    let failback = functions_at(case, When::AfterFailback);
    for name in &failback.never_passed {
        found.push(critical(NAME, format!("`{name}` does not work after failback")));
    }
    for name in &failback.unclear {
        found.push(unknown(
            NAME,
            format!("whether `{name}` works after failback could not be told"),
        ));
    }
    if found.is_empty() {
        let tried = case.digest.functions.len();
        found.push(fine(NAME, format!("{tried} functionality checks, all functions work")));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Story, verdict_of};
    use drdrill_core::event::When;
    use drdrill_core::verdict::Verdict;

    fn story(verdicts: &[(u64, Verdict)]) -> Story {
        let mut story = Story::recovered();
        story.verify("login");
        for (at, verdict) in verdicts {
            story.function("login", When::AfterRecovery, *at, *verdict);
        }
        story
    }

    #[test]
    fn a_function_that_works_passes() {
        let story = story(&[(8_500, Verdict::Pass)]);
        assert_eq!(verdict_of(super::RULE, &story), Verdict::Pass);
    }

    #[test]
    fn a_function_that_nobody_tried_is_unknown() {
        assert_eq!(verdict_of(super::RULE, &story(&[])), Verdict::Unknown);
    }

    #[test]
    fn a_function_that_never_works_again_fails_the_drill() {
        let story = story(&[(8_500, Verdict::Fail), (8_700, Verdict::Fail)]);
        assert_eq!(verdict_of(super::RULE, &story), Verdict::Fail);
        let record = crate::judge::judge(&story.entries).unwrap();
        assert_eq!(record.services[0].rto.at_most_ms, None);
        assert_eq!(record.services[0].rto.verdict, Verdict::Fail);
    }

    #[test]
    fn a_function_for_which_the_time_was_up_is_unknown_and_establishes_no_recovery() {
        for verdicts in [
            &[(8_500, Verdict::Unknown)][..],
            &[(8_500, Verdict::Fail), (8_700, Verdict::Fail), (8_900, Verdict::Unknown)],
        ] {
            let story = story(verdicts);
            assert_eq!(verdict_of(super::RULE, &story), Verdict::Unknown);
            let record = crate::judge::judge(&story.entries).unwrap();
            assert_eq!((record.verdict, record.exit_code), (Verdict::Unknown, 11));
            let rto = record.services[0].rto;
            assert_eq!((rto.at_most_ms, rto.verdict), (None, Verdict::Unknown), "{rto:?}");
            let reasons = record.reasons.join("\n");
            assert!(reasons.contains("whether `login` works again could not be told"), "{reasons}");
            assert!(!reasons.contains("never worked again"), "{reasons}");
        }
    }

    #[test]
    fn a_function_that_could_not_be_told_after_failback_is_unknown_and_not_broken() {
        let mut story = story(&[(8_500, Verdict::Pass)]);
        story.function("login", When::AfterFailback, 10_700, Verdict::Unknown);
        assert_eq!(verdict_of(super::RULE, &story), Verdict::Unknown);
        story.function("login", When::AfterFailback, 10_800, Verdict::Fail);
        assert_eq!(verdict_of(super::RULE, &story), Verdict::Fail);
    }

    #[test]
    fn a_function_that_could_not_be_told_at_first_moves_only_the_upper_bound() {
        let story = story(&[(8_500, Verdict::Unknown), (8_700, Verdict::Pass)]);
        let rto = crate::judge::judge(&story.entries).unwrap().services[0].rto;
        assert_eq!((rto.at_least_ms, rto.at_most_ms), (Some(1987.0), Some(3718.0)));
    }

    #[test]
    fn a_function_that_works_late_moves_the_bounds() {
        let plain = crate::judge::judge(&Story::recovered().entries).unwrap();
        let story = story(&[(8_500, Verdict::Fail), (8_700, Verdict::Pass)]);
        let late = crate::judge::judge(&story.entries).unwrap();
        assert!(plain.services[0].rto.at_most_ms.unwrap() < 2_100.0);
        let rto = late.services[0].rto;
        assert!((3_400.0..3_500.0).contains(&rto.at_least_ms.unwrap()), "{rto:?}");
        assert!((3_700.0..3_800.0).contains(&rto.at_most_ms.unwrap()), "{rto:?}");
    }
}
