//! What one service achieved: RTO, RPO, RLO and the phases of its recovery.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Consistency, Samples, Stream};
use crate::verdict::Verdict;

/// What one service achieved.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// Its tier.
    pub tier: u8,
    /// Recovery time.
    pub rto: Rto,
    /// What clients saw: from the first failure to restored. Absent when nothing failed.
    pub outage: Option<Interval>,
    /// First success after the fault, sustained or not, since the fault.
    pub first_success_ms: Option<f64>,
    /// Integral of the missing share of goodput, in milliseconds of full service.
    pub lost_service_ms: Option<f64>,
    /// How often the service came back and failed again before it was restored.
    pub flaps: u32,
    /// Recovery point; absent when the service has no write probe.
    pub rpo: Option<Rpo>,
    /// Recovery level.
    pub rlo: Rlo,
    /// What its registers and accounts answered; absent where the scenario asks for neither.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consistency: Option<Consistency>,
    /// Counts over all of its streams.
    pub samples: Samples,
    /// Each stream of its own.
    pub streams: Vec<Stream>,
}

/// An interval with hard bounds.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
pub struct Interval {
    /// Not shorter than this.
    pub at_least_ms: f64,
    /// Not longer than this; absent when the end was never seen.
    pub at_most_ms: Option<f64>,
}

/// Recovery time achieved: from the fault to restored.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
pub struct Rto {
    /// The objective.
    pub target_ms: Option<f64>,
    /// Not shorter than this; absent when it was not measured (no fault in effect).
    pub at_least_ms: Option<f64>,
    /// Not longer than this; absent when the service never came back.
    pub at_most_ms: Option<f64>,
    /// Against the objective.
    pub verdict: Verdict,
}

/// Recovery point achieved, from acknowledged writes.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
pub struct Rpo {
    /// The objective.
    pub target_ms: Option<f64>,
    /// Age at the fault of the first lost write, not shorter than this; 0 when none is lost, absent when not measured.
    pub at_least_ms: Option<f64>,
    /// Not longer than this.
    pub at_most_ms: Option<f64>,
    /// Against the objective.
    pub verdict: Verdict,
    /// Counts of writes.
    pub writes: Writes,
    /// Bytes of payload lost.
    pub lost_bytes: u64,
    /// Acknowledged after the fault and lost: evidence of a deposed primary that went on.
    pub lost_after_fault: u64,
    /// From the first to the last lost acknowledgement.
    pub span_ms: f64,
    /// Survivors later than the first loss: the loss is not a clean tail.
    pub holes: u64,
    /// Time between acknowledgements around the fault: a loss smaller than this cannot be seen.
    pub resolution_ms: Option<f64>,
    /// Loss of the way back: acknowledged before failback and absent after it.
    pub failback_lost: Option<u64>,
}

/// Every write of the drill, in one class each, but for duplicate and corrupt ones, which are also present.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub struct Writes {
    /// Acknowledged.
    pub acknowledged: u64,
    /// Acknowledged and absent.
    pub lost: u64,
    /// Present more than once.
    pub duplicate: u64,
    /// Present though it certainly failed or was never sent.
    pub phantom: u64,
    /// Present with other content.
    pub corrupt: u64,
    /// Lost, and back later.
    pub resurrected: u64,
    /// Of unknown outcome, and present.
    pub recovered: u64,
    /// Of unknown outcome, and absent.
    pub unresolved: u64,
}

/// Recovery level achieved: the worst second between restored and full capacity.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
pub struct Rlo {
    /// The objective, a ratio.
    pub target: Option<f64>,
    /// Achieved, a ratio; absent when not measured.
    pub achieved: Option<f64>,
    /// Against the objective.
    pub verdict: Verdict,
}

/// The moments of the recovery; absent where they did not come.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
pub struct Phases {
    /// The fault, F−.
    pub fault_ms: Option<f64>,
    /// First failure that a client saw.
    pub first_error_ms: Option<f64>,
    /// The failure was noticed.
    pub detected_ms: Option<f64>,
    /// Failing over was decided.
    pub decided_ms: Option<f64>,
    /// The failover plan was carried out.
    pub failed_over_ms: Option<f64>,
    /// The service was restored (upper bound).
    pub restored_ms: Option<f64>,
    /// Goodput reached the baseline's again.
    pub full_capacity_ms: Option<f64>,
    /// Failback began.
    pub failback_started_ms: Option<f64>,
    /// Failback ended.
    pub failback_finished_ms: Option<f64>,
}
