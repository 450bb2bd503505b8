//! One attempt of a probe, stamped by the sampler.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::time::At;

/// What one attempt came to. Only the first two say anything certain about the service.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The service answered as a client expects.
    Ok,
    /// The attempt certainly did not succeed: refused, reset, an error answer.
    Failed(Arc<str>),
    /// The deadline passed or the answer was lost: a write may still have been, or may still be, applied.
    Unknown(Arc<str>),
    /// Our own fault (lateness, no descriptors, no ports, bookkeeping): never the service's failure.
    ProberError(Arc<str>),
}

impl Outcome {
    /// Whether the attempt succeeded.
    #[must_use]
    pub const fn is_ok(&self) -> bool {
        matches!(self, Self::Ok)
    }

    /// Whether a client would call it a failure: certain failures and passed deadlines, never our own faults.
    #[must_use]
    pub const fn is_failure(&self) -> bool {
        matches!(self, Self::Failed(_) | Self::Unknown(_))
    }
}

/// Who decided about a write, as the acknowledgement itself says.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Decider {
    /// The site.
    pub site: Arc<str>,
    /// The epoch (term, timeline, generation) in which it decided: it grows with each change of who decides.
    pub epoch: u64,
}

/// What an attempt did to data, where the history has to know: judging it needs what was written, read and moved.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Deed {
    /// Set a register to a value that is written to it only once.
    Write {
        /// The register.
        key: u32,
        /// The value.
        value: u64,
    },
    /// Asked for the value of a register.
    Read {
        /// The register.
        key: u32,
        /// What came back, of an attempt that succeeded; `None` before the first write.
        value: Option<u64>,
    },
    /// Moved money from one account to another.
    Transfer {
        /// The account that is debited.
        from: u32,
        /// The account that is credited.
        to: u32,
        /// How much.
        amount: u64,
    },
    /// Asked for the balances of all accounts.
    Balances {
        /// What came back, of an attempt that succeeded.
        balances: BTreeMap<u32, i64>,
    },
}

impl Deed {
    /// The register that it is about.
    #[must_use]
    pub const fn key(&self) -> Option<u32> {
        match self {
            Self::Write { key, .. } | Self::Read { key, .. } => Some(*key),
            Self::Transfer { .. } | Self::Balances { .. } => None,
        }
    }
}

/// What came of an attempt, and what its answer says besides.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Answered {
    /// What it came to.
    pub outcome: Outcome,
    /// Who decided, where the answer says so.
    pub decider: Option<Decider>,
    /// What was read, where that is to be judged.
    pub read: Option<Deed>,
}

impl From<Outcome> for Answered {
    fn from(outcome: Outcome) -> Self {
        Self { outcome, decider: None, read: None }
    }
}

/// Index of a probe stream in [`crate::event::DrillStarted::streams`].
pub type StreamId = u16;

/// One attempt: when it was due, sent and done, and what it came to.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Sample {
    /// The stream it belongs to.
    pub stream: StreamId,
    /// Its number in the stream, from 0, without gaps. A write's unique id is made of it.
    pub sequence: u64,
    /// When the schedule asked for it, in nanoseconds of the drill.
    pub due: At,
    /// When it really began.
    pub sent: At,
    /// When its outcome was known.
    pub done: At,
    /// What it came to.
    pub outcome: Outcome,
    /// Who decided, where the answer says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decider: Option<Decider>,
    /// What it did to data, of a stream whose operations are judged one by one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deed: Option<Box<Deed>>,
}
