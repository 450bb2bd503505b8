//! `record.json`: the record itself, for machines.

use std::io;

use drdrill_core::reporter::{Reporter, Run};

/// Writes the record as indented JSON.
#[derive(Clone, Copy, Debug, Default)]
pub struct Json;

impl Reporter for Json {
    fn file_name(&self) -> &'static str {
        "record.json"
    }

    fn render(&self, run: Run<'_>, out: &mut dyn io::Write) -> io::Result<()> {
        serde_json::to_writer_pretty(&mut *out, run.record)?;
        out.write_all(b"\n")
    }
}
