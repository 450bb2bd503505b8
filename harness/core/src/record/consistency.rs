//! What the workloads and the machinery prove of consistency.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::verdict::Verdict;

/// What the operations of the workloads prove, each judged from what was written, read and moved.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
pub struct Consistency {
    /// Registers; absent where none was written or read.
    pub registers: Option<RegistersFound>,
    /// Accounts; absent where no money was moved.
    pub bank: Option<BankFound>,
}

/// Whether reads of registers returned what a register can return. What was lost to the fault itself is measured by the
/// recovery point objective and is no inconsistency.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
pub struct RegistersFound {
    /// What it came to.
    pub verdict: Verdict,
    /// Registers that were written or read.
    pub registers: u64,
    /// Writes that were acknowledged.
    pub writes: u64,
    /// Writes of unknown outcome: each may have been applied.
    pub unknown_writes: u64,
    /// Reads that were answered.
    pub reads: u64,
    /// Of those, sent after the fault and the service's return, and before the way back; absent where nothing was broken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reads_after_fault: Option<u64>,
    /// Reads that returned a value which had been overwritten.
    pub stale_reads: u64,
    /// The longest time for which such a value had been overwritten, at least. Without the reads that are counted as
    /// `returned`: how long their values had been overwritten is not known.
    pub stale_for_ms: Option<f64>,
    /// Registers whose answers contradict each other, stale reads included.
    pub contradictory: u64,
    /// Registers whose values clients saw in different orders: all of them are contradictory too.
    pub out_of_order: u64,
    /// Reads that returned a value of before a failover, after another one of before it had been found in its place. They
    /// are not among the stale reads.
    pub returned: u64,
    /// Registers of which nothing can be told.
    pub unjudged: u64,
    /// Answers that do not say who decided.
    pub untold: u64,
    /// Registers that were read after each failover that may have lost something, before they were written again: only
    /// of them is known what was lost. Absent where there was no such failover.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compared: Option<u64>,
    /// Values that clients had written or read, and that a failover after a fault lost, of the registers that were compared.
    pub lost: u64,
    /// Of those, written after the fault was in effect.
    pub lost_after_fault: u64,
    /// Age at the fault of the oldest of them, not less than this; absent when none was lost.
    pub lost_at_least_ms: Option<f64>,
    /// Not more than this.
    pub lost_at_most_ms: Option<f64>,
    /// What is wrong, the worst first: some examples.
    pub findings: Vec<String>,
}

/// Whether all balances together were always the same.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
pub struct BankFound {
    /// What it came to.
    pub verdict: Verdict,
    /// Transfers that were acknowledged.
    pub transfers: u64,
    /// Transfers of unknown outcome: each may have been made.
    pub unknown_transfers: u64,
    /// Snapshots of all balances that were compared with the total.
    pub snapshots: u64,
    /// Snapshots that were answered, asked for after the fault and the service's return, and before the way back; absent
    /// where nothing was broken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshots_after_fault: Option<u64>,
    /// Snapshots that no bank can have answered.
    pub wrong_snapshots: u64,
    /// The money that there is: what the accounts were opened with, or, in a history that does not say, the total of the
    /// first snapshot.
    pub total: Option<i64>,
    /// What is wrong: some examples.
    pub findings: Vec<String>,
}

/// Two sites that decided about writes at the same time.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
pub struct SplitBrain {
    /// From.
    pub from_ms: f64,
    /// To.
    pub to_ms: f64,
    /// What was seen.
    pub detail: String,
}
