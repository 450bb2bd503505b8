//! What happened, in order, without the samples.

use drdrill_core::event::{AbortCause, Entry, Event};

use crate::figures::{counted, duration};
use crate::words;

/// One line of the log.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// When it happened, in milliseconds of the drill.
    pub at_ms: f64,
    /// What kind of thing it is.
    pub what: &'static str,
    /// The thing itself. It holds foreign strings: escape it.
    pub text: String,
}

/// Every event of a history but its samples, in order of time.
#[must_use]
pub fn log(history: &[Entry]) -> Vec<Line> {
    let mut lines: Vec<Line> = history.iter().filter_map(line).collect();
    lines.sort_by(|a, b| a.at_ms.total_cmp(&b.at_ms));
    lines
}

fn line(entry: &Entry) -> Option<Line> {
    let (what, text) = tell(&entry.event)?;
    let at_ms = match &entry.event {
        Event::FaultApplying { from: at, .. }
        | Event::FaultInEffect { at, .. }
        | Event::FaultReverted { at, .. }
        | Event::Milestone { at, .. }
        | Event::Step { finished: at, .. }
        | Event::RunbookStep { finished: at, .. }
        | Event::FunctionChecked { finished: at, .. } => at.ms(),
        _ => entry.at.ms(),
    };
    Some(Line { at_ms, what, text })
}

fn tell(event: &Event) -> Option<(&'static str, String)> {
    let told = match event {
        Event::Sample(_) => return None,
        Event::DrillStarted(started) => {
            ("drill", format!("run {} of {} starts", started.run_id, started.scenario.scenario))
        }
        Event::DrillFinished { finished_at } => ("drill", format!("ends at {finished_at}")),
        Event::StageStarted(stage) => ("stage", stage.word().to_owned()),
        Event::Milestone { milestone, .. } => {
            ("milestone", words::milestone(*milestone).to_owned())
        }
        Event::StateChanged { from, to, reason } => {
            ("state", format!("{} → {}: {reason}", from.word(), to.word()))
        }
        Event::HealthCheckFailed { site, kind, in_a_row, detail } => {
            ("health", format!("{kind} of {site} fails, {in_a_row} in a row: {detail}"))
        }
        Event::ClockStepped { by_ns } => {
            #[expect(clippy::cast_precision_loss, reason = "shown with three figures")]
            let by = duration(*by_ns as f64 / 1e6);
            ("clock", format!("the wall clock moved by {by}"))
        }
        Event::Aborted { cause, reason } => {
            let cause = match cause {
                AbortCause::StopCondition => "a stop condition",
                AbortCause::Operator => "the operator",
                AbortCause::Guard => "a guard",
                AbortCause::Failure => "a failure",
            };
            ("aborted", format!("by {cause}: {reason}"))
        }
        Event::Notified { to, by, kind, error, .. } => {
            let about = words::notice(*kind);
            let outcome = error
                .as_ref()
                .map_or_else(|| "told".to_owned(), |error| format!("COULD NOT BE TOLD: {error}"));
            ("notice", format!("{to} by {by}, that {about}: {outcome}"))
        }
        Event::Note { text } => ("note", text.clone()),
        fault => {
            return tell_fault(fault)
                .or_else(|| tell_recovery(fault))
                .or_else(|| tell_exercise(fault))
                .or_else(|| tell_runbook(fault));
        }
    };
    Some(told)
}

fn tell_exercise(event: &Event) -> Option<(&'static str, String)> {
    let text = match event {
        Event::TabletopStarted { runbook, participants, .. } => {
            let present = participants.iter().filter(|one| one.present).count();
            format!("{present} of {} are there; runbook {}", participants.len(), runbook.runbook)
        }
        Event::TabletopStep { answer, .. } => {
            let takes = answer.takes.map_or_else(String::new, |takes| format!(", takes {takes}"));
            let result = words::step_result(answer.result);
            format!("{}: {result}{takes}; {}", answer.step, answer.decision)
        }
        Event::TabletopConcluded { conclusion } => {
            counted(conclusion.actions.len() as u64, "action", "actions")
        }
        _ => return None,
    };
    Some(("exercise", text))
}

fn tell_runbook(event: &Event) -> Option<(&'static str, String)> {
    let text = match event {
        Event::RunbookFollowed { runbook, scripted, .. } => {
            let answers = if *scripted { "come from a file" } else { "are given at a terminal" };
            format!("{} is followed; answers {answers}", runbook.runbook)
        }
        Event::RunbookStepStarted { step, by, who, .. } => {
            format!("step {step} begins, by {} ({who})", by.word())
        }
        Event::RunbookStep { step, started, finished, outcome, note } => {
            let took = duration(drdrill_core::time::millis(finished.since(*started)));
            format!("step {step}: {} in {took}; {note}", words::step(*outcome))
        }
        Event::CommandPlanned { id, name } => {
            format!("{id}: the undo of command {name} is on disk")
        }
        Event::CommandTakenBack { id, .. } => format!("{id}: command taken back"),
        Event::CommandStuck { name, error, .. } => {
            format!("command {name} COULD NOT BE TAKEN BACK: {error}")
        }
        _ => return None,
    };
    Some(("runbook", text))
}

fn tell_fault(event: &Event) -> Option<(&'static str, String)> {
    let text = match event {
        Event::FaultPlanned { id, kind, target, via, .. } => {
            format!("{id} planned: {kind} on {target} via {via}")
        }
        Event::FaultApplying { id, .. } => format!("{id} is being applied"),
        Event::FaultApplyFailed { id, error } => format!("{id} could not be applied: {error}"),
        Event::FaultInEffect { id, proof, .. } => format!("{id} in effect: {proof}"),
        Event::FaultWithoutEffect { id, detail } => format!("{id} WITHOUT EFFECT: {detail}"),
        Event::FaultEnded { id, detail, .. } => format!("{id} ENDED BY ITSELF: {detail}"),
        Event::FaultReverted { id, .. } => format!("{id} taken back, seen to be gone"),
        Event::FaultStuck { id, error, .. } => format!("{id} COULD NOT BE TAKEN BACK: {error}"),
        Event::EnvironmentStuck { name, error, .. } => {
            format!("environment {name} COULD NOT BE TAKEN DOWN: {error}")
        }
        _ => return None,
    };
    Some(("fault", text))
}

fn tell_recovery(event: &Event) -> Option<(&'static str, String)> {
    let told = match event {
        Event::Step { name, action, site, started, finished, outcome, rollback, detail } => {
            let rollback = if *rollback { "rollback of " } else { "" };
            let took = duration(drdrill_core::time::millis(finished.since(*started)));
            (
                "step",
                format!(
                    "{rollback}{name} ({action}) at {site}: {} in {took}; {detail}",
                    words::step(*outcome)
                ),
            )
        }
        Event::FunctionChecked { name, site, when, verdict, detail, .. } => (
            "function",
            format!("{name} at {site} {}: {}; {detail}", words::when(*when), verdict.word()),
        ),
        Event::ReplicationLag { site, lag_ms } => {
            #[expect(clippy::cast_precision_loss, reason = "a lag of 285,000 years")]
            let lag = lag_ms.map_or_else(|| "unknown".to_owned(), |lag| duration(lag as f64));
            ("replication", format!("{site} is {lag} behind"))
        }
        Event::WritesFound { site, service, when, authoritative, found, .. } => {
            let role = if *authoritative { "decides" } else { "only looked at" };
            let held = counted(found.present.len() as u64, "write", "writes");
            ("audit", format!("{site} ({role}) holds {held} of {service} {}", words::when(*when)))
        }
        Event::WritesUnreadable { site, when, error, .. } => {
            ("audit", format!("{site} could not be read {}: {error}", words::when(*when)))
        }
        _ => return None,
    };
    Some(told)
}
