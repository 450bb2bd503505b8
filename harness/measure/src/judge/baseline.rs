//! What a stream was like before the fault: the yardstick of its recovery.

use std::time::Duration;

use drdrill_core::time::At;

use super::shots::{Shot, quantiles, ratio};

/// Fewest successes that make a baseline.
const FEWEST: u64 = 5;

/// Largest share of failures of a healthy baseline: ten times what the sustained window tolerates, so that one
/// unlucky attempt in a short baseline does not spoil the drill.
pub(crate) const TOLERATED: f64 = 0.01;

/// How much slower than before an answer may be, whatever the baseline says.
///
/// The norm is 3 × the baseline's p99. On loopback that is about a millisecond, less than the scheduler of a busy
/// host takes from the prober (up to 37 ms seen, measurement.md section 1c): our own noise would be called a slow
/// service. 50 ms more is above that noise and below what a person notices.
pub(crate) const SLOW_FLOOR: Duration = Duration::from_millis(50);

/// A stream before the fault.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Baseline {
    pub(crate) ok: u64,
    pub(crate) failures: u64,
    pub(crate) ours: u64,
    /// A success that takes longer than this is slow: max(3 × p99, p99 + [`SLOW_FLOOR`]).
    pub(crate) slow_over: Duration,
    /// Median over the baseline's seconds of the share of attempts that succeeded.
    pub(crate) goodput: f64,
}

impl Baseline {
    /// From the attempts that had ended by `until`, which is F−.
    pub(crate) fn of(shots: &[Shot], until: At) -> Self {
        let before: Vec<Shot> = shots.iter().copied().filter(|shot| shot.done <= until).collect();
        let count = |wanted: fn(Shot) -> bool| {
            let matching = before.iter().filter(|shot| wanted(**shot));
            u64::try_from(matching.count()).unwrap_or(u64::MAX)
        };
        let p99 = quantiles(latencies(&before))
            .map_or(Duration::ZERO, |latency| Duration::from_secs_f64(latency.p99_ms / 1e3));
        let (ok, failures) = (count(Shot::is_ok), count(Shot::is_failure));
        Self {
            ok,
            failures,
            ours: count(|shot| !shot.is_ok() && !shot.is_failure()),
            slow_over: (p99 * 3).max(p99 + SLOW_FLOOR),
            goodput: median_of_seconds(&before).unwrap_or(1.0),
        }
    }

    /// Why this baseline is no yardstick, if it is none.
    pub(crate) fn unhealthy(&self) -> Option<String> {
        let usable = self.ok + self.failures;
        if self.ok < FEWEST {
            return Some(format!(
                "only {} successful attempts before the fault; at least {FEWEST} are needed",
                self.ok
            ));
        }
        let failing = ratio(self.failures, usable);
        (failing > TOLERATED).then(|| {
            format!(
                "{} of {usable} attempts failed before the fault, more than {}",
                self.failures,
                super::text::percent(TOLERATED)
            )
        })
    }

    /// Least share of successes of a sustained window of `attempts`: 99.9 %, or the baseline's share less three
    /// standard deviations of a binomial if that is lower.
    pub(crate) fn least_success(&self, attempts: u64) -> f64 {
        let share = ratio(self.ok, self.ok + self.failures);
        if attempts == 0 {
            return 0.999;
        }
        let variance = share * (1.0 - share) * ratio(1, attempts);
        (share - 3.0 * variance.sqrt()).clamp(0.0, 0.999)
    }
}

/// Latencies of the successes.
pub(crate) fn latencies(shots: &[Shot]) -> Vec<Duration> {
    let ok = shots.iter().filter(|shot| shot.is_ok());
    ok.map(|shot| shot.latency()).collect()
}

fn median_of_seconds(shots: &[Shot]) -> Option<f64> {
    let first = shots.first()?.due;
    let mut seconds: Vec<f64> = shots
        .chunk_by(|a, b| second(first, *a) == second(first, *b))
        .filter_map(|chunk| share(chunk.iter().copied()))
        .collect();
    seconds.sort_by(f64::total_cmp);
    seconds.get(seconds.len() / 2).copied()
}

fn second(first: At, shot: Shot) -> u64 {
    shot.due.since(first).as_secs()
}

/// Share of attempts that succeeded; our own errors do not count. `None` when nothing is left.
pub(crate) fn share(shots: impl IntoIterator<Item = Shot>) -> Option<f64> {
    let (mut ok, mut usable) = (0, 0);
    for shot in shots {
        ok += u64::from(shot.is_ok());
        usable += u64::from(shot.is_ok() || shot.is_failure());
    }
    (usable > 0).then(|| ratio(ok, usable))
}
