//! Words for the variants of the core's types, the same in every report.

use std::fmt::Write as _;

use drdrill_core::checker::Severity;
use drdrill_core::event::{Milestone, StepOutcome, When};
use drdrill_core::notice::NoticeKind;
use drdrill_core::probe::Connection;
use drdrill_core::record::{FollowedStep, Record, Rpo, Samples, Service};
use drdrill_core::reporter::Run;
use drdrill_core::runbook::Phase;
use drdrill_core::tabletop::StepResult;

use crate::figures::{self, count, counted, is_measured};

/// How a report is verified that lies outside of its run directory.
pub(crate) const VERIFY_REPORT: &str = "A report that was written to a file of its own (drdrill report … --out REPORT) has its \
    signature beside it: drdrill verify REPORT, or";

/// Why the evidence of a run is to be doubted; nothing where it is not.
pub(crate) fn doubt(run: Run<'_>) -> Option<String> {
    let doubt = run.doubt?;
    Some(format!(
        "The evidence of this run is {doubt}. A signature over this report does not prove it."
    ))
}

pub(crate) const fn when(when: When) -> &'static str {
    match when {
        When::BeforeFault => "before the fault",
        When::AfterRecovery => "after recovery",
        When::AfterFailback => "after failback",
    }
}

pub(crate) const fn step(outcome: StepOutcome) -> &'static str {
    match outcome {
        StepOutcome::Done => "done",
        StepOutcome::Failed => "failed",
        StepOutcome::Skipped => "skipped",
    }
}

/// How a step of a runbook that was followed ended, if it did.
pub(crate) const fn followed(step: &FollowedStep) -> &'static str {
    match (step.outcome, step.started_ms) {
        (Some(StepOutcome::Done), _) => "done",
        (Some(StepOutcome::Failed), _) => "FAILED",
        (Some(StepOutcome::Skipped), _) => "skipped",
        (None, Some(_)) => "NEVER DONE",
        (None, None) if matches!(step.phase, Phase::Close) => "comes after the drill",
        (None, None) => "not reached",
    }
}

/// How long it took.
pub(crate) fn took(step: &FollowedStep) -> String {
    let took = step.finished_ms.zip(step.started_ms).map(|(to, from)| figures::duration(to - from));
    took.unwrap_or_else(|| "-".to_owned())
}

/// What the runbook says of a step that did not work; nothing of one that did.
pub(crate) fn otherwise(step: &FollowedStep) -> &str {
    let worked = step.started_ms.is_none() || step.outcome == Some(StepOutcome::Done);
    if worked { "" } else { step.otherwise.as_deref().unwrap_or_default() }
}

pub(crate) const fn step_result(result: StepResult) -> &'static str {
    match result {
        StepResult::Done => "done",
        StepResult::Failed => "FAILED",
        StepResult::Skipped => "skipped",
    }
}

pub(crate) const fn connection(connection: Connection) -> &'static str {
    match connection {
        Connection::Fresh => "fresh",
        Connection::Kept => "kept",
    }
}

pub(crate) const fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "info",
        Severity::Warning => "warning",
        Severity::Critical => "critical",
    }
}

pub(crate) const fn milestone(milestone: Milestone) -> &'static str {
    match milestone {
        Milestone::Detected => "detected",
        Milestone::Decided => "decided",
        Milestone::FailedOver => "failed over",
        Milestone::Restored => "restored",
        Milestone::FailbackStarted => "failback starts",
        Milestone::FailbackFinished => "failback ends",
    }
}

pub(crate) const fn notice(kind: NoticeKind) -> &'static str {
    match kind {
        NoticeKind::Begun => "the drill begins",
        NoticeKind::Affected => "services may be affected",
        NoticeKind::Recovering => "the recovery begins",
        NoticeKind::Update => "not yet back",
        NoticeKind::Restored => "the services are good",
        NoticeKind::LeftInPlace => "something could not be taken back",
        NoticeKind::Aborted => "the drill is aborted",
        NoticeKind::Over => "the drill is over",
        NoticeKind::Withdrawn => "what was told does not hold",
        NoticeKind::Test => "a trial",
    }
}

/// Counts of samples: `3,000 sent · 2,825 ok · 175 failed`. What is zero is left out, but for what was asked first.
pub(crate) fn samples(samples: Samples) -> String {
    let rest = [
        (samples.failed, "failed"),
        (samples.unknown, "unknown"),
        (samples.prober_error, "prober errors"),
    ];
    let mut text = format!("{} sent · {} ok", count(samples.sent), count(samples.ok));
    append(&mut text, &rest);
    text
}

/// Counts of writes, one class after the other. Lost ones are always named.
pub(crate) fn writes(rpo: &Rpo) -> String {
    let writes = rpo.writes;
    if !is_measured(rpo) {
        let told = counted(writes.acknowledged, "write acknowledged", "writes acknowledged");
        return format!("{told}; how many were lost is not known");
    }
    let rest = [
        (rpo.lost_after_fault, "acknowledged after the fault and lost"),
        (rpo.holes, "survivors later than the first loss"),
        (writes.duplicate, "duplicate"),
        (writes.phantom, "phantom"),
        (writes.corrupt, "corrupt"),
        (writes.resurrected, "resurrected"),
        (writes.recovered, "of unknown outcome and present"),
        (writes.unresolved, "of unknown outcome and absent"),
        (rpo.failback_lost.unwrap_or(0), "lost on the way back"),
    ];
    let mut text =
        format!("{} acknowledged · {} lost", count(writes.acknowledged), count(writes.lost));
    append(&mut text, &rest);
    text
}

/// What clients of a service saw on the way back: `write unavailable 310 ms [289, 331]; 21 of 100 attempts failed
/// (21 %); 0 lost`. `None` without a way back.
pub(crate) fn way_back(record: &Record, service: &Service) -> Option<String> {
    let mut services = record.failback.as_ref()?.services.iter();
    let back = services.find(|back| back.name == service.name)?;
    let failed = back.samples.failed + back.samples.unknown;
    let usable = failed + back.samples.ok;
    let of = format!("{} of {} attempts failed", count(failed), count(usable));
    let seen = match (&back.outage, usable, failed) {
        (_, 0, _) => "not watched".to_owned(),
        (None, _, 0) => format!("no failure in {} attempts", count(usable)),
        (None, ..) => format!("no outage but that of the fault; {of}"),
        (Some(outage), ..) => format!(
            "{} unavailable {}; {of} ({})",
            back.stream.as_deref().unwrap_or(&back.name),
            figures::outage(Some(*outage)),
            figures::share(failed, usable)
        ),
    };
    let lost = match back.lost {
        Some(lost) => format!("; {} lost", count(lost)),
        None if service.rpo.is_some() && record.phases.failback_started_ms.is_some() => {
            "; what was lost is not known".to_owned()
        }
        None => String::new(),
    };
    Some(seen + &lost)
}

fn append(text: &mut String, counts: &[(u64, &str)]) {
    for (number, word) in counts.iter().filter(|(number, _)| *number > 0) {
        let _infallible = write!(text, " · {} {word}", count(*number));
    }
}

#[cfg(test)]
mod tests {
    use drdrill_core::record::Interval;

    use super::*;
    use crate::testkit::{Case, Fixture};

    #[test]
    fn the_way_back_is_told_with_its_longest_outage_and_its_loss() {
        let mut record = Fixture::build(Case::Passed).record;
        let told = |record: &Record| way_back(record, &record.services[0]).unwrap();
        let back = &mut record.failback.as_mut().unwrap().services[0];
        back.samples = Samples { sent: 100, ok: 79, failed: 20, unknown: 1, prober_error: 0 };
        back.outage = Some(Interval { at_least_ms: 289.0, at_most_ms: Some(331.0) });
        back.stream = Some("write".to_owned());
        let text = told(&record);
        let seen = "write unavailable 310 ms [289, 331]; 21 of 100 attempts failed (21 %); 0 lost";
        assert_eq!(text, seen);
        record.failback.as_mut().unwrap().services[0].lost = None;
        assert!(told(&record).ends_with("; what was lost is not known"));
        record.phases.failback_started_ms = None;
        assert!(told(&record).ends_with("failed (21 %)"));
        record.failback = None;
        assert_eq!(way_back(&record, &record.services[0]), None);
    }
}
