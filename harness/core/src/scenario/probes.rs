//! How the system is watched, and when a drill is stopped.

use std::time::Duration;

use garde::Validate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Known, known};
use crate::units::{Share, Span, within};

/// How the system is watched.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize, Validate)]
#[serde(deny_unknown_fields, default)]
#[garde(context(Known))]
pub struct ProbePlan {
    /// Time between two attempts of a stream. Attempts overlap: a slow answer delays no later attempt.
    #[garde(custom(within(Duration::from_micros(500), Duration::from_mins(1))))]
    pub every: Span,
    /// Time one attempt may take, at most 900 ms: a lost connection request is repeated by the kernel after
    /// about 1.03 s, which would look like an outage of the service.
    #[garde(custom(within(Duration::from_millis(1), LONGEST_DEADLINE)))]
    pub deadline: Span,
    /// End after so many samples of each stream; only for drills without faults.
    #[garde(inner(range(min = 1, max = 1_000_000)))]
    pub samples: Option<u64>,
    /// Streams that the environment offers besides those that every drill has, such as `login`.
    #[garde(length(max = 20), inner(custom(known::also)))]
    pub also: Vec<String>,
}

/// Longest time one attempt may take; see [`ProbePlan::deadline`].
pub const LONGEST_DEADLINE: Duration = Duration::from_millis(900);

impl Default for ProbePlan {
    fn default() -> Self {
        Self {
            every: Span(Duration::from_millis(20)),
            deadline: Span(LONGEST_DEADLINE),
            samples: None,
            also: Vec::new(),
        }
    }
}

/// A stop condition.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize, Validate)]
#[serde(deny_unknown_fields)]
#[garde(context(Known))]
pub struct StopWhen {
    /// Name of the probe stream to watch, such as `bystander`.
    #[garde(custom(known::probe))]
    pub probe: String,
    /// Abort when the share of successes falls below this.
    #[garde(skip)]
    pub success_below: Share,
    /// Over so much time.
    #[serde(default = "default_over")]
    #[garde(custom(within(Duration::from_millis(100), Duration::from_mins(10))))]
    pub over: Span,
}

const fn default_over() -> Span {
    Span(Duration::from_secs(1))
}
