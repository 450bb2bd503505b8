//! `record.json`: the judgement of one run, schema `drdrill/record/v1`.
//!
//! Durations and instants are milliseconds as numbers; instants count from the start of the drill.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::checker::Finding;
use crate::event::{StepOutcome, When};
use crate::notice::{NoticeKind, Severity};
use crate::runbook::{Phase, StepBy};
use crate::scenario::Kind;
use crate::tabletop::{Conclusion, Participant, StepResult};
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

/// A tabletop exercise.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
pub struct Tabletop {
    /// Name of the runbook.
    pub runbook: String,
    /// SHA-256 of its file, in hexadecimal.
    pub runbook_sha256: String,
    /// Whether the answers came from a file, and not from people at a terminal.
    pub scripted: bool,
    /// Who was to take part, and who did.
    pub participants: Vec<Participant>,
    /// Each step of the runbook.
    pub steps: Vec<TabletopStep>,
    /// How long it takes until the service is restored, in the judgement of those present: the sum of the steps up to
    /// the end of `verify`. Absent when one of them was not walked through, or could not be done. Nothing was measured.
    pub judged_recovery_ms: Option<f64>,
    /// Issues, lessons and actions of the exercise as a whole.
    pub conclusion: Conclusion,
}

/// A runbook that a drill followed.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
pub struct FollowedRunbook {
    /// Its name.
    pub name: String,
    /// SHA-256 of its file, in hexadecimal.
    pub sha256: String,
    /// Whether what people answered came from a file, and not from somebody at a terminal.
    pub scripted: bool,
    /// Who took part, where somebody said so.
    pub participants: Vec<Participant>,
    /// Each of its steps, also those that the drill did not come to.
    pub steps: Vec<FollowedStep>,
    /// How long people took for their steps until the service was restored, together.
    pub by_people_ms: f64,
    /// How to give up and go back by hand, as the runbook says; only where what people did may have to be taken back.
    pub to_take_back: Vec<String>,
}

/// A step of a runbook, as a drill carried it out.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
pub struct FollowedStep {
    /// Its name.
    pub name: String,
    /// The stretch of the recovery that it belongs to.
    pub phase: Phase,
    /// The role that owns it.
    pub owner: String,
    /// Who does it.
    pub by: StepBy,
    /// The person who was asked, or the role; absent when the drill did not come to it.
    pub who: Option<String>,
    /// How long it may take, by the runbook.
    pub within_ms: f64,
    /// When it began; absent when the drill did not come to it.
    pub started_ms: Option<f64>,
    /// When it was done or answered; absent when it never was.
    pub finished_ms: Option<f64>,
    /// How it ended; absent when it did not.
    pub outcome: Option<StepOutcome>,
    /// What was said, or seen.
    pub note: String,
    /// What to do when it does not work, by the runbook.
    pub otherwise: Option<String>,
}

/// A step of a runbook, as people walked through it.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
pub struct TabletopStep {
    /// Its name.
    pub name: String,
    /// The stretch of the recovery that it belongs to.
    pub phase: Phase,
    /// The role that does it.
    pub owner: String,
    /// How long it may take, by the runbook.
    pub within_ms: f64,
    /// How long it takes, in the judgement of those present.
    pub takes_ms: Option<f64>,
    /// When it was presented; absent when it never was.
    pub presented_ms: Option<f64>,
    /// When it was answered.
    pub answered_ms: Option<f64>,
    /// What people say of it.
    pub result: StepResult,
    /// What was decided.
    pub decision: String,
    /// What stood in the way.
    pub issues: Vec<String>,
    /// What was learnt.
    pub lessons: Vec<String>,
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
