//! A stream of samples, reduced to what judging needs.

use std::time::Duration;

use drdrill_core::event::StreamFacts;
use drdrill_core::probe::{Connection, Purpose};
use drdrill_core::record::{Latency, Samples};
use drdrill_core::sample::{Outcome, Sample};
use drdrill_core::time::{At, millis};

/// What an attempt says about the service.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Class {
    /// It worked.
    Ok,
    /// It certainly did not happen.
    Failed,
    /// It cannot be told; a failure for the recovery time, neither present nor absent for the recovery point.
    Unknown,
    /// Nothing: it was our own error.
    Ours,
}

/// One attempt.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Shot {
    pub(crate) sequence: u64,
    pub(crate) due: At,
    pub(crate) sent: At,
    pub(crate) done: At,
    pub(crate) class: Class,
}

impl Shot {
    pub(crate) fn is_ok(self) -> bool {
        self.class == Class::Ok
    }

    pub(crate) fn is_failure(self) -> bool {
        matches!(self.class, Class::Failed | Class::Unknown)
    }

    pub(crate) fn latency(self) -> Duration {
        self.done.since(self.sent)
    }
}

impl From<&Sample> for Shot {
    fn from(sample: &Sample) -> Self {
        let class = match sample.outcome {
            Outcome::Ok => Class::Ok,
            Outcome::Failed(_) => Class::Failed,
            Outcome::Unknown(_) => Class::Unknown,
            Outcome::ProberError(_) => Class::Ours,
        };
        Self {
            sequence: sample.sequence,
            due: sample.due,
            sent: sample.sent,
            done: sample.done,
            class,
        }
    }
}

/// A stream and its attempts in the order of sending.
#[derive(Clone, Debug)]
pub(crate) struct StreamShots {
    pub(crate) facts: StreamFacts,
    pub(crate) shots: Vec<Shot>,
}

impl StreamShots {
    pub(crate) fn new(facts: &StreamFacts, mut shots: Vec<Shot>) -> Self {
        shots.sort_by_key(|shot| (shot.sent, shot.sequence, shot.done));
        Self { facts: facts.clone(), shots }
    }

    /// Whether this stream decides about recovery: what a new client of the service sees.
    ///
    /// Source: measurement.md section 2; kept connections are reported apart.
    pub(crate) fn is_headline(&self) -> bool {
        is_headline(&self.facts)
    }

    pub(crate) fn every(&self) -> Duration {
        Duration::from_nanos(self.facts.every_ns)
    }

    /// Counts of all attempts.
    pub(crate) fn counts(&self) -> Samples {
        counts(&self.shots)
    }

    /// Worst distance between a due time and the sending.
    pub(crate) fn worst_lateness(&self) -> Duration {
        let lateness = self.shots.iter().map(|shot| shot.sent.since(shot.due));
        lateness.max().unwrap_or_default()
    }
}

/// As [`StreamShots::is_headline`].
pub(crate) fn is_headline(facts: &StreamFacts) -> bool {
    facts.connection == Connection::Fresh && matches!(facts.purpose, Purpose::Write | Purpose::Read)
}

/// Counts of attempts.
pub(crate) fn counts(shots: &[Shot]) -> Samples {
    let mut counts = Samples::default();
    for shot in shots {
        counts.sent += 1;
        *match shot.class {
            Class::Ok => &mut counts.ok,
            Class::Failed => &mut counts.failed,
            Class::Unknown => &mut counts.unknown,
            Class::Ours => &mut counts.prober_error,
        } += 1;
    }
    counts
}

/// Sums counts.
pub(crate) fn sum(all: impl IntoIterator<Item = Samples>) -> Samples {
    all.into_iter().fold(Samples::default(), |a, b| Samples {
        sent: a.sent + b.sent,
        ok: a.ok + b.ok,
        failed: a.failed + b.failed,
        unknown: a.unknown + b.unknown,
        prober_error: a.prober_error + b.prober_error,
    })
}

/// Quantiles of latencies by nearest rank; `None` of none.
pub(crate) fn quantiles(mut latencies: Vec<Duration>) -> Option<Latency> {
    latencies.sort_unstable();
    let rank = |percent: usize| {
        let rank = (latencies.len() * percent).div_ceil(100);
        latencies.get(rank.saturating_sub(1)).copied().map(millis)
    };
    Some(Latency { p50_ms: rank(50)?, p99_ms: rank(99)?, max_ms: rank(100)? })
}

/// `part` of `whole` as a ratio; 0 of 0 is 0.
#[expect(clippy::cast_precision_loss, reason = "counts of samples are far below 2^53")]
pub(crate) fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}
