//! What the fault must not touch.

use drdrill_core::checker::Finding;
use drdrill_core::event::Milestone;
use drdrill_core::time::At;

use super::{Rule, critical, fine, unknown, warning};
use crate::judge::case::Case;
use crate::judge::shots::{Shot, ratio};
use crate::judge::streams::StreamStory;

const NAME: &str = "blast_radius";

/// Smallest share of successes of a bystander while the fault is in effect: that of a sustained window.
const LEAST: f64 = 0.999;

/// Streams outside the blast radius keep working: from the fault until it is taken back, and from there to the end.
pub(super) const RULE: Rule = Rule::new(NAME, look);

fn look(case: &Case<'_>) -> Vec<Finding> {
    let mut found: Vec<Finding> = case
        .bystanders
        .iter()
        .flat_map(|story| [Some(in_effect(story, case)), way_back(story, case)])
        .flatten()
        .collect();
    if found.is_empty() {
        found.push(fine(NAME, "no bystander was watched"));
    }
    found
}

/// While the fault was in effect; in a drill without faults, all the time.
fn in_effect(story: &StreamStory<'_>, case: &Case<'_>) -> Finding {
    let name = &story.stream.facts.name;
    let from = case.disasters.first().map_or(At(0), |first| first.from);
    let until = case.waiting.until;
    let (failed, usable) = count(story, |shot| shot.done > from && shot.sent <= until);
    let text = format!("bystander {name}: {failed} of {usable} attempts failed");
    if case.has_faults() && case.disasters.is_empty() {
        unknown(
            NAME,
            format!("bystander {name}: no fault was in effect that could have reached it"),
        )
    } else if usable == 0 {
        unknown(NAME, format!("bystander {name} was not watched while the fault was in effect"))
    } else if let Some(why) = story.baseline.unhealthy().filter(|_| case.has_faults()) {
        unknown(NAME, format!("bystander {name} was not well before the fault: {why}"))
    } else {
        judge(text, failed, usable, "the fault reached beyond its blast radius")
    }
}

/// While the faults were taken back and during failback. Without samples there is something to say only when a
/// failback was watched.
fn way_back(story: &StreamStory<'_>, case: &Case<'_>) -> Option<Finding> {
    let name = &story.stream.facts.name;
    let from = case.way_back()?;
    let (failed, usable) = count(story, |shot| shot.sent > from);
    let text = format!("bystander {name}: {failed} of {usable} attempts failed on the way back");
    if usable > 0 {
        // What was never well is said once.
        let well = story.baseline.unhealthy().is_none();
        let why = "taking the fault back reached beyond its blast radius";
        well.then(|| judge(text, failed, usable, why))
    } else {
        let begun = case.digest.milestone(Milestone::FailbackStarted).is_some();
        begun.then(|| unknown(NAME, format!("bystander {name} was not watched during failback")))
    }
}

fn count(story: &StreamStory<'_>, counts: impl Fn(&Shot) -> bool) -> (u64, u64) {
    let shots = story.stream.shots.iter().filter(|shot| counts(shot));
    shots.fold((0, 0), |(failed, usable), shot| {
        let failure = u64::from(shot.is_failure());
        (failed + failure, usable + failure + u64::from(shot.is_ok()))
    })
}

fn judge(text: String, failed: u64, usable: u64, why: &str) -> Finding {
    if failed == 0 {
        fine(NAME, text)
    } else if failed > 1 && 1.0 - ratio(failed, usable) < LEAST {
        critical(NAME, format!("{text}: {why}"))
    } else {
        warning(NAME, text)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Story, verdict_of};
    use drdrill_core::event::{Event, Milestone};
    use drdrill_core::time::At;
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
    fn a_bystander_that_fails_while_faults_are_taken_back_fails_the_drill() {
        // Undo begins at 10 s; 5 of 100 attempts after it, and none before.
        let story = Story::with_bystander(|ms| !(10_100..10_150).contains(&ms));
        assert_eq!(verdict_of(super::RULE, &story), Verdict::Fail);
        let blip = Story::with_bystander(|ms| !(10_100..10_110).contains(&ms));
        assert_eq!(verdict_of(super::RULE, &blip), Verdict::Pass);
    }

    #[test]
    fn a_bystander_that_nobody_watched_during_failback_is_unknown() {
        let mut story = Story::with_bystander(|_| true);
        story.asks_for_failback();
        story.milestone(10_300, Milestone::FailbackStarted);
        assert_eq!(verdict_of(super::RULE, &story), Verdict::Pass);
        story.drop_samples(|sample| sample.stream == 1 && sample.sent >= At::from_millis(10_000));
        assert_eq!(verdict_of(super::RULE, &story), Verdict::Unknown);
    }

    #[test]
    fn without_a_fault_in_effect_no_fault_reached_a_bystander() {
        let mut story = Story::with_bystander(|ms| !(5_100..5_150).contains(&ms));
        story.entries.retain(|entry| !matches!(entry.event, Event::FaultInEffect { .. }));
        assert_eq!(verdict_of(super::RULE, &story), Verdict::Unknown);
    }

    #[test]
    fn a_bystander_that_was_never_well_is_unknown() {
        let story = Story::with_bystander(|_| false);
        assert_eq!(verdict_of(super::RULE, &story), Verdict::Unknown);
    }
}
