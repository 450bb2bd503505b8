//! What clients see while faults are taken back and during failback.
//!
//! It is the drill's own doing, so it says nothing about the recovery; and it is what clients have to live through
//! when the real thing comes, so it is judged by a rule of its own.

use std::time::Duration;

use drdrill_core::event::Milestone;
use drdrill_core::record::{Interval, Samples, ServiceWayBack, WayBack};
use drdrill_core::time::{At, Bounds, millis};

use super::case::{Case, ServiceStory};
use super::outage::RETURN;
use super::shots::{Shot, counts, ratio, sum};
use super::streams::StreamStory;

/// One stream on the way back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StreamBack {
    /// The longest run of failures.
    pub(crate) longest: Option<Run>,
    /// The largest distance between two successes: what an outage could hide in.
    pub(crate) gap: Duration,
    /// Counts of attempts since the way back began.
    pub(crate) samples: Samples,
    /// Counts of attempts since failback ended, if it did.
    pub(crate) after: Option<Samples>,
}

/// Failures with fewer than [`RETURN`] successes in a row between them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Run {
    /// Its length.
    pub(crate) length: Bounds,
    /// How many attempts failed in it.
    pub(crate) failures: u64,
}

/// Looks at a stream; `None` without a way back.
pub(crate) fn stream(
    case: &Case<'_>,
    service: &ServiceStory<'_>,
    story: &StreamStory<'_>,
) -> Option<StreamBack> {
    let from = case.way_back()?;
    let all = &story.stream.shots;
    let here = &all[all.partition_point(|shot| shot.sent < from)..];
    let usable = |shots: &[Shot]| -> Vec<Shot> {
        shots.iter().copied().filter(|shot| shot.is_ok() || shot.is_failure()).collect()
    };
    let before = usable(&all[..all.len() - here.len()]);
    let mut shots = usable(here);
    if service.rto.restored_by.is_none() {
        // The outage of the fault goes on: it is the recovery time's business.
        let open = shots.first().is_some_and(|shot| shot.is_failure());
        shots.drain(..if open { last_of(&shots, 0) + 1 } else { 0 });
    }
    let last_ok = before.iter().rev().find(|shot| shot.is_ok()).map_or(from, |shot| shot.sent);
    let finished = case.digest.milestone(Milestone::FailbackFinished);
    Some(StreamBack {
        longest: runs(&shots, last_ok).into_iter().max_by_key(Run::rank),
        gap: largest_gap(&shots),
        samples: counts(here),
        after: finished.map(|at| counts(&here[here.partition_point(|shot| shot.sent < at)..])),
    })
}

impl Run {
    /// Longer ones are greater; one whose end was never seen is the longest.
    fn rank(&self) -> (bool, Option<Duration>, Duration) {
        (self.length.at_most.is_none(), self.length.at_most, self.length.at_least)
    }

    fn interval(self) -> Interval {
        Interval {
            at_least_ms: millis(self.length.at_least),
            at_most_ms: self.length.at_most.map(millis),
        }
    }
}

/// All runs of failures. `last_ok` is the sending of the last success before these attempts.
///
/// Source of the bounds: measurement.md section 2, "Downtime".
fn runs(shots: &[Shot], mut last_ok: At) -> Vec<Run> {
    let mut found = Vec::new();
    let mut next = 0;
    while let Some(offset) = shots[next..].iter().position(|shot| shot.is_failure()) {
        let first = next + offset;
        if let Some(before) = first.checked_sub(1) {
            last_ok = shots[before].sent;
        }
        let last = last_of(shots, first);
        let run = &shots[first..=last];
        let failures = || run.iter().filter(|shot| shot.is_failure());
        let known = failures().map(|shot| shot.done).min().unwrap_or_default();
        next = last + 1;
        found.push(Run {
            length: Bounds {
                at_least: shots[last].sent.since(known),
                at_most: first_done(&shots[next..]).map(|by| by.since(last_ok)),
            },
            failures: u64::try_from(failures().count()).unwrap_or(u64::MAX),
        });
    }
    found
}

/// Index of the last failure of the run that begins with `first`.
fn last_of(shots: &[Shot], first: usize) -> usize {
    let mut last = first;
    for (index, shot) in shots.iter().enumerate().skip(first) {
        if shot.is_failure() {
            last = index;
        } else if index - last >= RETURN {
            break;
        }
    }
    last
}

/// End of the earliest-completed success; `shots` begins with successes, or is empty.
fn first_done(shots: &[Shot]) -> Option<At> {
    let mut by = shots.first()?.done;
    for shot in shots.iter().take_while(|shot| shot.is_ok()) {
        if shot.sent >= by {
            break;
        }
        by = by.min(shot.done);
    }
    Some(by)
}

fn largest_gap(shots: &[Shot]) -> Duration {
    let ok: Vec<&Shot> = shots.iter().filter(|shot| shot.is_ok()).collect();
    let gaps = ok.windows(2).map(|pair| pair[1].done.since(pair[0].sent));
    gaps.max().unwrap_or_default()
}

/// The record's part; `None` when no failback was asked for, or the drill never came to taking its faults back.
pub(crate) fn record(case: &Case<'_>) -> Option<WayBack> {
    case.digest.start.scenario.failback.as_ref()?;
    let from = case.way_back()?;
    let shots = case.digest.streams.iter().filter_map(|stream| stream.shots.last());
    let to = shots.map(|shot| shot.sent).max().unwrap_or_default().max(from);
    let services = case.services.iter().map(|service| one(case, service)).collect();
    Some(WayBack { from_ms: from.ms(), to_ms: to.ms(), services })
}

fn one(case: &Case<'_>, service: &ServiceStory<'_>) -> ServiceWayBack {
    let streams: Vec<_> = service
        .headline()
        .into_iter()
        .filter_map(|story| Some((story, stream(case, service, story)?)))
        .collect();
    let samples = sum(streams.iter().map(|(_, back)| back.samples));
    let failed = samples.failed + samples.unknown;
    let runs = streams.iter().filter_map(|(story, back)| Some((story, back.longest?)));
    let longest = runs.max_by_key(|(_, run)| run.rank());
    ServiceWayBack {
        name: service.facts.name.clone(),
        outage: longest.map(|(_, run)| run.interval()),
        stream: longest.map(|(story, _)| story.stream.facts.name.clone()),
        samples,
        failed_share: (failed + samples.ok > 0).then(|| ratio(failed, failed + samples.ok)),
        lost: service.rpo.as_ref().and_then(|story| story.rpo.failback_lost),
    }
}
