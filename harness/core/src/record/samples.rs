//! The samples of a run, stream by stream.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Interval;

/// Counts of samples.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub struct Samples {
    /// All.
    pub sent: u64,
    /// Succeeded.
    pub ok: u64,
    /// Certainly failed.
    pub failed: u64,
    /// Passed the deadline.
    pub unknown: u64,
    /// Our own fault.
    pub prober_error: u64,
}

/// One stream of samples.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
pub struct Stream {
    /// Its name.
    pub name: String,
    /// `fresh` or `kept` connections.
    pub connection: crate::probe::Connection,
    /// Counts.
    pub samples: Samples,
    /// From its first failure to restored; absent when it never failed.
    pub outage: Option<Interval>,
    /// Latency of successes before the fault.
    pub baseline_latency: Option<Latency>,
    /// Worst distance between a due time and the sending.
    pub worst_lateness_ms: f64,
}

/// Quantiles of latency in milliseconds.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
pub struct Latency {
    /// Half are faster.
    pub p50_ms: f64,
    /// 99 in 100 are faster.
    pub p99_ms: f64,
    /// The slowest.
    pub max_ms: f64,
}
