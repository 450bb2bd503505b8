//! Words for the variants of the core's types, the same in every report.

use std::fmt::Write as _;

use drdrill_core::checker::Severity;
use drdrill_core::event::{Milestone, Stage, StepOutcome, SystemState, When};
use drdrill_core::probe::Connection;
use drdrill_core::record::{Rpo, Samples};

use crate::figures::{count, counted, is_measured};

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

pub(crate) const fn stage(stage: Stage) -> &'static str {
    match stage {
        Stage::Preparing => "preparing",
        Stage::Baseline => "baseline",
        Stage::Fault => "fault",
        Stage::Recovery => "recovery",
        Stage::Soak => "soak",
        Stage::Undo => "undo",
        Stage::Failback => "failback",
        Stage::Audit => "audit",
        Stage::Closing => "closing",
    }
}

pub(crate) const fn milestone(milestone: Milestone) -> &'static str {
    match milestone {
        Milestone::Detected => "detected",
        Milestone::Decided => "decided",
        Milestone::FailedOver => "failed over",
        Milestone::FailbackStarted => "failback starts",
        Milestone::FailbackFinished => "failback ends",
    }
}

pub(crate) const fn state(state: SystemState) -> &'static str {
    match state {
        SystemState::Healthy => "healthy",
        SystemState::Degraded => "degraded",
        SystemState::FailingOver => "failing over",
        SystemState::FailedOver => "failed over",
        SystemState::FailingBack => "failing back",
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

fn append(text: &mut String, counts: &[(u64, &str)]) {
    for (number, word) in counts.iter().filter(|(number, _)| *number > 0) {
        let _infallible = write!(text, " · {} {word}", count(*number));
    }
}
