//! What clients saw while the drill took its faults back.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Interval, Samples};

/// What clients saw from when the drill began to take its faults back, failback included, to the last attempt.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
pub struct WayBack {
    /// From: faults were being taken back, or failback began.
    pub from_ms: f64,
    /// To: the last attempt was sent.
    pub to_ms: f64,
    /// Each service.
    pub services: Vec<ServiceWayBack>,
}

/// The way back of one service, from its streams that decide.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
pub struct ServiceWayBack {
    /// Its name.
    pub name: String,
    /// The longest run of failures of one stream. Absent when nothing failed. What was still open from a fault that
    /// the service had not recovered from is not counted here.
    pub outage: Option<Interval>,
    /// The stream that had it.
    pub stream: Option<String>,
    /// Counts of the deciding streams.
    pub samples: Samples,
    /// Share of these attempts that failed, our own errors left out; absent when none was usable.
    pub failed_share: Option<f64>,
    /// Writes lost on the way back; absent when nothing is known, as without a read-back.
    pub lost: Option<u64>,
}
