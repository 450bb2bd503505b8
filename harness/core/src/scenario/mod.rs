//! Scenario files: what breaks, what heals it, what must hold. They speak of roles, never of mechanisms.

mod data;
mod delay;
mod expect;
mod failback;
mod inject;
mod known;
mod network;
mod node;
mod parse;
mod probes;
mod recovery;
mod restore;

pub use data::{
    BackupDamage, Corruption, Deletion, Destruction, Harm, PageDamage, Part, Revocation,
};
pub use delay::NetworkDelay;
pub use expect::Expect;
pub use failback::Failback;
pub use inject::{FaultAt, Inject};
pub use known::Known;
pub use network::{Limit, Loss, On, Partition};
pub use node::{DiskFull, FilesReadOnly, Kill, Pause, ReplicationStall, Stop, ZoneLoss};
pub(crate) use parse::parse;
pub use parse::{
    FileError, LARGEST_FILE_BYTES, parse_backup_plan, parse_followed, parse_inventory,
    parse_runbook, parse_scenario, parse_script,
};
pub use probes::{LONGEST_DEADLINE, ProbePlan, StopWhen};
pub use recovery::{Failover, Recovery};
pub use restore::RestorePlan;

use std::time::Duration;

use garde::Validate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::names::simple_name;
use crate::units::{Share, Span};
use network::one;
use recovery::follows_a_runbook;

/// A drill, as written in a file.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize, Validate)]
#[serde(deny_unknown_fields)]
#[garde(context(Known))]
pub struct Scenario {
    /// Name: lower-case letters, digits, `_` and `-`.
    #[garde(custom(simple_name))]
    #[schemars(regex(pattern = r"^[a-z0-9_-]{1,64}$"))]
    pub scenario: String,
    /// Title, for people.
    #[garde(length(min = 1, max = 200))]
    pub title: String,
    /// What happens in it, for people.
    #[serde(default)]
    #[garde(length(max = 4000))]
    pub description: String,
    /// What a pass proves, a sentence each.
    #[serde(default)]
    #[garde(length(max = 50))]
    pub proves: Vec<String>,
    /// What it is about, such as `site`, `network` or `data`: `run --tag` picks by them, `list` groups by the first.
    #[serde(default)]
    #[garde(length(max = 20), inner(custom(simple_name)))]
    #[schemars(inner(regex(pattern = r"^[a-z0-9_-]{1,64}$")))]
    pub tags: Vec<String>,
    /// The runbook that people follow: the name of a shipped one, or the path of a file, from where this file is.
    #[serde(default)]
    #[garde(inner(length(min = 1, max = 1000)))]
    pub runbook: Option<String>,
    /// What people answer in a drill that follows its runbook, where they are not asked at a terminal: the name of a
    /// shipped script, or the path of a file, from where this file is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[garde(inner(length(min = 1, max = 1000)))]
    pub script: Option<String>,
    /// How a scenario that must fail has to end; only those have it.
    #[serde(default)]
    #[garde(dive)]
    pub expect: Option<Expect>,
    /// Kind of drill.
    #[garde(skip)]
    pub kind: Kind,
    /// Objectives. The tier of a service may tighten them.
    #[serde(default)]
    #[garde(skip)]
    pub targets: Targets,
    /// How the system is watched.
    #[serde(default)]
    #[garde(dive)]
    pub probes: ProbePlan,
    /// What breaks, in order.
    #[garde(length(max = 50), dive)]
    pub faults: Vec<FaultAt>,
    /// What heals it.
    #[serde(default)]
    #[garde(custom(follows_a_runbook(self.runbook.is_some())), dive)]
    pub recovery: Recovery,
    /// Functions that must work again after the recovery (requirement C10).
    #[serde(default)]
    #[garde(length(max = 50), inner(custom(known::function)))]
    pub verify: Vec<String>,
    /// How long the restored service is watched before faults are taken back.
    #[serde(default = "default_soak")]
    #[garde(skip)]
    pub soak: Span,
    /// The way back to the original site; absent when the drill ends on the DR site.
    #[serde(default)]
    #[garde(custom(restore::no_way_back(self.recovery.restore)), dive)]
    pub failback: Option<Failback>,
    /// When to abort, undo everything and keep the evidence.
    #[serde(default)]
    #[garde(length(max = 20), custom(known::are_sampled(&self.probes.also)), dive)]
    pub stop_when: Vec<StopWhen>,
}

const fn default_soak() -> Span {
    Span(Duration::from_secs(3))
}

/// Kind of a drill.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// People walk through it.
    Tabletop,
    /// A controlled failover of a test or standby environment.
    Simulated,
    /// Real traffic.
    Full,
}

/// Objectives; an absent one is not judged.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Targets {
    /// Recovery time objective: from the fault to the restored service.
    pub rto: Option<Span>,
    /// Recovery point objective: age of the first lost acknowledged write at the fault.
    pub rpo: Option<Span>,
    /// Recovery level objective: the least share of normal goodput between restored and full capacity.
    pub rlo: Option<Share>,
}

impl Targets {
    /// These objectives, tightened by others: the stricter of each wins.
    #[must_use]
    pub fn tightened_by(self, other: Self) -> Self {
        Self {
            rto: stricter(self.rto, other.rto, Ord::min),
            rpo: stricter(self.rpo, other.rpo, Ord::min),
            rlo: stricter(self.rlo, other.rlo, Ord::max),
        }
    }
}

fn stricter<T>(one: Option<T>, other: Option<T>, choose: fn(T, T) -> T) -> Option<T> {
    match (one, other) {
        (Some(one), Some(other)) => Some(choose(one, other)),
        (one, other) => one.or(other),
    }
}
