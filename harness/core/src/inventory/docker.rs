//! Two sites of containers, as written in an environment file.

use std::time::Duration;

use garde::Validate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{LabSpec, Strategy};
use crate::units::{Span, within};

/// Settings of two sites of containers.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize, Validate)]
#[serde(deny_unknown_fields, default)]
pub struct DockerSpec {
    /// How the DR site stands by: `warm`, or `hot`, where the primary site's database waits for the DR site's before it
    /// acknowledges.
    #[garde(custom(is_built))]
    pub strategy: Strategy,
    /// How long data takes from one database to the other, where that one is not waited for. What was acknowledged within that
    /// time is lost with the primary site.
    #[garde(custom(within(Duration::ZERO, Duration::from_mins(1))))]
    pub replication_lag: Span,
    /// Time the application thinks about each request.
    #[garde(custom(within(Duration::ZERO, Duration::from_secs(10))))]
    pub think_time: Span,
    /// Address (`host:port`) at which clients reach the primary region; any free port when absent.
    #[garde(skip)]
    pub listen: Option<String>,
}

impl Default for DockerSpec {
    fn default() -> Self {
        let LabSpec { strategy, replication_lag, think_time, listen, .. } = LabSpec::default();
        Self { strategy, replication_lag, think_time, listen }
    }
}

impl DockerSpec {
    /// The two sites that it describes, without saying that they are containers.
    #[must_use]
    pub fn sites(&self) -> LabSpec {
        let Self { strategy, replication_lag, think_time, listen } = self.clone();
        LabSpec { strategy, replication_lag, think_time, listen, ..LabSpec::default() }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "what garde calls it with")]
fn is_built<C>(strategy: &Strategy, _: &C) -> garde::Result {
    match strategy {
        Strategy::Warm | Strategy::Hot => Ok(()),
        _ => Err(garde::Error::new("containers stand by `warm` or `hot`")),
    }
}
