//! The judge: a pure function from a history to the record.
//!
//! No clock, no I/O, no randomness: the same history gives the same record, whatever the order of its entries.
//! `drdrill check RUN` judges an old run with it again. Definitions: measurement.md section 2.
//!
//! Read in this order: `digest` sorts the history, `shots` reduces samples, `baseline` and `recovery` say when a
//! stream is restored, `rto`, `outage`, `goodput`, `rpo`, `reigns` and `wayback` make figures of that, `consistency` judges what
//! workloads wrote and read, `case` holds it all together.

mod account;
pub(crate) mod baseline;
pub(crate) mod case;
mod consistency;
pub(crate) mod digest;
mod functions;
mod goodput;
mod outage;
mod phases;
pub(crate) mod recovery;
pub(crate) mod reigns;
mod rpo;
mod rto;
pub(crate) mod runbook;
mod services;
pub(crate) mod shots;
#[cfg(test)]
mod simulation;
pub(crate) mod streams;
mod tabletop;
#[cfg(test)]
mod tests;
pub(crate) mod text;
pub(crate) mod wayback;

pub use digest::JudgeError;

use drdrill_core::checker::{Finding, Severity};
use drdrill_core::event::{AbortCause, Entry, When};
use drdrill_core::record::{EnvironmentRef, Phases, Record, SCHEMA, ScenarioRef, SplitBrain};
use drdrill_core::time::At;
use drdrill_core::verdict::Verdict;

use crate::checkers;
use case::{Case, ServiceStory};
use digest::Digest;
use tabletop::Exercise;

/// Judges a drill from its history alone. Recommendations are left empty: they are another crate's.
///
/// # Errors
/// When the history does not say what the drill was.
pub fn judge(history: &[Entry]) -> Result<Record, JudgeError> {
    let digest = Digest::new(history)?;
    Ok(match Exercise::of(history) {
        Some(exercise) => of_exercise(&digest, &exercise),
        None => of_drill(&digest),
    })
}

/// The record of a tabletop exercise.
fn of_exercise(digest: &Digest<'_>, exercise: &Exercise<'_>) -> Record {
    let findings = exercise.findings(digest);
    let (verdict, reasons) = tabletop::overall(&findings);
    Record {
        services: tabletop::services(digest),
        tabletop: Some(exercise.record()),
        ..empty(digest, verdict, reasons, findings)
    }
}

/// The record of a drill.
fn of_drill(digest: &Digest<'_>) -> Record {
    let case = Case::new(digest);
    let judged: Vec<_> = case.services.iter().map(|story| services::judge(&case, story)).collect();
    let findings = checkers::findings(&case);
    let (verdict, reasons) = overall(&case, &judged, &findings);
    let full_capacity = judged.iter().filter_map(|judged| judged.full_capacity).max();
    Record {
        phases: phases::gather(&case, full_capacity),
        services: judged.into_iter().map(|judged| judged.service).collect(),
        faults: account::faults(digest),
        steps: account::steps(digest),
        functionality: account::functionality(digest),
        bystanders: case.bystanders.iter().map(streams::StreamStory::record).collect(),
        failback: wayback::record(&case),
        replication_lag_ms: replication_lag(digest, &case),
        split_brain: split_brain(&case),
        runbook: runbook::record(&case),
        ..empty(digest, verdict, reasons, findings)
    }
}

/// What every record says, and nothing that is measured.
fn empty(
    digest: &Digest<'_>,
    verdict: Verdict,
    reasons: Vec<String>,
    findings: Vec<Finding>,
) -> Record {
    let start = digest.start;
    Record {
        schema: SCHEMA.to_owned(),
        run_id: start.run_id.clone(),
        scenario: ScenarioRef {
            name: start.scenario.scenario.clone(),
            title: start.scenario.title.clone(),
            sha256: start.scenario_sha256.clone(),
            must_fail: start.scenario.expect.is_some(),
            settings: start.settings.clone(),
        },
        environment: EnvironmentRef {
            name: start.environment.name.clone(),
            provider: start.environment.provider.clone(),
            emulated: start.environment.emulated,
            fingerprint: start.environment.fingerprint.clone(),
            definition: start.environment.definition.clone(),
            production: start.environment.production,
            pin: start.environment.pin.clone(),
        },
        kind: start.scenario.kind,
        tool: start.tool.clone(),
        started_at: start.started_at.clone(),
        finished_at: digest.finished.map(|(_, at)| at.to_owned()),
        duration_ms: digest.end.ms(),
        seed: start.seed,
        verdict,
        exit_code: exit_code(digest, verdict),
        reasons,
        services: Vec::new(),
        faults: Vec::new(),
        steps: Vec::new(),
        phases: Phases::default(),
        functionality: Vec::new(),
        bystanders: Vec::new(),
        failback: None,
        replication_lag_ms: None,
        split_brain: Vec::new(),
        findings,
        tabletop: None,
        runbook: None,
        notices: digest.notices.clone(),
        recommendations: Vec::new(),
        leftovers: digest.leftovers.clone(),
    }
}

/// Combines the verdicts of all parts; the worst one's reasons come first.
fn overall(
    case: &Case<'_>,
    judged: &[services::Judged],
    findings: &[Finding],
) -> (Verdict, Vec<String>) {
    let mut parts: Vec<(Verdict, String)> = Vec::new();
    for finding in findings.iter().filter(|found| found.verdict != Verdict::Pass) {
        parts.push((finding.verdict, finding.message.clone()));
    }
    for service in judged {
        parts.extend(service.reasons.iter().cloned());
    }
    if judged.is_empty() {
        parts.push((Verdict::Unknown, "no service was watched".to_owned()));
    }
    if !case.has_faults() {
        let steady = findings.iter().filter(|found| found.checker == "steady_state");
        parts.extend(
            steady
                .filter(|found| found.verdict == Verdict::Pass)
                .map(|found| (found.verdict, found.message.clone())),
        );
    }
    if !case.digest.leftovers.is_empty() {
        let count = case.digest.leftovers.len();
        parts.push((Verdict::Fail, format!("{count} faults could not be taken back")));
    }
    let verdict = Verdict::of(parts.iter().map(|(verdict, _)| *verdict));
    parts.sort_by_key(|(verdict, _)| std::cmp::Reverse(*verdict));
    (verdict, parts.into_iter().map(|(_, reason)| reason).collect())
}

/// The exit code of the run (design.md section 8). What was left in place outranks all, then an abort; an abort
/// because drdrill itself could not go on is unknown or worse, not the operator's.
fn exit_code(digest: &Digest<'_>, verdict: Verdict) -> u8 {
    if !digest.leftovers.is_empty() {
        return 12;
    }
    match digest.aborted {
        Some((_, AbortCause::StopCondition | AbortCause::Operator, _)) => return 15,
        Some((_, AbortCause::Guard, _)) => return 16,
        Some((_, AbortCause::Failure, _)) | None => {}
    }
    match verdict {
        Verdict::Pass => 0,
        Verdict::Fail => 10,
        Verdict::Unknown => 11,
    }
}

/// The last reading before the fault.
fn replication_lag(digest: &Digest<'_>, case: &Case<'_>) -> Option<u64> {
    let fault = case.decisive().map_or(At(u64::MAX), |decisive| decisive.at);
    let mut before = digest.lags.iter().rev();
    before.find(|(at, _)| *at <= fault)?.1
}

fn split_brain(case: &Case<'_>) -> Vec<SplitBrain> {
    let of = |service: &ServiceStory<'_>| {
        if let Some(reigns) = &service.reigns {
            return reigns.conflicts(&service.facts.name);
        }
        // Without epochs such a loss is all the evidence there can be.
        let story = service.rpo.as_ref();
        story.and_then(|story| story.lost_after_fault.clone()).into_iter().collect()
    };
    case.services.iter().flat_map(of).collect()
}

/// What the functionality checks of that time came to, whatever the scenario asks for.
pub(crate) fn functions_at(case: &Case<'_>, when: When) -> functions::FunctionsAfter {
    functions::FunctionsAfter::of(&[], &case.digest.functions, when)
}

/// A finding of `checker`.
pub(crate) fn finding(
    checker: &str,
    verdict: Verdict,
    severity: Severity,
    message: impl Into<String>,
) -> Finding {
    Finding { checker: checker.to_owned(), verdict, severity, message: message.into() }
}
