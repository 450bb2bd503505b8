//! What heals the system.

use std::time::Duration;

use garde::Validate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Known, RestorePlan, restore};
use crate::units::{Span, within};

/// What heals the system.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize, Validate)]
#[serde(deny_unknown_fields, default)]
#[garde(context(Known))]
pub struct Recovery {
    /// Who fails over.
    #[garde(skip)]
    pub failover: Failover,
    /// drdrill restores the primary site from its backups when its data is damaged; nobody fails over then.
    #[garde(custom(restore::instead_of(self.failover)), dive)]
    pub restore: Option<RestorePlan>,
    /// How long the service may stay away before the drill stops waiting. The RTO then reads "> N".
    #[garde(custom(within(Duration::from_secs(1), Duration::from_hours(24))))]
    pub give_up_after: Span,
}

impl Recovery {
    /// Whether drdrill's own machinery watches the system, and acts.
    #[must_use]
    pub fn acts(&self) -> bool {
        self.failover.is_ours() || self.failover == Failover::Runbook || self.restore.is_some()
    }
}

/// Who follows a runbook has one.
pub(super) fn follows_a_runbook<C>(has_one: bool) -> impl Fn(&Recovery, &C) -> garde::Result {
    move |recovery, _| {
        if recovery.failover == Failover::Runbook && !has_one {
            return Err(garde::Error::new(
                "says `failover: runbook`, and the scenario names none; write `runbook: NAME_OR_FILE` into it",
            ));
        }
        Ok(())
    }
}

impl Default for Recovery {
    fn default() -> Self {
        Self {
            failover: Failover::BuiltIn,
            restore: None,
            give_up_after: Span(Duration::from_hours(1)),
        }
    }
}

/// Who fails over.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Failover {
    /// drdrill's health monitor and failover plan.
    BuiltIn,
    /// The system itself; drdrill only watches.
    Own,
    /// Nobody.
    None,
    /// drdrill's health monitor and failover plan are at work and have to hold back: the service never goes away, and a
    /// failover is a failure.
    Refrain,
    /// The steps of the scenario's runbook, in order, by people, by commands and by drdrill's machinery. They begin when
    /// the health monitor decides that something was lost, and where there is none as soon as the last fault is in effect.
    Runbook,
}

impl Failover {
    /// Whether drdrill's own machinery is at work.
    #[must_use]
    pub const fn is_ours(self) -> bool {
        matches!(self, Self::BuiltIn | Self::Refrain)
    }
}
