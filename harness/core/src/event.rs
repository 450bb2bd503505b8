//! The one history: everything writes to it, everything is judged from it.

use serde::{Deserialize, Serialize};

use crate::action::{Belt, Undo};
use crate::environment::FoundWrites;
use crate::inventory::EnvironmentFacts;
use crate::notice::{NoticeKind, Severity};
use crate::probe::{Connection, Purpose};
use crate::record::Tool;
use crate::runbook::{Runbook, StepBy};
use crate::sample::{Sample, StreamId};
use crate::scenario::Scenario;
use crate::secret;
use crate::tabletop::{Answer, Conclusion, Participant};
use crate::time::At;
use crate::verdict::Verdict;

/// One line of the history.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Entry {
    /// When it was written down.
    pub at: At,
    /// What happened.
    pub event: Event,
}

impl Entry {
    /// This entry without any known secret in it: what the system under drill said may hold one.
    #[must_use]
    pub fn redacted(self) -> Self {
        let is_number = matches!(
            &self.event,
            Event::Sample(sample) if sample.outcome.is_ok() && sample.decider.is_none()
        );
        if is_number || !secret::any_known() {
            return self;
        }
        let Self { at, event } = self;
        let clean = serde_json::to_value(&event).and_then(|mut value| {
            if secret::redact_value(&mut value) { serde_json::from_value(value) } else { Ok(event) }
        });
        // A secret that is also one of our own words leaves nothing that could be read again.
        let left_out =
            || Event::Note { text: "an entry that held a secret was left out".to_owned() };
        Self { at, event: clean.unwrap_or_else(|_| left_out()) }
    }
}

/// A probe stream, as the history knows it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct StreamFacts {
    /// Its index, which samples carry.
    pub id: StreamId,
    /// Its name.
    pub name: String,
    /// The service it watches.
    pub service: String,
    /// What it is evidence of.
    pub purpose: Purpose,
    /// Whether each attempt opens its own connection.
    pub connection: Connection,
    /// Time between two attempts, in nanoseconds.
    pub every_ns: u64,
    /// Time an attempt may take, in nanoseconds.
    pub deadline_ns: u64,
    /// Bytes of payload that one write carries.
    pub write_bytes: u64,
}

/// Everything a later judgement needs to know about the drill.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct DrillStarted {
    /// Unique id of the run.
    pub run_id: String,
    /// This program.
    pub tool: Tool,
    /// The scenario, with all overrides applied.
    pub scenario: Scenario,
    /// SHA-256 of the scenario file as read, in hexadecimal.
    pub scenario_sha256: String,
    /// Settings that were changed for this run, as `NAME=VALUE`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub settings: Vec<String>,
    /// The environment.
    pub environment: EnvironmentFacts,
    /// The probe streams.
    pub streams: Vec<StreamFacts>,
    /// Wall clock at the start, RFC 3339 in UTC. For people only.
    pub started_at: String,
    /// Seed of every random choice of this run.
    pub seed: u64,
}

/// A stretch of the drill. In this order; some may be absent.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Environment comes up.
    Preparing,
    /// Probes without faults.
    Baseline,
    /// Faults are applied; the system is broken.
    Fault,
    /// Detection and failover.
    Recovery,
    /// Service is back and must stay so.
    Soak,
    /// Faults are taken back.
    Undo,
    /// The original site becomes the primary again.
    Failback,
    /// Every write is accounted for.
    Audit,
    /// Environment goes down.
    Closing,
}

impl Stage {
    /// The stage in a word, for people.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Preparing => "preparing",
            Self::Baseline => "baseline",
            Self::Fault => "fault",
            Self::Recovery => "recovery",
            Self::Soak => "soak",
            Self::Undo => "undo",
            Self::Failback => "failback",
            Self::Audit => "audit",
            Self::Closing => "closing",
        }
    }
}

/// A moment of the recovery that only the machinery (or the operator) knows.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Milestone {
    /// The failure was noticed.
    Detected,
    /// It was decided to fail over, or to restore.
    Decided,
    /// The failover plan, or the restore plan, was carried out.
    FailedOver,
    /// The service was seen to be restored while the drill ran. When it was is judged later.
    Restored,
    /// Failback began.
    FailbackStarted,
    /// Failback ended.
    FailbackFinished,
}

/// State of the protected system as the machinery sees it (requirement C3).
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SystemState {
    /// The original site serves and is healthy.
    Healthy,
    /// Checks fail, not yet often enough.
    Degraded,
    /// The failover plan, or the restore plan, runs.
    FailingOver,
    /// The DR site serves.
    FailedOver,
    /// The failback plan runs.
    FailingBack,
}

impl SystemState {
    /// The state in words, for people.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::FailingOver => "failing over",
            Self::FailedOver => "failed over",
            Self::FailingBack => "failing back",
        }
    }
}

/// How a step of a plan ended.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StepOutcome {
    /// It did what it should.
    Done,
    /// It did not.
    Failed,
    /// It was not needed or not possible, and the plan allows that.
    Skipped,
}

/// When a read-back or a functionality check happened.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// Before any fault.
    BeforeFault,
    /// After the service came back.
    AfterRecovery,
    /// After failback, or once a standby that had been cut off has everything again.
    AfterFailback,
}

/// Why a drill ended before its end.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AbortCause {
    /// A stop condition fired.
    StopCondition,
    /// The operator interrupted, or a signal came.
    Operator,
    /// A guard no longer allows it: the target is not the one that is meant, or its window closed.
    Guard,
    /// Something drdrill needs did not work.
    Failure,
}

/// What happened.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// First line of every history.
    DrillStarted(Box<DrillStarted>),
    /// A stage of the drill began.
    StageStarted(Stage),
    /// A fault's undo is on disk; nothing was touched yet.
    FaultPlanned {
        /// Entry of the undo ledger.
        id: u32,
        /// Kind of the fault.
        kind: String,
        /// What it acts on.
        target: String,
        /// The mechanism.
        via: String,
        /// What takes it back if the harness dies.
        belts: Vec<Belt>,
        /// How it is taken back.
        undo: Undo,
    },
    /// The instant just before the apply call: the lower end of the fault instant, F−.
    FaultApplying {
        /// Entry of the undo ledger.
        id: u32,
        /// F−.
        from: At,
    },
    /// The apply call failed. Its undo is carried out all the same.
    FaultApplyFailed {
        /// Entry of the undo ledger.
        id: u32,
        /// Why.
        error: String,
    },
    /// The fault was seen in effect: the upper end of the fault instant, F+.
    FaultInEffect {
        /// Entry of the undo ledger.
        id: u32,
        /// F+.
        at: At,
        /// What was seen.
        proof: String,
    },
    /// The fault was never seen in effect: the drill proves nothing.
    FaultWithoutEffect {
        /// Entry of the undo ledger.
        id: u32,
        /// What was seen instead.
        detail: String,
    },
    /// It was no longer in effect when the drill was about to take it back: whatever recovered may have done so for that.
    FaultEnded {
        /// Its number in the ledger.
        id: u32,
        /// When it was seen.
        at: At,
        /// What was seen.
        detail: String,
    },
    /// The fault was seen to be gone.
    FaultReverted {
        /// Entry of the undo ledger.
        id: u32,
        /// Just before the revert call.
        from: At,
        /// When it was seen to be gone.
        at: At,
    },
    /// The fault could not be taken back.
    FaultStuck {
        /// Entry of the undo ledger.
        id: u32,
        /// Why.
        error: String,
        /// What is left, a line each.
        residue: Vec<String>,
        /// What a person would type.
        by_hand: String,
    },
    /// The environment could not be taken down.
    EnvironmentStuck {
        /// Entry of the undo ledger.
        id: u32,
        /// Its name.
        name: String,
        /// Why.
        error: String,
        /// What is left, a line each.
        residue: Vec<String>,
        /// What a person would type.
        by_hand: String,
    },
    /// A moment of the recovery.
    Milestone {
        /// Which.
        milestone: Milestone,
        /// When.
        at: At,
    },
    /// The state of the protected system changed.
    StateChanged {
        /// From.
        from: SystemState,
        /// To.
        to: SystemState,
        /// Why.
        reason: String,
    },
    /// A health check failed (successes are not written down).
    HealthCheckFailed {
        /// The site looked at.
        site: String,
        /// Kind of the check.
        kind: String,
        /// Failures in a row, this one included.
        in_a_row: u32,
        /// What was seen.
        detail: String,
    },
    /// A step of a plan ended.
    Step {
        /// Its name in the plan.
        name: String,
        /// What it does.
        action: String,
        /// The site it acts on.
        site: String,
        /// When it began.
        started: At,
        /// When it ended.
        finished: At,
        /// How.
        outcome: StepOutcome,
        /// Whether this is the rollback of the step of that name.
        rollback: bool,
        /// What was seen.
        detail: String,
    },
    /// A functionality check ended.
    FunctionChecked {
        /// Its name.
        name: String,
        /// The site that served.
        site: String,
        /// When in the drill.
        when: When,
        /// When it began.
        started: At,
        /// When it ended.
        finished: At,
        /// What it came to.
        verdict: Verdict,
        /// What was seen.
        detail: String,
    },
    /// How far the standby was behind, read before the fault.
    ReplicationLag {
        /// The standby.
        site: String,
        /// Milliseconds; `None` when it could not tell.
        lag_ms: Option<u64>,
    },
    /// All writes of the drill were read back from one side.
    WritesFound {
        /// The side.
        site: String,
        /// The service.
        service: String,
        /// When in the drill.
        when: When,
        /// Just before the reading began: it says nothing about a write that was acknowledged later.
        started: At,
        /// Whether this side decides (the serving primary), or is only looked at.
        authoritative: bool,
        /// What it holds.
        found: FoundWrites,
    },
    /// A side could not be read.
    WritesUnreadable {
        /// The side.
        site: String,
        /// When in the drill.
        when: When,
        /// Why.
        error: String,
    },
    /// One attempt of a probe.
    Sample(Sample),
    /// A tabletop exercise began: nothing is touched, people walk through a runbook.
    TabletopStarted {
        /// The runbook.
        runbook: Box<Runbook>,
        /// SHA-256 of its file, in hexadecimal.
        runbook_sha256: String,
        /// Whether the answers came from a file, and not from people at a terminal.
        scripted: bool,
        /// Who was to take part, and who did.
        participants: Vec<Participant>,
    },
    /// People walked through a step of the runbook.
    TabletopStep {
        /// When it was presented.
        started: At,
        /// When they had answered.
        finished: At,
        /// What came of it.
        answer: Answer,
    },
    /// What a tabletop exercise as a whole brought to light.
    TabletopConcluded {
        /// Issues, lessons, and what is to be done.
        conclusion: Conclusion,
    },
    /// A drill follows a runbook as its recovery plan.
    RunbookFollowed {
        /// The runbook.
        runbook: Box<Runbook>,
        /// SHA-256 of its file, in hexadecimal.
        runbook_sha256: String,
        /// Whether what people answer comes from a file, and not from somebody at a terminal.
        scripted: bool,
        /// Who takes part, where somebody said so.
        participants: Vec<Participant>,
    },
    /// A step of the runbook began: somebody is asked to do it, or drdrill does.
    RunbookStepStarted {
        /// Its name.
        step: String,
        /// Who does it.
        by: StepBy,
        /// The person, or the role.
        who: String,
        /// How long it may take, in nanoseconds.
        within_ns: u64,
    },
    /// A step of the runbook ended.
    RunbookStep {
        /// Its name.
        step: String,
        /// When it began.
        started: At,
        /// When it was answered, or done.
        finished: At,
        /// How.
        outcome: StepOutcome,
        /// What was said, or seen.
        note: String,
    },
    /// The undo of a command is on disk; it was not run yet.
    CommandPlanned {
        /// Entry of the undo ledger.
        id: u32,
        /// Its name.
        name: String,
    },
    /// What a command did was taken back.
    CommandTakenBack {
        /// Entry of the undo ledger.
        id: u32,
        /// When.
        at: At,
    },
    /// What a command did could not be taken back.
    CommandStuck {
        /// Entry of the undo ledger.
        id: u32,
        /// Its name.
        name: String,
        /// Why.
        error: String,
        /// What is left, a line each.
        residue: Vec<String>,
        /// What a person would type.
        by_hand: String,
    },
    /// The wall clock moved against the monotonic clock by more than a millisecond.
    ClockStepped {
        /// How far, in nanoseconds.
        by_ns: i64,
    },
    /// The drill ends before its end.
    Aborted {
        /// The kind of cause.
        cause: AbortCause,
        /// The cause.
        reason: String,
    },
    /// Somebody was told of the drill, or could not be told. No judgement depends on it.
    Notified {
        /// Name of the recipient.
        to: String,
        /// The way: `webhook`, `email`, `status_page`.
        by: String,
        /// What about.
        kind: NoticeKind,
        /// How urgent.
        severity: Severity,
        /// When it was to be told.
        due: At,
        /// Why it did not arrive, as far as is known; `None` when it was taken.
        error: Option<String>,
    },
    /// Something worth knowing that no judgement depends on.
    Note {
        /// The text.
        text: String,
    },
    /// Last line of a complete history, but for who was told of its end.
    DrillFinished {
        /// Wall clock at the end, RFC 3339 in UTC. For people only.
        finished_at: String,
    },
}

/// Where events go. Cheap to call from anywhere; never fails from the caller's point of view.
pub trait Journal: std::fmt::Debug + Send + Sync {
    /// The present instant of the drill.
    fn now(&self) -> At;
    /// Writes an event down.
    fn record(&self, event: Event);
}
