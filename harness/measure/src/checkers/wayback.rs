//! What clients see while faults are taken back and during failback: it may take no longer than a recovery.

use drdrill_core::checker::Finding;
use drdrill_core::event::Milestone;
use drdrill_core::record::Samples;
use drdrill_core::verdict::Verdict;

use super::{Rule, critical, fine, unknown, warning};
use crate::judge::baseline::TOLERATED;
use crate::judge::case::{Case, ServiceStory};
use crate::judge::recovery::MOST_OURS;
use crate::judge::shots::ratio;
use crate::judge::text::{percent, show, show_bounds};
use crate::judge::wayback::{self, StreamBack};

const NAME: &str = "way_back";

/// No run of failures on the way back is longer than the recovery time objective, and after failback not more than
/// 1 % of the attempts fail: as many as a healthy baseline may have.
pub(super) const RULE: Rule = Rule::new(NAME, look);

fn look(case: &Case<'_>) -> Vec<Finding> {
    if case.digest.start.scenario.failback.is_none() {
        return vec![fine(NAME, "no failback was asked for")];
    }
    if case.way_back().is_none() {
        return vec![unknown(NAME, "the drill never came to the way back")];
    }
    let mut found = Vec::new();
    for service in &case.services {
        for story in service.headline() {
            if let Some(back) = wayback::stream(case, service, story) {
                let name = format!("{} ({})", service.facts.name, story.stream.facts.name);
                found.push(unavailable(&name, service, back));
                found.extend(back.after.map(|after| after_failback(&name, after)));
            }
        }
    }
    if found.is_empty() {
        found.push(unknown(NAME, "nobody watched the way back"));
    }
    if case.digest.aborted.is_some() && case.digest.milestone(Milestone::FailbackFinished).is_none()
    {
        found.push(unknown(NAME, "the drill was aborted before the way back was at its end"));
    }
    found
}

/// Judges the longest run of failures.
fn unavailable(name: &str, service: &ServiceStory<'_>, back: StreamBack) -> Finding {
    let usable = usable(back.samples);
    if usable == 0 {
        return unknown(NAME, format!("{name} was not watched on the way back"));
    }
    let ours = back.samples.prober_error;
    if ratio(ours, back.samples.sent) > MOST_OURS {
        let text = format!("{name}: {ours} of {} attempts on the way back", back.samples.sent);
        return unknown(
            NAME,
            format!("{text} were our own errors, more than {}", percent(MOST_OURS)),
        );
    }
    let target = service.facts.targets.rto.map(|span| span.0);
    let Some(run) = back.longest else {
        let hidden = show(back.gap);
        let failed = back.samples.failed + back.samples.unknown;
        let seen = if failed == 0 {
            format!("{usable} attempts on the way back, none failed")
        } else {
            format!(
                "{failed} of {usable} attempts on the way back failed, all of them in the outage of the fault"
            )
        };
        let text = format!("{name}: {seen}; an outage shorter than {hidden} could have hidden");
        return match target {
            Some(target) if back.gap > target => unknown(NAME, text),
            _ => fine(NAME, text),
        };
    };
    let text = format!(
        "{name}: on the way back unavailable for {}; {} of {usable} attempts failed",
        show_bounds(run.length.at_least, run.length.at_most),
        back.samples.failed + back.samples.unknown
    );
    let Some(target) = target else {
        return warning(NAME, text);
    };
    let objective = format!("the recovery time objective is {}", show(target));
    match run.length.within(target) {
        Verdict::Fail => critical(NAME, format!("{text}; {objective}")),
        // The last attempt of all: that nothing came after it is not its fault.
        Verdict::Unknown if run.failures == 1 && run.length.at_most.is_none() => {
            warning(NAME, text)
        }
        Verdict::Unknown => {
            unknown(NAME, format!("{text}; {objective}, and the end was not seen in time"))
        }
        Verdict::Pass => fine(NAME, text),
    }
}

/// Judges the share of failures once the original site serves again.
fn after_failback(name: &str, after: Samples) -> Finding {
    let (failed, usable) = (after.failed + after.unknown, usable(after));
    let text = format!("{name}: {failed} of {usable} attempts failed after failback");
    if usable == 0 {
        unknown(NAME, format!("{name} was not watched after failback"))
    } else if failed == 0 {
        fine(NAME, text)
    } else if failed > 1 && ratio(failed, usable) > TOLERATED {
        critical(NAME, format!("{text}, more than {}", percent(TOLERATED)))
    } else {
        warning(NAME, text)
    }
}

const fn usable(samples: Samples) -> u64 {
    samples.ok + samples.failed + samples.unknown
}

#[cfg(test)]
mod tests;
