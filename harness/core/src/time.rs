//! Instants of a drill and intervals with hard bounds.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// An instant of a drill: nanoseconds of the harness's monotonic clock since the drill began.
///
/// Written as a plain number of nanoseconds, so that no digit is lost between the history and a later judgement.
#[derive(
    Clone, Copy, Debug, Default, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize,
)]
#[serde(transparent)]
pub struct At(pub u64);

impl At {
    /// The instant `millis` milliseconds after the drill began.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis * 1_000_000)
    }

    /// Time since `earlier`; zero when `earlier` is the later one.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// The instant `duration` later.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(nanos(duration)))
    }

    /// The instant `duration` earlier, not before the drill began.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(nanos(duration)))
    }

    /// Milliseconds since the drill began, as the record writes instants.
    #[must_use]
    pub fn ms(self) -> f64 {
        millis(Duration::from_nanos(self.0))
    }
}

/// A duration in milliseconds, as the record writes durations. Exact to the nanosecond below 104 days.
#[must_use]
pub fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// A duration in whole nanoseconds; 584 years and more are capped.
#[must_use]
pub fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// What is known of a duration that was sampled: hard bounds, not a confidence interval.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Bounds {
    /// The true duration is not shorter than this.
    pub at_least: Duration,
    /// The true duration is not longer than this; `None` when its end was never seen.
    pub at_most: Option<Duration>,
}

impl Bounds {
    /// Judges the interval against an objective: only a whole interval on one side is an answer.
    #[must_use]
    pub fn within(&self, target: Duration) -> crate::verdict::Verdict {
        use crate::verdict::Verdict;
        if self.at_least > target {
            return Verdict::Fail;
        }
        match self.at_most {
            Some(at_most) if at_most <= target => Verdict::Pass,
            _ => Verdict::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::Verdict;

    fn bounds(at_least: u64, at_most: Option<u64>) -> Bounds {
        Bounds {
            at_least: Duration::from_millis(at_least),
            at_most: at_most.map(Duration::from_millis),
        }
    }

    #[test]
    fn an_interval_that_straddles_the_target_is_unknown() {
        let target = Duration::from_millis(100);
        assert_eq!(bounds(90, Some(100)).within(target), Verdict::Pass);
        assert_eq!(bounds(90, Some(101)).within(target), Verdict::Unknown);
        assert_eq!(bounds(101, Some(120)).within(target), Verdict::Fail);
    }

    #[test]
    fn an_end_that_was_never_seen_is_not_a_pass() {
        let target = Duration::from_millis(100);
        assert_eq!(bounds(90, None).within(target), Verdict::Unknown);
        assert_eq!(bounds(101, None).within(target), Verdict::Fail);
    }
}
