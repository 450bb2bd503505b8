//! What clients saw: from the first failure to restored, with the failures and returns in between.

use std::time::Duration;

use drdrill_core::record::Interval;
use drdrill_core::time::{At, millis};

use super::digest::Disaster;
use super::recovery::{Recovery, Scan};

/// Successes in a row that make a return: a single one may be an answer that was under way when the service died.
pub(crate) const RETURN: usize = 3;

/// The edges of one stream's outage.
///
/// Source: measurement.md section 2: `D in (s_a, e_b], R in (s_c, e_d]`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Outage {
    /// It began after this: sending of the last success before the first bad attempt, but not before F−.
    pub(crate) began_after: At,
    /// It had begun by this: the first bad attempt was known to be bad.
    pub(crate) began_by: At,
    /// It ended after this.
    pub(crate) ended_after: At,
    /// It had ended by this; `None` when the end was never seen.
    pub(crate) ended_by: Option<At>,
    /// End of the first success after the first bad attempt, sustained or not.
    pub(crate) first_success: Option<At>,
    /// Returns that did not last.
    pub(crate) flaps: u32,
    /// A hole of more than three intervals without attempts at an edge, if there is one.
    pub(crate) hole: Option<Duration>,
}

impl Outage {
    /// Of a stream that was not unharmed.
    pub(crate) fn of(scan: &Scan, recovery: Recovery, disaster: Disaster) -> Option<Self> {
        let (end, ended_after, ended_by) = match recovery {
            Recovery::Unseen | Recovery::Unharmed { .. } => return None,
            Recovery::Restored { first, after, by, .. } => (first, after, Some(by)),
            Recovery::NotEstablished { after, .. } | Recovery::Never { after } => {
                (scan.shots().len(), after, None)
            }
        };
        let shots = scan.shots();
        let broken = &shots[..end];
        // Slowness counts as an outage only where nothing failed.
        let any_failed = broken.iter().any(|shot| shot.is_failure());
        let bad = |index: &usize| {
            if any_failed { shots[*index].is_failure() } else { scan.is_bad(*index) }
        };
        let first_bad = (0..end).find(bad)?;
        let known = (first_bad..end).filter(bad);
        let began_by = known.map(|index| scan.known_bad(shots[index])).min()?;
        let successes = shots[first_bad..].iter().filter(|shot| shot.is_ok());
        let every = scan.criteria().every;
        let (began_after, start_hole) = began_after(scan, first_bad, disaster.from);
        let end_hole = shots.get(end).zip(ended_by).map_or(Duration::ZERO, |(first, by)| {
            // The bound lies behind the window's first success only because of a hole.
            first.sent.since(ended_after).max(by.since(first.done))
        });
        let hole = start_hole.max(end_hole);
        Some(Self {
            began_after,
            began_by,
            ended_after,
            ended_by,
            first_success: successes.map(|shot| shot.done).min(),
            flaps: flaps((first_bad..end).map(|index| bad(&index))),
            hole: (hole > every * 3).then_some(hole),
        })
    }

    /// The outage of a service whose streams had these: from the first to fail to the last to return.
    pub(crate) fn union(self, other: Self) -> Self {
        Self {
            began_after: self.began_after.min(other.began_after),
            began_by: self.began_by.min(other.began_by),
            ended_after: self.ended_after.max(other.ended_after),
            ended_by: self.ended_by.zip(other.ended_by).map(|(a, b)| a.max(b)),
            first_success: self.first_success.into_iter().chain(other.first_success).min(),
            flaps: self.flaps.max(other.flaps),
            hole: self.hole.max(other.hole),
        }
    }

    /// Its length.
    pub(crate) fn interval(&self) -> Interval {
        Interval {
            at_least_ms: millis(self.ended_after.since(self.began_by)),
            at_most_ms: self.ended_by.map(|by| millis(by.since(self.began_after))),
        }
    }
}

/// Sending of the last success before the first bad attempt, not before F−, and the largest hole before that.
///
/// A hole since the fault can have hidden an earlier beginning: then the last attempt before the hole counts.
fn began_after(scan: &Scan, first_bad: usize, from: At) -> (At, Duration) {
    let every = scan.criteria().every;
    let mut last = scan.last_before().map_or(from, |shot| shot.sent);
    let mut largest = Duration::ZERO;
    let mut began_after = None;
    for (index, shot) in scan.shots().iter().enumerate().take(first_bad + 1) {
        let hole = shot.sent.since(last);
        largest = largest.max(hole);
        if hole > every * 3 {
            began_after.get_or_insert(last);
        }
        if !scan.is_bad(index) {
            last = shot.sent;
        }
    }
    (began_after.unwrap_or(last).max(from), largest)
}

fn flaps(bad: impl Iterator<Item = bool>) -> u32 {
    let mut flaps = 0;
    let mut in_a_row = 0;
    for bad in bad {
        if bad {
            flaps += u32::from(in_a_row >= RETURN);
            in_a_row = 0;
        } else {
            in_a_row += 1;
        }
    }
    flaps
}
