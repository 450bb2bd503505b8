//! What the fault must not touch.

use drdrill_core::checker::Finding;
use drdrill_core::time::At;

use super::{Rule, critical, fine, unknown, warning};
use crate::judge::case::Case;
use crate::judge::shots::ratio;
use crate::judge::streams::StreamStory;

const NAME: &str = "blast_radius";

/// Smallest share of successes of a bystander while the fault is in effect: that of a sustained window.
const LEAST: f64 = 0.999;

/// Streams outside the blast radius keep working from the fault until it is taken back.
pub(super) const RULE: Rule = Rule::new(NAME, look);

fn look(case: &Case<'_>) -> Vec<Finding> {
    let mut found: Vec<Finding> = case.bystanders.iter().map(|story| one(story, case)).collect();
    if found.is_empty() {
        found.push(fine(NAME, "no bystander was watched"));
    }
    found
}

fn one(story: &StreamStory<'_>, case: &Case<'_>) -> Finding {
    let name = &story.stream.facts.name;
    let from = case.disasters.first().map_or(At(0), |first| first.from);
    let (mut failed, mut usable) = (0, 0);
    for shot in &story.stream.shots {
        if shot.done > from && shot.sent <= case.waiting.until {
            failed += u64::from(shot.is_failure());
            usable += u64::from(shot.is_failure() || shot.is_ok());
        }
    }
    let text = format!("bystander {name}: {failed} of {usable} attempts failed");
    if usable == 0 {
        unknown(NAME, format!("bystander {name} was not watched while the fault was in effect"))
    } else if let Some(why) = story.baseline.unhealthy().filter(|_| case.has_faults()) {
        unknown(NAME, format!("bystander {name} was not well before the fault: {why}"))
    } else if failed == 0 {
        fine(NAME, text)
    } else if failed > 1 && 1.0 - ratio(failed, usable) < LEAST {
        critical(NAME, format!("{text}: the fault reached beyond its blast radius"))
    } else {
        warning(NAME, text)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Story, verdict_of};
    use drdrill_core::verdict::Verdict;

    #[test]
    fn an_untouched_bystander_passes() {
        let story = Story::with_bystander(|_| true);
        assert_eq!(verdict_of(super::RULE, &story), Verdict::Pass);
    }

    #[test]
    fn a_bystander_that_fails_with_the_service_fails_the_drill() {
        let story = Story::with_bystander(|ms| !(5_100..5_300).contains(&ms));
        assert_eq!(verdict_of(super::RULE, &story), Verdict::Fail);
        assert_eq!(crate::judge::judge(&story.entries).unwrap().exit_code, 10);
    }

    #[test]
    fn a_bystander_that_was_never_well_is_unknown() {
        let story = Story::with_bystander(|_| false);
        assert_eq!(verdict_of(super::RULE, &story), Verdict::Unknown);
    }
}
