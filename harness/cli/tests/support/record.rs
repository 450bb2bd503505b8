//! The record that a drill prints.

use serde_json::Value;

use super::sandbox::Outcome;

/// What `--format json` printed.
#[track_caller]
pub(crate) fn record(outcome: &Outcome) -> Value {
    serde_json::from_str(&outcome.stdout).unwrap_or_else(|error| panic!("{error}: {outcome:#?}"))
}
