//! The summary at the end of a run: a page for a terminal, plain lines for a pipe.

mod boxed;
mod facts;
mod layout;
mod plain;

use std::path::Path;

use drdrill_core::record::Record;

/// How the summary should look.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Look {
    /// Columns to fill at most; at least 60 are used.
    pub width: usize,
    /// Whether to colour. The caller honours `NO_COLOR`.
    pub colour: bool,
    /// Whether to draw boxes and bars; else one fact a line, for pipes and logs.
    pub boxes: bool,
}

impl Look {
    /// A terminal of `width` columns.
    #[must_use]
    pub const fn terminal(width: usize, colour: bool) -> Self {
        Self { width, colour, boxes: true }
    }

    /// A pipe or a log: one fact a line, no boxes, no colour, no wrapping.
    #[must_use]
    pub const fn plain() -> Self {
        Self { width: usize::MAX, colour: false, boxes: false }
    }
}

/// The summary of a run; ends with a newline. `report` is where the full report is.
#[must_use]
pub fn summary_table(record: &Record, look: Look, report: Option<&Path>) -> String {
    let report = report.map(|path| path.display().to_string());
    if look.boxes {
        boxed::summary(record, look, report.as_deref())
    } else {
        plain::summary(record, report.as_deref())
    }
}

#[cfg(test)]
mod tests;
