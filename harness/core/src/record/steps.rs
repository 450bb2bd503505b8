//! What was done to the system: faults, steps of plans, checks of functionality.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::event::{StepOutcome, When};
use crate::verdict::Verdict;

/// A fault of the run.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
pub struct Fault {
    /// Entry of the undo ledger.
    pub id: u32,
    /// Kind.
    pub kind: String,
    /// What it acted on.
    pub target: String,
    /// The mechanism.
    pub via: String,
    /// What would have taken it back.
    pub belts: Vec<String>,
    /// F−: just before the apply call.
    pub applied_ms: Option<f64>,
    /// F+: seen in effect.
    pub in_effect_ms: Option<f64>,
    /// Seen to be gone.
    pub reverted_ms: Option<f64>,
    /// What was seen.
    pub proof: Option<String>,
}

/// A step of a plan.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
pub struct Step {
    /// Its name.
    pub name: String,
    /// What it does.
    pub action: String,
    /// The site.
    pub site: String,
    /// When it began.
    pub started_ms: f64,
    /// When it ended.
    pub finished_ms: f64,
    /// How.
    pub outcome: StepOutcome,
    /// Whether it was taken back later.
    pub rolled_back: bool,
    /// What was seen.
    pub detail: String,
}

/// A functionality check.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
pub struct Functionality {
    /// Its name.
    pub name: String,
    /// The site that served.
    pub site: String,
    /// When in the drill.
    pub when: When,
    /// What it came to.
    pub outcome: Verdict,
    /// How long it took.
    pub took_ms: f64,
    /// What was seen.
    pub detail: String,
}

/// A fault that could not be taken back.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
pub struct Leftover {
    /// Entry of the undo ledger.
    pub id: u32,
    /// Kind of the fault.
    pub kind: String,
    /// What it acted on.
    pub target: String,
    /// Why it could not be taken back.
    pub error: String,
    /// What is left, a line each.
    pub residue: Vec<String>,
    /// What a person would type.
    pub by_hand: String,
}
