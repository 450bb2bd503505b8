//! The way back to the original site.

use std::time::Duration;

use garde::Validate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Known;
use crate::units::{Share, Span, within};

/// The way back to the original site (requirement C5).
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize, Validate)]
#[serde(deny_unknown_fields)]
#[garde(context(Known))]
pub struct Failback {
    /// Shares of the traffic that the original site takes, one after the other, ending with 100%.
    #[serde(default = "default_shift")]
    #[garde(length(min = 1, max = 20), custom(rises_to_all))]
    pub shift: Vec<Share>,
    /// How long each share is held before the health check that allows the next.
    #[serde(default = "default_hold")]
    #[garde(custom(within(Duration::from_millis(100), Duration::from_hours(1))))]
    pub hold: Span,
}

impl Default for Failback {
    fn default() -> Self {
        Self { shift: default_shift(), hold: default_hold() }
    }
}

/// Source: requirement C5.
fn default_shift() -> Vec<Share> {
    [10, 25, 50, 75, 100].map(Share::percent).to_vec()
}

const fn default_hold() -> Span {
    Span(Duration::from_secs(1))
}

fn rises_to_all<C>(shift: &[Share], _: &C) -> garde::Result {
    if shift.is_sorted_by(|a, b| a < b) && shift.last() == Some(&Share::percent(100)) {
        return Ok(());
    }
    Err(garde::Error::new("must rise from share to share and end with 100%"))
}
