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
    /// Neither clients nor the other site reach the sites until what was restored is verified: whatever attacked them may
    /// still be there.
    #[garde(skip)]
    pub isolated: bool,
    /// All credentials are made anew before anybody is let in; those before are refused from then on.
    #[garde(skip)]
    pub new_credentials: bool,
    /// Nothing is left but the backups: the sites are provisioned anew, and nothing may be on them, before anything is
    /// restored there.
    #[garde(custom(nothing_is_isolated(self.isolated)))]
    pub from_nothing: bool,
}

/// Sites that are provisioned anew are open from then on.
fn nothing_is_isolated(isolated: bool) -> impl Fn(&bool, &Known) -> garde::Result {
    move |from_nothing, _| {
        if *from_nothing && isolated {
            return Err(garde::Error::new("from_nothing and isolated do not go together yet"));
        }
        Ok(())
    }
}

impl Default for RestorePlan {
    /// Source: requirements C8 (age 24 h) and C1 (interval 30 s).
    fn default() -> Self {
        Self {
            max_age: Span(Duration::from_hours(24)),
            check_every: Span(Duration::from_secs(30)),
            isolated: false,
            new_credentials: false,
            from_nothing: false,
        }
    }
}

/// Two plans at once would undo each other's work.
pub(super) fn instead_of<C>(
    failover: Failover,
) -> impl FnOnce(&Option<RestorePlan>, &C) -> garde::Result {
    move |restore, _| match (restore, failover) {
        (Some(_), Failover::BuiltIn | Failover::Own | Failover::Runbook) => Err(garde::Error::new(
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
