//! Reports tell: one drill for an engineer, a manager, a machine and an auditor.
//!
//! Everything here is a pure function of the record and its history, except [`evidence`], which reads and writes a
//! run directory, and [`history::Index`], a cache over many of them. Read in this order:
//!
//! 1. [`escape`] — the one choke point for foreign strings.
//! 2. [`figures`], [`phases`] and [`story`] — durations and intervals in words, where the time went, the run in a
//!    sentence.
//! 3. [`recommend()`] — what to do about it: rules as data.
//! 4. [`terminal`], [`markdown`], [`html`], [`json`] — the same run for four readers; [`timeline`] and [`eventlog`]
//!    prepare what they show of the history, `sections` the tables that they share, `doc` the blocks and `svg` the
//!    drawings. [`junit`], [`spreadsheet`] and `pdf` (a feature) — the same for CI systems, spreadsheets and paper.
//! 5. [`runbook`] — a runbook for people.
//! 6. [`evidence`] — hash chain, manifest, signature, verification.
//! 7. [`history`] — the runs of the past: what is kept of each, and what changed between two. [`quarter`] and [`quarterly`] — many runs, compared with what
//!    was to be drilled.

mod doc;
pub mod escape;
pub mod eventlog;
pub mod evidence;
pub mod figures;
pub mod findings;
pub mod history;
pub mod html;
pub mod json;
pub mod junit;
pub mod markdown;
#[cfg(feature = "pdf")]
pub mod pdf;
pub mod phases;
pub mod quarter;
pub mod quarterly;
pub mod recommend;
mod results;
pub mod runbook;
mod sections;
mod side_by_side;
pub mod spreadsheet;
pub mod story;
mod svg;
pub mod terminal;
pub mod timeline;
mod tries;
mod words;
mod workloads;

#[cfg(test)]
mod testkit;

pub use html::Html;
pub use json::Json;
pub use junit::Junit;
pub use markdown::Markdown;
pub use quarterly::Quarterly;
pub use recommend::recommend;
pub use side_by_side::side_by_side;
pub use spreadsheet::Csv;
pub use terminal::{Look, summary_table};

/// What writes PDF; `None` when this was built without the feature `pdf`.
#[must_use]
pub const fn pdf() -> Option<&'static dyn drdrill_core::reporter::Reporter> {
    #[cfg(feature = "pdf")]
    return Some(&pdf::Pdf);
    #[cfg(not(feature = "pdf"))]
    return None;
}
