//! `record.json`: the judgement of one run, schema `drdrill/record/v1`.
//!
//! Durations and instants are milliseconds as numbers; instants count from the start of the drill.

mod consistency;
mod runbook;
mod samples;
mod service;
mod steps;
mod way_back;

pub use consistency::{BankFound, Consistency, RegistersFound, SplitBrain};
pub use runbook::{FollowedRunbook, FollowedStep, Tabletop, TabletopStep};
pub use samples::{Latency, Samples, Stream};
pub use service::{Interval, Phases, Rlo, Rpo, Rto, Service, Writes};
pub use steps::{Fault, Functionality, Leftover, Step};
pub use way_back::{ServiceWayBack, WayBack};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::checker::Finding;
use crate::notice::{NoticeKind, Severity};
use crate::scenario::Kind;
use crate::verdict::Verdict;

/// Value of [`Record::schema`].
pub const SCHEMA: &str = "drdrill/record/v1";

/// The judgement of one run.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
pub struct Record {
    /// Always [`SCHEMA`].
    pub schema: String,
    /// Unique id of the run.
    pub run_id: String,
    /// The scenario.
    pub scenario: ScenarioRef,
    /// The environment.
    pub environment: EnvironmentRef,
    /// Kind of drill.
    pub kind: Kind,
    /// The program that ran it.
    pub tool: Tool,
    /// Wall clock at the start, RFC 3339.
    pub started_at: String,
    /// Wall clock at the end, RFC 3339; absent when the run was cut off.
    pub finished_at: Option<String>,
    /// Length of the drill on the monotonic clock.
    pub duration_ms: f64,
    /// Seed of every random choice.
    pub seed: u64,
    /// What it came to.
    pub verdict: Verdict,
    /// Exit code of the run.
    pub exit_code: u8,
    /// Why the verdict is what it is, a sentence each.
    pub reasons: Vec<String>,
    /// Each service.
    pub services: Vec<Service>,
    /// Each fault.
    pub faults: Vec<Fault>,
    /// Each step of the plans.
    pub steps: Vec<Step>,
    /// The moments of the recovery.
    pub phases: Phases,
    /// Functionality checks.
    pub functionality: Vec<Functionality>,
    /// Streams outside the blast radius.
    pub bystanders: Vec<Stream>,
    /// What clients saw on the way back; absent when no failback was asked for or the drill never came to it.
    pub failback: Option<WayBack>,
    /// How far the standby was behind just before the fault.
    pub replication_lag_ms: Option<u64>,
    /// Sites that decided about writes at the same time.
    pub split_brain: Vec<SplitBrain>,
    /// What the checkers found.
    pub findings: Vec<Finding>,
    /// What people did; only of tabletop exercises, which measure nothing.
    #[serde(default)]
    pub tabletop: Option<Tabletop>,
    /// The runbook that the drill followed as its recovery plan, and what came of its steps.
    #[serde(default)]
    pub runbook: Option<FollowedRunbook>,
    /// Who was told of the drill, or could not be.
    #[serde(default)]
    pub notices: Vec<ToldOf>,
    /// What to do about it.
    pub recommendations: Vec<Recommendation>,
    /// Faults that could not be taken back.
    pub leftovers: Vec<Leftover>,
}

/// The scenario of a run.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
pub struct ScenarioRef {
    /// Its name.
    pub name: String,
    /// Its title.
    pub title: String,
    /// SHA-256 of its file, in hexadecimal.
    pub sha256: String,
    /// Whether it shows that drdrill notices a failure and must not pass: no drill of the system.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub must_fail: bool,
    /// Settings of it and of the environment that were changed for this run, as `NAME=VALUE`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub settings: Vec<String>,
}

/// The environment of a run.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
pub struct EnvironmentRef {
    /// Its name.
    pub name: String,
    /// Its provider.
    pub provider: String,
    /// Whether it only imitates the real thing.
    pub emulated: bool,
    /// What identifies it exactly.
    pub fingerprint: String,
    /// SHA-256 of what its file says of the system, in hexadecimal, settings of this run included; title and recipients of
    /// notices are left out. Absent in records of drdrills that did not know it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub definition: Option<String>,
    /// Whether real users depend on it.
    #[serde(default)]
    pub production: bool,
    /// What was read from the target before the drill and before each fault, to see that it is the one that is meant.
    #[serde(default)]
    pub pin: Vec<String>,
}

/// This program.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub struct Tool {
    /// Its version.
    pub version: String,
    /// The commit it was built from, where known.
    pub commit: Option<String>,
}

/// A recommendation with the figures that triggered it.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
pub struct Recommendation {
    /// Id of the rule.
    pub rule: String,
    /// What to do.
    pub text: String,
    /// The figures that triggered it.
    pub evidence: Vec<String>,
}

/// A notice that was sent, or was to be.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
pub struct ToldOf {
    /// Name of the recipient.
    pub to: String,
    /// The way: `webhook`, `email`, `status_page`.
    pub by: String,
    /// What about.
    pub kind: NoticeKind,
    /// How urgent.
    pub severity: Severity,
    /// When it was to be told.
    pub due_ms: f64,
    /// Why it did not arrive, as far as is known; absent when it was taken.
    pub error: Option<String>,
}
