//! CSV, for spreadsheets and scripts: one line a result.
//!
//! A program that opens a CSV file takes what begins with `=`, `+`, `-` or `@` for a formula. An apostrophe before it makes
//! it text, also behind what such a program may take for the end of a cell. It stays in the file, so a script that wants the
//! string as it was reads `record.json`.

use std::io;

use drdrill_core::reporter::{Reporter, Run};

use crate::escape;
use crate::results::{Outcome, results};

/// Writes the results as CSV (RFC 4180, UTF-8).
#[derive(Clone, Copy, Debug, Default)]
pub struct Csv;

const COLUMNS: [&str; 16] = [
    "run",
    "scenario",
    "environment",
    "kind",
    "started_at",
    "group",
    "of",
    "name",
    "result",
    "target",
    "at_least",
    "at_most",
    "unit",
    "took_ms",
    "exit_code",
    "text",
];

impl Reporter for Csv {
    fn file_name(&self) -> &'static str {
        "results.csv"
    }

    fn render(&self, run: Run<'_>, out: &mut dyn io::Write) -> io::Result<()> {
        let record = run.record;
        let mut table = Table::new(out, &COLUMNS)?;
        for one in results(record) {
            let Outcome { group, of, name, came, figures, took_ms, text } = one;
            let figures = figures.unwrap_or_default();
            table.row(&[
                Field::Text(&record.run_id),
                Field::Text(&record.scenario.name),
                Field::Text(&record.environment.name),
                Field::Text(crate::story::kind(record.kind)),
                Field::Text(&record.started_at),
                Field::Text(group.word()),
                Field::Text(&of),
                Field::Text(&name),
                Field::Text(came.word()),
                Field::Number(figures.target),
                Field::Number(figures.at_least),
                Field::Number(figures.at_most),
                Field::Text(figures.unit),
                Field::Number(took_ms),
                Field::Number(Some(record.exit_code.into())),
                Field::Text(&text),
            ])?;
        }
        table.finish()
    }
}

/// A cell of a line.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Field<'a> {
    /// May be foreign.
    Text(&'a str),
    /// A number of ours, with at most six decimals; nothing where there is none.
    Number(Option<f64>),
}

/// A table in the making.
pub(crate) struct Table<'a> {
    writer: csv::Writer<&'a mut dyn io::Write>,
}

impl<'a> Table<'a> {
    /// Begins with the headings.
    ///
    /// # Errors
    /// When `out` fails.
    pub(crate) fn new(out: &'a mut dyn io::Write, columns: &[&str]) -> io::Result<Self> {
        let mut writer =
            csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(out);
        writer.write_record(columns).map_err(io::Error::from)?;
        Ok(Self { writer })
    }

    /// Adds a line.
    ///
    /// # Errors
    /// When `out` fails, or the line has other cells than the headings.
    pub(crate) fn row(&mut self, fields: &[Field<'_>]) -> io::Result<()> {
        let cells = fields.iter().map(|field| match field {
            Field::Text(text) => escape::csv(text),
            Field::Number(number) => number.map(plain).unwrap_or_default(),
        });
        self.writer.write_record(cells).map_err(io::Error::from)
    }

    /// Ends it.
    ///
    /// # Errors
    /// When `out` fails.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

/// Without an exponent, a thousands separator or zeros at the end.
fn plain(number: f64) -> String {
    let text = format!("{number:.6}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests;
