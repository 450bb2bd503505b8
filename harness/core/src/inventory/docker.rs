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
    /// time is lost with the primary site. At most 250ms: PostgreSQL's own programs, which copy a database over the same way,
    /// give up on a longer one.
    #[garde(custom(short_enough))]
    pub replication_lag: Span,
    /// Time between two full backups of the database that decides.
    #[garde(custom(within(Duration::from_secs(1), Duration::from_hours(24))))]
    pub backup_interval: Span,
    /// What is written is archived so long after it was committed, at the latest; or as soon as a segment of the log is full.
    #[garde(custom(within(Duration::from_secs(1), Duration::from_hours(24))))]
    pub log_interval: Span,
    /// Time the application thinks about each request.
    #[garde(custom(within(Duration::ZERO, Duration::from_secs(10))))]
    pub think_time: Span,
    /// Address (`host:port`) at which clients reach the primary region; any free port when absent.
    #[garde(skip)]
    pub listen: Option<String>,
}

impl Default for DockerSpec {
    fn default() -> Self {
        let LabSpec {
            strategy,
            replication_lag,
            backup_interval,
            log_interval,
            think_time,
            listen,
            ..
        } = LabSpec::default();
        Self { strategy, replication_lag, backup_interval, log_interval, think_time, listen }
    }
}

impl DockerSpec {
    /// The two sites that it describes, without saying that they are containers.
    #[must_use]
    pub fn sites(&self) -> LabSpec {
        let Self { strategy, replication_lag, backup_interval, log_interval, think_time, listen } =
            self.clone();
        LabSpec {
            strategy,
            replication_lag,
            backup_interval,
            log_interval,
            think_time,
            listen,
            ..LabSpec::default()
        }
    }
}

/// Longest way between the databases. Each exchange of a login goes over it there and back, and `pg_basebackup` gives up
/// after 2 s: from 330 ms on it sometimes does, from 670 ms on always.
const LONGEST_LAG: Span = Span(Duration::from_millis(250));

fn short_enough<C>(lag: &Span, _: &C) -> garde::Result {
    if *lag <= LONGEST_LAG {
        return Ok(());
    }
    Err(garde::Error::new(format!(
        "must be at most {LONGEST_LAG} on containers: over a longer way a database cannot be copied; the lab takes more"
    )))
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "what garde calls it with")]
fn is_built<C>(strategy: &Strategy, _: &C) -> garde::Result {
    match strategy {
        Strategy::Warm | Strategy::Hot => Ok(()),
        _ => Err(garde::Error::new("containers stand by `warm` or `hot`")),
    }
}
