//! Faults hurt, steps heal; both are actions, and both are taken back through data.

use std::fmt;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Name of everything one action creates: `drdrill-<run>-<entry>`. Chosen before the system is touched, so that
/// the undo exists before the effect does.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Tag(String);

impl Tag {
    /// The tag of ledger entry `entry` of run `run`.
    #[must_use]
    pub fn new(run: &str, entry: u32) -> Self {
        Self(format!("drdrill-{run}-{entry}"))
    }

    /// The name itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// How to take a change back. Data, never code and never a command line: another process may have to do it.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Undo {
    /// The reverter named `kind` takes it back, knowing only this.
    Revert {
        /// Name of the [`Reverter`].
        kind: String,
        /// What it acts on, for people: a node, a site, a proxy server.
        node: String,
        /// All it needs: exact identities, and the state before.
        params: Value,
    },
    /// Nothing has to be taken back.
    Nothing {
        /// Why not.
        because: String,
    },
}

/// What would take a fault back if the harness died this instant.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Belt {
    /// The kernel: the effect's lifetime is ours.
    Kernel,
    /// The ledger, through the keeper and `drdrill recover`.
    Journal,
    /// A timer on the other machine, armed before the fault.
    Far,
}

/// Whether an action's effect is there, as somebody other than the actor sees it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Presence {
    /// All of it is in effect.
    InEffect {
        /// What was seen, for the record.
        proof: String,
    },
    /// None of it, or not all of it, is in effect.
    Absent {
        /// What was seen instead.
        detail: String,
    },
    /// It is in effect, and so is something that was not meant: the drill must end.
    TooWide {
        /// What is struck besides the target.
        detail: String,
    },
}

/// An action, a reverter or a power of an environment did not do what was asked.
#[derive(Debug, thiserror::Error)]
#[error("{doing} on {node}: {reason}")]
pub struct ActionError {
    /// What was being done.
    pub doing: String,
    /// To what.
    pub node: String,
    /// Why it did not work, and what to do about it where there is something to do.
    pub reason: String,
}

impl ActionError {
    /// An error with all its parts.
    pub fn new(
        doing: impl Into<String>,
        node: impl Into<String>,
        reason: impl fmt::Display,
    ) -> Self {
        Self { doing: doing.into(), node: node.into(), reason: reason.to_string() }
    }
}

/// One change to the system under drill.
#[async_trait]
pub trait Action: fmt::Debug + Send + Sync {
    /// Kind of the action, such as `site_loss`.
    fn kind(&self) -> &'static str;
    /// What it acts on, for people.
    fn target(&self) -> String;
    /// The mechanism, for people, such as `SIGKILL and Toxiproxy`.
    fn via(&self) -> String;
    /// The belts its undo has.
    fn belts(&self) -> Vec<Belt>;
    /// Reads the state before and returns how to take the change back. Changes nothing.
    async fn plan(&self, tag: &Tag) -> Result<Undo, ActionError>;
    /// Makes the change.
    async fn apply(&self, tag: &Tag) -> Result<(), ActionError>;
    /// Looks whether the change is in effect, from where a client stands. Changes nothing.
    async fn observe(&self, tag: &Tag) -> Result<Presence, ActionError>;
}

/// Takes one kind of change back, knowing only what the ledger knows. "Already gone" is success.
#[async_trait]
pub trait Reverter: fmt::Debug + Send + Sync {
    /// The kind of [`Undo::Revert`] it answers to.
    fn kind(&self) -> &'static str;
    /// Takes the change back.
    async fn revert(&self, node: &str, params: &Value) -> Result<(), ActionError>;
    /// What is left of the change, a line each; empty when the state before is back. Reads only.
    async fn residue(&self, node: &str, params: &Value) -> Result<Vec<String>, ActionError>;
    /// The commands a person would type to take the change back by hand.
    fn by_hand(&self, node: &str, params: &Value) -> String;
}
