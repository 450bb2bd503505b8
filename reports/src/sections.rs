//! What a full report tells, as tables: the same for HTML and Markdown, which only decide how it looks.

mod conduct;
mod identity;
mod outcome;
mod runbook;
mod tabletop;

use drdrill_core::reporter::Run;
use drdrill_core::verdict::Verdict;

/// A titled table.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Section {
    /// Anchor.
    pub(crate) id: &'static str,
    /// Heading.
    pub(crate) title: &'static str,
    /// A sentence above the table; may hold foreign strings.
    pub(crate) note: String,
    /// Headings of columns. One that is empty is that of a row's own heading.
    pub(crate) columns: &'static [&'static str],
    /// Rows; as many cells as columns, the first of which is the row's heading.
    pub(crate) rows: Vec<Vec<Cell>>,
}

/// A cell. Whatever it holds may be foreign: renderers escape it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Cell {
    /// Running text.
    Text(String),
    /// An identifier, a command or an answer of the target.
    Code(String),
    /// A figure, set to the right.
    Figure(String),
    /// A verdict.
    Verdict(Verdict),
    /// Left free for a person to fill in.
    Blank,
}

impl Cell {
    fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    fn code(text: impl Into<String>) -> Self {
        Self::Code(text.into())
    }

    fn count(number: u64) -> Self {
        Self::Figure(crate::figures::count(number))
    }

    fn instant(ms: Option<f64>) -> Self {
        Self::Figure(crate::figures::maybe_instant(ms))
    }

    fn duration(ms: f64) -> Self {
        Self::Figure(crate::figures::duration(ms))
    }
}

/// All sections, in reading order. Sections without rows are left out, but for those whose emptiness says something:
/// these carry a note.
pub(crate) fn sections(run: Run<'_>) -> Vec<Section> {
    let record = run.record;
    if record.tabletop.is_some() {
        return of_exercise(run);
    }
    let before = [
        outcome::phases(record),
        outcome::functionality(record),
        outcome::writes(record),
        outcome::workloads(record),
        outcome::streams(record),
        outcome::bystanders(record),
        outcome::outages(run.history),
        conduct::faults(record),
        conduct::leftovers(record),
    ];
    let after = [
        conduct::steps(record),
        conduct::split_brain(record),
        conduct::findings(record),
        conduct::notices(record),
        identity::identity(record),
        identity::sign_off(record),
        conduct::log(run.history),
    ];
    let told = |section: &Section| !section.rows.is_empty() || !section.note.is_empty();
    let all = before.into_iter().chain(runbook::sections(record)).chain(after);
    all.filter(told).collect()
}

/// Of a tabletop exercise: nothing was broken and nothing was measured.
fn of_exercise(run: Run<'_>) -> Vec<Section> {
    let record = run.record;
    let mut all = tabletop::sections(record);
    all.extend([
        conduct::findings(record),
        identity::identity(record),
        identity::sign_off(record),
        conduct::log(run.history),
    ]);
    all
}
