//! A system that fails over although nothing is broken.

use drdrill_core::checker::Finding;

use super::{Rule, fine, unknown};
use crate::judge::case::Case;

const NAME: &str = "failover_after_fault";

/// No failover was decided or carried out before the first fault: what such a drill breaks afterwards is the site
/// that serves no more, and its recovery proves nothing.
pub(super) const RULE: Rule = Rule::new(NAME, look);

fn look(case: &Case<'_>) -> Vec<Finding> {
    let Some(early) = case.digest.failed_over_early() else {
        return vec![fine(NAME, "no failover was decided before a fault")];
    };
    let at = early.ms() / 1e3;
    vec![unknown(NAME, format!("the system failed over before anything was broken, at {at:.3} s"))]
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Story, verdict_of};
    use drdrill_core::event::{AbortCause, Event, Milestone, StepOutcome};
    use drdrill_core::verdict::Verdict;

    #[test]
    fn a_failover_after_the_fault_passes() {
        let mut story = Story::recovered();
        story.milestone(5_800, Milestone::Decided);
        story.milestone(6_900, Milestone::FailedOver);
        assert_eq!(verdict_of(super::RULE, &story), Verdict::Pass);
    }

    #[test]
    fn a_failover_before_the_fault_is_unknown_and_measures_nothing() {
        let mut story = Story::recovered();
        story.milestone(3_000, Milestone::Detected);
        story.milestone(3_100, Milestone::Decided);
        // The standby serves already when the fault comes: clients see nothing.
        story.samples(|sample| sample.outcome = drdrill_core::sample::Outcome::Ok);
        story.found(|found| found.present = (0..1_100).collect());
        assert_eq!(verdict_of(super::RULE, &story), Verdict::Unknown);
        let record = crate::judge::judge(&story.entries).unwrap();
        assert_eq!((record.verdict, record.exit_code), (Verdict::Unknown, 11));
        let service = &record.services[0];
        assert_eq!((service.rto.at_least_ms, service.rto.at_most_ms), (None, None));
        assert_eq!(service.rto.verdict, Verdict::Unknown);
        let rpo = service.rpo.as_ref().unwrap();
        assert_eq!((rpo.at_least_ms, rpo.verdict), (None, Verdict::Unknown));
        let phases = record.phases;
        assert_eq!(
            (phases.detected_ms, phases.decided_ms, phases.failed_over_ms),
            (None, None, None)
        );
    }

    #[test]
    fn a_failover_that_was_decided_early_and_carried_out_late_is_unknown_too() {
        let mut story = Story::recovered();
        story.milestone(4_900, Milestone::Decided);
        story.milestone(6_900, Milestone::FailedOver);
        assert_eq!(verdict_of(super::RULE, &story), Verdict::Unknown);
    }

    #[test]
    fn a_drill_that_was_aborted_for_it_is_unknown_and_not_failed() {
        let mut story = Story::with_bystander(|ms| ms % 500 != 0);
        story.entries.retain(|entry| {
            let is_fault = matches!(
                entry.event,
                Event::FaultPlanned { .. }
                    | Event::FaultApplying { .. }
                    | Event::FaultInEffect { .. }
                    | Event::FaultReverted { .. }
                    | Event::WritesFound { .. }
                    | Event::StageStarted(_)
            );
            let is_late = matches!(&entry.event, Event::Sample(sample) if sample.sequence > 400);
            !is_fault && !is_late
        });
        story.milestone(3_100, Milestone::Decided);
        story.step("promote", 3_200, StepOutcome::Failed, false);
        let reason = "the system failed over before anything was broken".into();
        story.add(4_000, Event::Aborted { cause: AbortCause::Failure, reason });
        story.asks_for_failback();
        let record = crate::judge::judge(&story.entries).unwrap();
        assert_eq!(
            (record.verdict, record.exit_code),
            (Verdict::Unknown, 11),
            "{:?}",
            record.findings
        );
        assert_eq!(record.failback, None);
    }

    #[test]
    fn an_alarm_in_the_baseline_is_no_finding_and_not_the_detection() {
        let mut story = Story::recovered();
        story.milestone(2_000, Milestone::Detected);
        assert_eq!(verdict_of(super::RULE, &story), Verdict::Pass);
        assert_eq!(crate::judge::judge(&story.entries).unwrap().phases.detected_ms, None);
        story.milestone(5_500, Milestone::Detected);
        story.milestone(5_002, Milestone::Decided);
        let phases = crate::judge::judge(&story.entries).unwrap().phases;
        assert_eq!((phases.detected_ms, phases.decided_ms), (Some(5500.0), Some(5002.0)));
    }
}
