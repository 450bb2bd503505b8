//! `drdrill account`: what became of writes that somebody else made, from lists of their ids.

use std::fs::File;
use std::path::Path;

use drdrill_core::verdict::Verdict;
use drdrill_histories::Books;
use drdrill_histories::accounting::lists::{self, ListError};
use drdrill_histories::accounting::{Class, Tally};
use serde_json::{Value, json};

use crate::args::{AccountArgs, Format};
use crate::exit::{Code, Failure, Outcome};
use crate::out;

/// Reads the lists and says what is lost, duplicate, phantom, corrupt or resurrected.
pub(crate) fn account(args: &AccountArgs) -> Outcome {
    let mut books = Books::default();
    with(&args.written, |file| lists::writes(file, &mut books))?;
    for path in &args.found {
        let mut reading = books.reading();
        with(path, |file| lists::found(file, &mut reading))?;
        reading.end();
    }
    let tally = books.tally();
    match args.format.format {
        Format::Json => out::json(&as_json(&tally)),
        Format::Text => as_text(&tally).iter().for_each(|line| out::line(line)),
    }
    Ok(match tally.verdict() {
        Verdict::Pass => Code::Passed,
        Verdict::Unknown => Code::Unknown,
        Verdict::Fail => Code::Failed,
    })
}

/// Hands a file to a reader of lists; what goes wrong names the file.
fn with(path: &Path, read: impl FnOnce(File) -> Result<(), ListError>) -> Result<(), Failure> {
    let wrong = |error: &dyn std::fmt::Display| {
        Failure::new(Code::Usage, format!("{}: {error}", path.display()))
    };
    let file = File::open(path).map_err(|error| wrong(&error))?;
    read(file).map_err(|error| match error {
        ListError::Io(error) => wrong(&error),
        line @ ListError::Line { .. } => wrong(&line),
    })
}

/// The classes of ids for which a write is wrong.
fn classes(tally: &Tally) -> [(&'static str, &Class); 6] {
    [
        ("lost", &tally.lost),
        ("duplicate", &tally.duplicate),
        ("phantom_refused", &tally.refused),
        ("phantom_unsent", &tally.unsent),
        ("corrupt", &tally.corrupt),
        ("resurrected", &tally.resurrected),
    ]
}

fn as_json(tally: &Tally) -> Value {
    let mut value = json!({
        "verdict": tally.verdict(),
        "acknowledged": tally.acknowledged,
        "recovered": tally.recovered,
        "unresolved": tally.unresolved,
    });
    for (name, class) in classes(tally) {
        value[name] = json!({ "count": class.count, "first": class.first });
    }
    value
}

fn as_text(tally: &Tally) -> Vec<String> {
    let mut lines = vec![format!(
        "{}: {} acknowledged; of unknown outcome: {} present, {} absent",
        tally.verdict().word(),
        tally.acknowledged,
        tally.recovered,
        tally.unresolved
    )];
    for (name, Class { count, first }) in
        classes(tally).into_iter().filter(|(_, class)| class.count > 0)
    {
        let shown: Vec<String> = first.iter().map(u64::to_string).collect();
        let more = if shown.len() as u64 == *count { "" } else { ", …" };
        lines.push(format!("{}: {count} ({}{more})", name.replace('_', ", "), shown.join(", ")));
    }
    lines
}
