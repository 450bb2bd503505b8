//! The run in a sentence or two, for somebody who reads nothing else.

use drdrill_core::record::{Record, Rpo, Rto, Service, Tabletop};
use drdrill_core::scenario::Kind;
use drdrill_core::tabletop::StepResult;
use drdrill_core::verdict::Verdict;

use crate::figures::{count, counted, duration, is_measured, share};

/// The verdict as a headline.
#[must_use]
pub fn headline(record: &Record) -> &'static str {
    match record.verdict {
        _ if !record.leftovers.is_empty() => "SOMETHING WAS LEFT IN PLACE",
        // No technical pass: nothing was tried.
        Verdict::Pass if record.tabletop.is_some() => "WALKED THROUGH",
        Verdict::Pass => "PASSED",
        Verdict::Fail => "FAILED",
        Verdict::Unknown if is_invalid(record) => "INVALID",
        Verdict::Unknown => "NOT ESTABLISHED",
    }
}

/// Whether no fault was seen in effect though there were faults: the drill proves nothing.
#[must_use]
pub fn is_invalid(record: &Record) -> bool {
    !record.faults.is_empty() && record.faults.iter().any(|fault| fault.in_effect_ms.is_none())
}

/// What came of it, with the figures that matter.
#[must_use]
pub fn summary(record: &Record) -> String {
    if let Some(tabletop) = &record.tabletop {
        return exercise(tabletop);
    }
    let mut sentences = Vec::new();
    if is_invalid(record) {
        sentences.push("A fault was never seen in effect, so the drill proves nothing.".to_owned());
    }
    sentences.extend(record.services.iter().take(3).map(service));
    if record.services.len() > 3 {
        let more = record.services.len() - 3;
        sentences.push(format!("{more} more services are below."));
    }
    if !record.leftovers.is_empty() {
        sentences.push(format!(
            "{} could not be taken back and must be removed by hand.",
            counted(record.leftovers.len() as u64, "fault", "faults")
        ));
    }
    sentences.join(" ")
}

/// A tabletop exercise in a few sentences.
fn exercise(tabletop: &Tabletop) -> String {
    let done = tabletop.steps.iter().filter(|step| step.result == StepResult::Done).count();
    let present = tabletop.participants.iter().filter(|one| one.present).count();
    let people = counted(present as u64, "person", "people");
    let recovery = tabletop.judged_recovery_ms.map_or_else(String::new, |ms| {
        format!(" They hold that the service is restored after {}.", duration(ms))
    });
    format!(
        "{people} walked through the runbook {}; {done} of {} steps can be done as it says.{recovery} Nothing was \
         tried and nothing was measured.",
        tabletop.runbook,
        tabletop.steps.len()
    )
}

fn service(service: &Service) -> String {
    let name = &service.name;
    let rto = &service.rto;
    let recovery = match (rto.at_least_ms, rto.at_most_ms) {
        (None, _) => format!("The recovery of {name} was not measured"),
        (Some(_), Some(at_most)) if service.outage.is_none() => format!(
            "{name} did not fail as clients see it, or for less than {}",
            duration(rounded(at_most))
        ),
        (Some(at_least), None) => unfinished(name, at_least, rto),
        (Some(at_least), Some(at_most)) => format!(
            "{name} was restored {} after the fault{}",
            duration(rounded(f64::midpoint(at_least, at_most))),
            against(rto.target_ms, rto.verdict)
        ),
    };
    match &service.rpo {
        None => format!("{recovery}."),
        Some(rpo) => format!("{recovery}; {}.", loss(rpo)),
    }
}

/// A recovery whose end was not seen. What was not watched for as long as the target was neither met nor missed.
fn unfinished(name: &str, at_least: f64, rto: &Rto) -> String {
    let watched = duration(rounded(at_least));
    let missed = rto.target_ms.filter(|target| at_least > *target);
    match (rto.verdict, missed) {
        (Verdict::Fail, None) => {
            format!(
                "{name} was not restored within the {watched} that it was watched after the fault"
            )
        }
        (Verdict::Fail, target) => format!(
            "{name} was not restored within the {watched} that it was watched after the fault{}",
            against(target, Verdict::Fail)
        ),
        _ => format!(
            "{name} was out for at least {watched} after the fault, and was not seen restored for long enough{}",
            against(rto.target_ms, rto.verdict)
        ),
    }
}

fn loss(rpo: &Rpo) -> String {
    if !is_measured(rpo) {
        return "what was lost is not known".to_owned();
    }
    if rpo.writes.lost == 0 {
        let acknowledged =
            counted(rpo.writes.acknowledged, "acknowledged write", "acknowledged writes");
        return format!("none of {acknowledged} was lost");
    }
    let after = rpo.lost_after_fault;
    let lost = format!(
        "{} of {} acknowledged writes were lost ({})",
        count(rpo.writes.lost),
        count(rpo.writes.acknowledged),
        share(rpo.writes.lost, rpo.writes.acknowledged)
    );
    if rpo.writes.lost <= after {
        // The recovery point is of what was there when the fault came, and that is there.
        return format!("{lost}, all of them acknowledged after the fault");
    }
    let age = rpo.at_most_ms.or(rpo.at_least_ms).map_or_else(String::new, |age| {
        format!(", the oldest at most {} old when the fault came", duration(rounded(age)))
    });
    let against = against(rpo.target_ms, rpo.verdict);
    let after = match after {
        0 => String::new(),
        after => format!("; {} of them were acknowledged after the fault", count(after)),
    };
    format!("{lost}{age}{against}{after}")
}

fn against(target_ms: Option<f64>, verdict: Verdict) -> String {
    let Some(target) = target_ms.map(duration) else {
        return String::new();
    };
    match verdict {
        Verdict::Pass => format!(", within the target of {target}"),
        Verdict::Fail => format!(", missing the target of {target}"),
        Verdict::Unknown => format!(" (whether within the target of {target} cannot be told)"),
    }
}

/// Three figures are enough in a sentence.
fn rounded(ms: f64) -> f64 {
    let step = if ms < 100.0 {
        0.1
    } else if ms < 1_000.0 {
        1.0
    } else if ms < 10_000.0 {
        10.0
    } else {
        100.0
    };
    (ms / step).round() * step
}

#[cfg(test)]
mod tests;

/// The kind of drill in words.
#[must_use]
pub const fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Tabletop => "tabletop exercise",
        Kind::Simulated => "simulated drill",
        Kind::Full => "full drill with real traffic",
    }
}

/// Mark and word of a verdict. The mark is never the only sign.
#[must_use]
pub const fn mark(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "✓ pass",
        Verdict::Unknown => "? unknown",
        Verdict::Fail => "✗ fail",
    }
}
