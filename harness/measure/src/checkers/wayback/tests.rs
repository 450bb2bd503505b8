use std::time::Duration;

use drdrill_core::event::{AbortCause, Event, Milestone};
use drdrill_core::record::ServiceWayBack;
use drdrill_core::sample::Outcome;
use drdrill_core::time::At;
use drdrill_core::verdict::Verdict;
use proptest::prelude::*;

use super::super::testing::{Story, verdict_of};

fn verdict(story: &Story) -> Verdict {
    verdict_of(super::RULE, story)
}

fn figures(story: &Story) -> ServiceWayBack {
    crate::judge::judge(&story.entries).unwrap().failback.unwrap().services.remove(0)
}

#[test]
fn without_a_failback_there_is_no_way_back() {
    let mut story = Story::recovered();
    story.fails(0, 10_100, 10_900);
    assert_eq!(verdict(&story), Verdict::Pass);
    assert_eq!(crate::judge::judge(&story.entries).unwrap().failback, None);
}

#[test]
fn a_way_back_that_nobody_notices_passes_with_its_figures() {
    let story = Story::failed_back();
    assert_eq!(verdict(&story), Verdict::Pass);
    let record = crate::judge::judge(&story.entries).unwrap();
    assert_eq!((record.verdict, record.exit_code), (Verdict::Pass, 0), "{:?}", record.reasons);
    let back = record.failback.unwrap();
    assert_eq!((back.from_ms, back.to_ms), (10_000.0, 10_990.0));
    let service = &back.services[0];
    assert_eq!((service.outage, service.failed_share, service.lost), (None, Some(0.0), Some(0)));
    assert_eq!(service.samples.sent, 100);
}

#[test]
fn the_longest_run_has_hard_bounds_and_is_judged_against_the_objective() {
    let mut story = Story::failed_back();
    story.fails(0, 10_050, 10_060);
    story.fails(0, 10_200, 10_400);
    let service = figures(&story);
    // First failure known 10.201 s, last sent 10.390 s; successes before and after: sent 10.190 s, done 10.401 s.
    let outage = service.outage.unwrap();
    assert_eq!((outage.at_least_ms, outage.at_most_ms), (189.0, Some(211.0)));
    assert_eq!((service.stream.as_deref(), service.failed_share), (Some("write"), Some(0.21)));
    for (target, expected) in [
        (150, Verdict::Fail),
        (200, Verdict::Unknown),
        (211, Verdict::Pass),
        (5_000, Verdict::Pass),
    ] {
        story.targets(Duration::from_millis(target));
        assert_eq!(verdict(&story), expected, "{target}");
    }
}

#[test]
fn what_fails_while_faults_are_taken_back_counts_too() {
    let mut story = Story::failed_back();
    story.fails(0, 10_010, 10_090);
    story.targets(Duration::from_millis(50));
    assert_eq!(verdict(&story), Verdict::Fail);
}

proptest! {
    #[test]
    fn the_bounds_contain_the_truth(from in 10_020_u64..10_400, length in 1_u64..400) {
        let mut story = Story::failed_back();
        story.fails(0, from, from + length);
        let truth = Duration::from_millis(length).as_secs_f64() * 1e3;
        match figures(&story).outage {
            // Between two attempts.
            None => prop_assert!(length < 10),
            Some(outage) => {
                prop_assert!(outage.at_least_ms <= truth, "{outage:?} {truth}");
                prop_assert!(outage.at_most_ms.unwrap() >= truth, "{outage:?} {truth}");
                prop_assert!(outage.at_most_ms.unwrap() - outage.at_least_ms <= 22.0);
            }
        }
    }
}

#[test]
fn a_single_success_does_not_end_an_outage() {
    let mut story = Story::failed_back();
    story.samples(|sample| {
        if (1_010..1_050).contains(&sample.sequence) && sample.sequence % 3 != 0 {
            sample.outcome = Outcome::Failed("refused".into());
        }
    });
    let outage = figures(&story).outage.unwrap();
    assert!(outage.at_least_ms > 380.0, "{outage:?}");
}

#[test]
fn failing_after_failback_fails_whatever_the_objective() {
    let mut story = Story::failed_back();
    story.targets(Duration::from_hours(1));
    story.fails(0, 10_700, 10_710);
    assert_eq!(verdict(&story), Verdict::Pass);
    story.fails(0, 10_900, 10_910);
    assert_eq!(verdict(&story), Verdict::Fail);
    assert_eq!(crate::judge::judge(&story.entries).unwrap().exit_code, 10);
}

#[test]
fn a_way_back_that_ends_in_failures_is_not_passed() {
    let mut story = Story::failed_back();
    story.entries.retain(|entry| {
        !matches!(entry.event, Event::Milestone { milestone: Milestone::FailbackFinished, .. })
    });
    story.fails(0, 10_990, 11_000);
    assert_eq!(verdict(&story), Verdict::Pass);
    story.fails(0, 10_900, 11_000);
    assert_eq!(verdict(&story), Verdict::Unknown);
    assert_eq!(figures(&story).outage.unwrap().at_most_ms, None);
    story.targets(Duration::from_millis(50));
    assert_eq!(verdict(&story), Verdict::Fail);
}

#[test]
fn an_outage_that_began_in_the_soak_goes_on_counting() {
    let mut story = Story::failed_back();
    story.fails(0, 9_990, 10_300);
    let outage = figures(&story).outage.unwrap();
    assert_eq!((outage.at_least_ms, outage.at_most_ms), (289.0, Some(321.0)));
}

#[test]
fn the_outage_of_a_fault_that_nobody_recovered_from_is_not_the_way_back() {
    let mut story = Story::failed_back();
    story.fails(0, 5_010, 10_300);
    story.targets(Duration::from_millis(200));
    assert_eq!(figures(&story).outage, None);
    assert_eq!(verdict(&story), Verdict::Pass);
    let record = crate::judge::judge(&story.entries).unwrap();
    assert_eq!(record.verdict, Verdict::Fail);
    let said = record.findings.iter().find(|finding| finding.checker == "way_back").unwrap();
    assert!(said.message.contains("30 of 100 attempts on the way back failed"), "{}", said.message);
}

#[test]
fn what_was_not_watched_is_unknown() {
    let mut story = Story::failed_back();
    story.drop_samples(|sample| sample.sent >= At::from_millis(10_500));
    assert_eq!(verdict(&story), Verdict::Unknown);
    story.drop_samples(|sample| sample.sent >= At::from_millis(10_000));
    assert_eq!(verdict(&story), Verdict::Unknown);
    assert_eq!(figures(&story).failed_share, None);
}

#[test]
fn a_hole_longer_than_the_objective_can_hide_an_outage_and_so_can_our_own_errors() {
    let mut story = Story::failed_back();
    story.targets(Duration::from_millis(300));
    let hole = At::from_millis(10_100)..At::from_millis(10_450);
    let mut blind = Story::failed_back();
    blind.samples(|sample| {
        if hole.contains(&sample.sent) {
            sample.outcome = Outcome::ProberError("late".into());
        }
    });
    assert_eq!(verdict(&blind), Verdict::Unknown);
    story.drop_samples(|sample| hole.contains(&sample.sent));
    assert_eq!(verdict(&story), Verdict::Unknown);
    story.targets(Duration::from_secs(5));
    assert_eq!(verdict(&story), Verdict::Pass);
}

#[test]
fn a_drill_that_was_aborted_on_the_way_back_is_unknown_unless_it_was_too_long_already() {
    let mut story = Story::failed_back();
    story.entries.retain(|entry| {
        !matches!(entry.event, Event::Milestone { milestone: Milestone::FailbackFinished, .. })
    });
    story.add(10_600, Event::Aborted { cause: AbortCause::Operator, reason: "interrupt".into() });
    assert_eq!(verdict(&story), Verdict::Unknown);
    story.fails(0, 10_100, 10_600);
    assert_eq!(verdict(&story), Verdict::Unknown);
    story.targets(Duration::from_millis(300));
    assert_eq!(verdict(&story), Verdict::Fail);
}
