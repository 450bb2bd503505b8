//! Goodput over time, as a share of the baseline's.
//!
//! The load is open loop and constant, so goodput is the share of a stretch's slots that succeeded. An attempt
//! belongs to the stretch in which it was due: our own lateness moves nothing.

use std::time::Duration;

use drdrill_core::time::At;

use super::shots::{Shot, ratio};
use super::streams::StreamStory;

/// Goodput above this share of the baseline's is full capacity: the same tolerance as a healthy baseline has.
const FULL: f64 = 0.99;

/// A stretch of time and its goodput relative to the baseline's, at most 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Bin {
    pub(crate) from: At,
    pub(crate) to: At,
    pub(crate) share: f64,
}

/// Goodput of a service in stretches of `width` from `from` to `to`. A stretch in which nothing can be told (all
/// attempts were our own errors, or none was due) is as the one before it.
pub(crate) fn bins(stories: &[&StreamStory<'_>], from: At, to: At, width: Duration) -> Vec<Bin> {
    let mut bins = Vec::new();
    let mut cursors: Vec<&[Shot]> = stories
        .iter()
        .map(|story| {
            let shots = &story.stream.shots[..];
            &shots[shots.partition_point(|shot| shot.due < from)..]
        })
        .collect();
    let mut start = from;
    let mut share = 1.0;
    while start < to {
        let end = start.plus(width).min(to);
        let (mut ok, mut usable, mut expected) = (0, 0, 0.0);
        for (story, cursor) in stories.iter().zip(&mut cursors) {
            let (here, rest) = cursor.split_at(cursor.partition_point(|shot| shot.due < end));
            *cursor = rest;
            let good: u64 = here.iter().map(|shot| u64::from(shot.is_ok())).sum();
            let bad: u64 = here.iter().map(|shot| u64::from(shot.is_failure())).sum();
            ok += good;
            usable += good + bad;
            expected += ratio(good + bad, 1) * story.baseline.goodput;
        }
        if usable > 0 && expected > 0.0 {
            share = (ratio(ok, 1) / expected).min(1.0);
        }
        bins.push(Bin { from: start, to: end, share });
        start = end;
    }
    bins
}

/// Integral of the missing share of goodput.
///
/// Source: `lost_service` in measurement.md section 2. Stretches are 100 ms, or ten intervals if that is more.
pub(crate) fn lost_service(stories: &[&StreamStory<'_>], from: At, to: At) -> Duration {
    let every = stories.iter().map(|story| story.stream.every()).max();
    let width = (every.unwrap_or_default() * 10).max(Duration::from_millis(100));
    let lost = bins(stories, from, to, width)
        .into_iter()
        .map(|bin| bin.to.since(bin.from).mul_f64(1.0 - bin.share));
    lost.sum()
}

/// The worst second, and when goodput first reached the baseline's again, looking from `restored` on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Level {
    /// Goodput of the worst second between restored and full capacity, the sustained window included.
    pub(crate) worst: f64,
    /// When the first second of full capacity began.
    pub(crate) full_from: Option<At>,
}

/// Looks at the seconds from `restored` to `to`; the level is judged until full capacity, but not less than until
/// `window_end`. `None` when there is nothing to look at.
pub(crate) fn level(
    stories: &[&StreamStory<'_>],
    restored: At,
    window_end: At,
    to: At,
) -> Option<Level> {
    let bins = bins(stories, restored, to.max(window_end), Duration::from_secs(1));
    let full = bins.iter().find(|bin| bin.share >= FULL);
    let judged_to = full.map_or(to, |bin| bin.from).max(window_end);
    let judged = bins.iter().filter(|bin| bin.from < judged_to);
    Some(Level {
        worst: judged.map(|bin| bin.share).min_by(f64::total_cmp)?,
        full_from: full.map(|bin| bin.from),
    })
}
