//! Defects that drdrill plants in itself, and that it must notice.
//!
//! 1. [`undo`] — undos that lie.
//! 2. [`drill`] — real drills in the lab: one that works, and one whose fault hits nothing.
//! 3. [`history`] — the history of the one that works, changed for the worse.
//! 4. [`evidence`] — its evidence, changed.
//! 5. [`backup`] — the backups that its lab has taken, damaged.

pub(crate) mod backup;
pub(crate) mod drill;
pub(crate) mod evidence;
pub(crate) mod history;
pub(crate) mod undo;

use serde::Serialize;
use tabled::Tabled;

/// A defect, and whether it was noticed.
#[derive(Debug, Serialize, Tabled)]
pub(crate) struct Defect {
    /// What was planted.
    #[serde(rename = "defect")]
    #[tabled(rename = "defect")]
    pub(crate) planted: &'static str,
    /// Whether drdrill noticed.
    #[tabled(format("{}", if self.caught { "caught" } else { "SLIPPED THROUGH" }))]
    pub(crate) caught: bool,
    /// What was seen.
    pub(crate) seen: String,
}

impl Defect {
    /// What drdrill said of a defect.
    pub(crate) fn new(planted: &'static str, caught: bool, seen: impl Into<String>) -> Self {
        Self { planted, caught, seen: seen.into() }
    }
}
