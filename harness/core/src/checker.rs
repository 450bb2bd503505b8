//! Checkers judge: pure functions from the history to findings.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::event::Entry;
use crate::verdict::Verdict;

/// How grave a finding is.
#[derive(
    Clone, Copy, Debug, Deserialize, Eq, JsonSchema, Ord, PartialEq, PartialOrd, Serialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Needs an owner.
    Warning,
    /// An objective or an invariant does not hold.
    Critical,
}

/// What a checker found.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
pub struct Finding {
    /// Name of the checker.
    pub checker: String,
    /// What it means for the drill.
    pub verdict: Verdict,
    /// How grave it is.
    pub severity: Severity,
    /// One sentence with the figures.
    pub message: String,
}

/// A pure judge: no clock, no I/O, no randomness. The same history gives the same findings.
pub trait Checker: fmt::Debug + Send + Sync {
    /// Its name in findings.
    fn name(&self) -> &'static str;
    /// Judges a history. No findings means nothing was looked at, which the caller counts as unknown.
    fn check(&self, history: &[Entry]) -> Vec<Finding>;
}
