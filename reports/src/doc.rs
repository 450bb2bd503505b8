//! A report as a list of blocks, for the formats that lay it out themselves.

#[cfg(feature = "pdf")]
mod run;

use drdrill_core::verdict::Verdict;

#[cfg(feature = "pdf")]
pub(crate) use run::of_run;

use crate::sections::Cell;
use crate::svg::Drawing;

/// A whole report. Whatever it holds may be foreign: renderers escape it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Doc {
    /// The heading of all.
    pub(crate) title: String,
    /// What it came to, in a word or two.
    pub(crate) badge: Option<(Verdict, String)>,
    /// What a reader reads who reads nothing else.
    pub(crate) lead: String,
    /// When what is told happened, RFC 3339; two reports of the same are the same bytes.
    pub(crate) date: String,
    /// What stands at the foot of each page.
    pub(crate) foot: String,
    /// Everything else.
    pub(crate) blocks: Vec<Block>,
}

/// A part of a report.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Block {
    /// A heading below the title, of level 2 or 3, with its anchor.
    Heading(u8, String, String),
    /// A paragraph.
    Text(String),
    /// A paragraph that stands out.
    Notice(Verdict, String),
    /// Points.
    List(Vec<String>),
    /// A table.
    Table(Table),
    /// A drawing.
    Drawing(Drawing),
    /// Commands to type.
    Commands(Vec<String>),
}

/// A table. The first cell of a row is the row's heading.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Table {
    /// What it is, for those who hear it.
    pub(crate) label: String,
    /// Headings of columns.
    pub(crate) columns: Vec<String>,
    /// Rows, each with as many cells as there are columns.
    pub(crate) rows: Vec<Vec<Cell>>,
}

impl Table {
    /// A table with these headings.
    pub(crate) fn new(label: &str, columns: &[&str], rows: Vec<Vec<Cell>>) -> Self {
        let columns = columns.iter().map(ToString::to_string).collect();
        Self { label: label.to_owned(), columns, rows }
    }

    /// Whether all cells of a column are figures, which are set to the right.
    pub(crate) fn is_figures(&self, column: usize) -> bool {
        self.rows.iter().all(|row| matches!(row.get(column), Some(Cell::Figure(_))))
    }
}

/// A heading of level 2.
pub(crate) fn heading(id: &str, title: &str) -> Block {
    Block::Heading(2, id.to_owned(), title.to_owned())
}
