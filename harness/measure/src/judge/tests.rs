//! Single cases with figures worked out by hand.

use std::time::Duration;

use drdrill_core::environment::FoundWrites;
use drdrill_core::event::{Event, Milestone, Stage, StepOutcome, When};
use drdrill_core::record::{Record, Rpo};
use drdrill_core::sample::Outcome;
use drdrill_core::time::At;
use drdrill_core::verdict::Verdict;

use super::judge;
use crate::checkers::testing::Story;

fn record(story: &Story) -> Record {
    judge(&story.entries).unwrap()
}

fn rpo(story: &Story) -> Rpo {
    record(story).services[0].rpo.clone().unwrap()
}

#[test]
fn an_empty_history_is_no_drill() {
    assert_eq!(judge(&[]), Err(super::JudgeError::NoStart));
}

#[test]
fn a_clean_recovery_passes_with_its_figures() {
    let record = record(&Story::recovered());
    let reasons = &record.reasons;
    assert_eq!((record.verdict, record.exit_code), (Verdict::Pass, 0), "{reasons:?}");
    let service = &record.services[0];
    // Fault 5.002 to 5.003 s; last failure sent 6.990 s; first success done 7.001 s.
    assert_eq!(service.rto.at_least_ms, Some(1987.0));
    assert_eq!(service.rto.at_most_ms, Some(1999.0));
    // Last success before sent 5.000 s but not before the fault; first failure known 5.011 s.
    let outage = service.outage.unwrap();
    assert_eq!((outage.at_least_ms, outage.at_most_ms), (1979.0, Some(1999.0)));
    assert_eq!(service.first_success_ms, Some(1999.0));
    assert_eq!(service.flaps, 0);
    let lost = service.lost_service_ms.unwrap();
    assert!((1950.0..2050.0).contains(&lost), "{lost}");
    assert_eq!(record.phases.first_error_ms, Some(5011.0));
    assert_eq!(record.phases.restored_ms, Some(7001.0));
    assert_eq!(service.rlo.achieved, Some(1.0));
    let rpo = service.rpo.as_ref().unwrap();
    assert_eq!((rpo.at_least_ms, rpo.at_most_ms), (Some(0.0), Some(0.0)));
    assert_eq!(rpo.resolution_ms, Some(10.0));
    assert!(
        reasons.iter().any(|reason| reason.contains("0 of 751 acknowledged writes lost")),
        "{reasons:?}"
    );
}

#[test]
fn the_age_of_a_loss_has_bounds_and_holes_are_counted() {
    let mut story = Story::recovered();
    // Sent 4.950 s, acknowledged 4.951 s; 497 survives.
    story.lose(|sequence| (495..=500).contains(&sequence) && sequence != 497);
    let rpo = rpo(&story);
    assert_eq!((rpo.at_least_ms, rpo.at_most_ms), (Some(51.0), Some(53.0)));
    assert_eq!((rpo.writes.lost, rpo.lost_after_fault, rpo.holes), (5, 0, 1));
    assert_eq!((rpo.span_ms, rpo.lost_bytes), (50.0, 5 * 64));
    assert_eq!((rpo.verdict, record(&story).exit_code), (Verdict::Fail, 10));
}

#[test]
fn a_write_acknowledged_after_the_read_back_began_is_not_lost() {
    let mut story = Story::recovered();
    story.lose(|_| false);
    let rpo = rpo(&story);
    // 950 slots before 9.5 s, 199 of them failed; writes after it are not judged.
    assert_eq!((rpo.writes.acknowledged, rpo.writes.lost), (751, 0));
}

#[test]
fn indeterminate_writes_are_neither_lost_nor_phantom() {
    let mut story = Story::recovered();
    story.samples(|sample| {
        if sample.sequence == 510 || sample.sequence == 511 {
            sample.outcome = Outcome::Unknown("deadline".into());
        }
    });
    story.found(|found| assert!(found.present.insert(510)));
    let writes = rpo(&story).writes;
    assert_eq!((writes.recovered, writes.unresolved), (1, 1));
    assert_eq!((writes.lost, writes.phantom), (0, 0));
}

#[test]
fn the_way_back_has_its_own_loss_and_what_returns_is_resurrected() {
    let mut story = Story::recovered();
    story.lose(|sequence| sequence == 498 || sequence == 499);
    let started = At::from_millis(11_000);
    // 498 is back, 499 is not, and 900 got lost on the way.
    let present = (0..1_100).filter(|id| !(501..700).contains(id) && *id != 499 && *id != 900);
    let found = FoundWrites { present: present.collect(), ..FoundWrites::default() };
    let (site, service, when) = ("primary".into(), "app".into(), When::AfterFailback);
    let event = Event::WritesFound { site, service, when, started, authoritative: true, found };
    story.add(11_100, event);
    let rpo = rpo(&story);
    assert_eq!((rpo.writes.lost, rpo.writes.resurrected, rpo.failback_lost), (2, 1, Some(1)));
}

#[test]
fn a_service_that_comes_back_only_because_the_drill_undid_the_fault_fails() {
    let mut story = Story::bare(true);
    story.stream(0, |ms| !(5_001..10_001).contains(&ms));
    let recovered = Story::recovered();
    let faults = recovered.entries.iter().filter(|entry| {
        matches!(
            entry.event,
            Event::FaultPlanned { .. }
                | Event::FaultApplying { .. }
                | Event::FaultInEffect { .. }
                | Event::FaultReverted { .. }
                | Event::StageStarted(Stage::Undo)
        )
    });
    story.entries.extend(faults.cloned());
    story.targets(Duration::from_hours(1));
    let record = record(&story);
    assert_eq!((record.verdict, record.exit_code), (Verdict::Fail, 10));
    let text = &record.reasons[0];
    assert!(text.contains("never restored within 4.997 s; the drill stopped waiting"), "{text}");
}

#[test]
fn a_failed_failover_that_was_waited_for_is_never_restored_and_the_objective_is_not_called_missed()
{
    let mut story = Story::recovered();
    story.fails(0, 5_001, 11_000);
    story.milestone(5_500, Milestone::Decided);
    story.step("promote", 5_600, StepOutcome::Failed, false);
    story.step("promote", 5_700, StepOutcome::Done, true);
    story.targets(Duration::from_secs(15));
    let reasons = |story: &Story| {
        let record = record(story);
        assert_eq!((record.verdict, record.exit_code), (Verdict::Fail, 10));
        assert_eq!(record.services[0].rto.at_most_ms, None);
        record.reasons.join("\n")
    };
    let text = reasons(&story);
    assert!(text.contains("never restored within 4.997 s; the drill stopped waiting"), "{text}");
    assert!(!text.contains("missed"), "{text}");
    story.targets(Duration::from_secs(4));
    let text = reasons(&story);
    assert!(
        text.contains("more than 4.997 s; the objective is 4.000 s, which is missed"),
        "{text}"
    );
}

#[test]
fn a_window_that_was_not_watched_to_its_end_is_not_established() {
    let mut story = Story::recovered();
    story.entries.retain(|entry| !matches!(entry.event, Event::StageStarted(_)));
    story.add(7_700, Event::StageStarted(Stage::Undo));
    let rto = record(&story).services[0].rto;
    assert_eq!((rto.at_least_ms, rto.at_most_ms), (Some(1987.0), None));
    assert_eq!(rto.verdict, Verdict::Unknown);
}

#[test]
fn a_target_inside_the_interval_is_unknown() {
    let mut story = Story::recovered();
    story.targets(Duration::from_millis(1_990));
    assert_eq!(record(&story).services[0].rto.verdict, Verdict::Unknown);
    story.targets(Duration::from_millis(1_980));
    assert_eq!(record(&story).services[0].rto.verdict, Verdict::Fail);
    story.targets(Duration::from_millis(1_999));
    assert_eq!(record(&story).services[0].rto.verdict, Verdict::Pass);
}

#[test]
fn nothing_failed_is_an_outcome_of_its_own() {
    let mut story = Story::recovered();
    story.samples(|sample| sample.outcome = Outcome::Ok);
    story.found(|found| found.present = (0..2_000).filter(|id| *id < 1_100).collect());
    let record = record(&story);
    let service = &record.services[0];
    assert_eq!(service.outage, None);
    assert_eq!((service.rto.at_least_ms, service.rto.at_most_ms), (Some(0.0), Some(11.0)));
    assert!(record.reasons.iter().any(|reason| reason.contains("nothing failed")));
}

#[test]
fn too_many_errors_of_our_own_make_the_recovery_time_unknown() {
    let mut story = Story::recovered();
    story.samples(|sample| {
        if sample.sequence % 10 == 0 {
            sample.outcome = Outcome::ProberError("late".into());
        }
    });
    assert_eq!(record(&story).services[0].rto.verdict, Verdict::Unknown);
}

#[test]
fn what_is_left_in_place_outranks_everything() {
    let mut story = Story::recovered();
    story.entries.retain(|entry| !matches!(entry.event, Event::FaultReverted { .. }));
    let (error, residue, by_hand) = ("no".into(), vec!["a rule".into()], "undo it".into());
    story.add(10_002, Event::FaultStuck { id: 1, error, residue, by_hand });
    let record = record(&story);
    assert_eq!((record.verdict, record.exit_code), (Verdict::Fail, 12));
    assert_eq!(record.leftovers[0].kind, "site_loss");
}

#[test]
fn a_record_survives_being_written_down() {
    let story = Story::recovered();
    let text: Vec<String> =
        story.entries.iter().map(|entry| serde_json::to_string(entry).unwrap()).collect();
    let read: Vec<_> = text.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(judge(&read).unwrap(), record(&story));
}
