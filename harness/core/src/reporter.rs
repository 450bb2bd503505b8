//! Reports tell: pure functions from a judged run to bytes.

use std::fmt;
use std::io;

use crate::event::Entry;
use crate::record::Record;

/// A judged run: the record, and the history it was judged from.
#[derive(Clone, Copy, Debug)]
pub struct Run<'a> {
    /// The judgement.
    pub record: &'a Record,
    /// The evidence.
    pub history: &'a [Entry],
    /// Why its evidence is not proven to whoever makes the report, behind "is"; absent where it is, and at the end of the run
    /// itself. Formats for programs, which have their own contract, leave it out.
    pub doubt: Option<&'a str>,
}

/// Writes a judged run in one format. Pure: the same run gives the same bytes.
pub trait Reporter: fmt::Debug + Send + Sync {
    /// File name of the report inside a run directory, such as `report.html`.
    fn file_name(&self) -> &'static str;
    /// Writes the report.
    ///
    /// # Errors
    /// When `out` fails.
    fn render(&self, run: Run<'_>, out: &mut dyn io::Write) -> io::Result<()>;
}
