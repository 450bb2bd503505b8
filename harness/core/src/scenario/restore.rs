//! Restoring from backups, as written in a scenario.

use std::time::Duration;

use garde::Validate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Failback, Failover, Known};
use crate::units::{Span, within};

/// A restore from backups (requirements C7 and C8): drdrill looks at the data, and when it is damaged restores the newest
/// state that is clean, into an empty target.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize, Validate)]
#[serde(deny_unknown_fields, default)]
#[garde(context(Known))]
pub struct RestorePlan {
    /// A restore point whose state is older is not used: it lacks too much.
    #[garde(custom(within(Duration::from_secs(1), Duration::from_hours(24 * 366))))]
    pub max_age: Span,
    /// Time between two looks at all data; two in a row that find damage start the restore.
    #[garde(custom(within(Duration::from_millis(100), Duration::from_hours(24))))]
    pub check_every: Span,
}

impl Default for RestorePlan {
    /// Source: requirements C8 (age 24 h) and C1 (interval 30 s).
    fn default() -> Self {
        Self { max_age: Span(Duration::from_hours(24)), check_every: Span(Duration::from_secs(30)) }
    }
}

/// Two plans at once would undo each other's work.
pub(super) fn instead_of<C>(
    failover: Failover,
) -> impl FnOnce(&Option<RestorePlan>, &C) -> garde::Result {
    move |restore, _| match (restore, failover) {
        (Some(_), Failover::BuiltIn | Failover::Own) => Err(garde::Error::new(
            "is done where nobody fails over; write `failover: none` beside it",
        )),
        _ => Ok(()),
    }
}

/// What is restored is the original site: there is no way back to go.
pub(super) fn no_way_back<C>(
    restore: Option<RestorePlan>,
) -> impl FnOnce(&Option<Failback>, &C) -> garde::Result {
    move |failback, _| match (failback, restore) {
        (Some(_), Some(_)) => Err(garde::Error::new(
            "follows a failover; a restore brings the original site back itself",
        )),
        _ => Ok(()),
    }
}
