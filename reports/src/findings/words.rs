//! What people say of findings: a file of lines, to which is only ever added.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;

use chrono::{DateTime, Utc};
use drdrill_core::program::Date;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Something that somebody said of a finding.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Line {
    /// When.
    pub at: DateTime<Utc>,
    /// Who typed it.
    pub by: String,
    /// Id of the finding.
    pub finding: String,
    /// What it was about, for people who read the file, and for when its run is not there any more.
    pub about: String,
    /// What was said.
    pub say: Say,
}

/// What can be said of a finding.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Say {
    /// Somebody sees to it.
    Assign {
        /// Who.
        to: String,
    },
    /// It is to be over by then.
    Due {
        /// The day.
        on: Date,
    },
    /// It is known why.
    Cause {
        /// Why.
        text: String,
    },
    /// It has a ticket elsewhere.
    Ticket {
        /// Its name there.
        reference: String,
    },
    /// Anything else.
    Note {
        /// What.
        text: String,
    },
    /// Somebody accepts the risk.
    Accept {
        /// Who.
        by: String,
        /// Until when, that day included.
        until: Date,
        /// Why.
        because: String,
    },
    /// What an exercise asked for is done.
    Done {
        /// How that is known.
        because: String,
    },
    /// The risk is accepted no more.
    Withdraw {
        /// Why.
        because: String,
    },
}

/// A line that is no word about a finding.
#[derive(Clone, Debug, Eq, JsonSchema, PartialEq, Serialize)]
pub struct Unreadable {
    /// Its number, from 1.
    pub line: u64,
    /// What is wrong with it.
    pub why: String,
}

/// Words about a finding of which no run is here any more.
#[derive(Clone, Debug, Eq, JsonSchema, PartialEq, Serialize)]
pub struct Orphan {
    /// Id of the finding.
    pub finding: String,
    /// What it was about.
    pub about: String,
    /// How many words there are.
    pub words: u64,
}

/// What stands in the file at `path`, in its order, and the lines that cannot be read. A missing file has nothing.
///
/// # Errors
/// When the file is there and cannot be read.
pub fn read(path: &Path) -> io::Result<(Vec<Line>, Vec<Unreadable>)> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok((Vec::new(), Vec::new()));
        }
        other => other?,
    };
    let (mut lines, mut unreadable) = (Vec::new(), Vec::new());
    for (number, line) in (1..).zip(BufReader::new(file).split(b'\n')) {
        let line = line?;
        // A word that was cut off is followed by a fresh line.
        if line.is_empty() {
            continue;
        }
        match serde_json::from_slice(&line) {
            Ok(word) => lines.push(word),
            Err(error) => unreadable.push(Unreadable { line: number, why: error.to_string() }),
        }
    }
    Ok((lines, unreadable))
}

/// Adds a word to the file at `path`, and returns when it is durable. Others who add at the same time wait.
///
/// # Errors
/// When the file cannot be written. What was there stays; a part of the line that cannot be taken back spoils no other.
pub fn append(path: &Path, line: &Line) -> io::Result<()> {
    let mut file = File::options().create(true).read(true).append(true).open(path)?;
    file.lock()?;
    let mut text = serde_json::to_vec(line)?;
    text.push(b'\n');
    let length = file.seek(SeekFrom::End(0))?;
    if length > 0 {
        file.seek(SeekFrom::End(-1))?;
        let mut last = [0];
        file.read_exact(&mut last)?;
        if last != [b'\n'] {
            text.insert(0, b'\n');
        }
    }
    let written = file.write_all(&text).and_then(|()| file.sync_all());
    if written.is_err() {
        // Half a word would be a gap in every report from now on.
        let _ = file.set_len(length);
    }
    written
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::thread;

    use super::*;

    fn note(text: &str) -> Line {
        Line {
            at: "2026-11-22T10:00:00Z".parse().unwrap(),
            by: "ada".to_owned(),
            finding: "F-1".to_owned(),
            about: "site on lab".to_owned(),
            say: Say::Note { text: text.to_owned() },
        }
    }

    #[test]
    fn what_was_said_is_read_again_in_its_order() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("findings.jsonl");
        assert_eq!(read(&path).unwrap(), (Vec::new(), Vec::new()));
        let said = [note("one\nline"), note("two")];
        for line in &said {
            append(&path, line).unwrap();
        }
        assert_eq!(read(&path).unwrap(), (said.to_vec(), Vec::new()));
    }

    #[test]
    fn a_word_that_was_cut_off_is_told_and_spoils_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("findings.jsonl");
        append(&path, &note("one")).unwrap();
        let whole = fs::read(&path).unwrap();
        fs::write(&path, [whole.as_slice(), &whole[..20]].concat()).unwrap();
        append(&path, &note("three")).unwrap();
        let (lines, unreadable) = read(&path).unwrap();
        assert_eq!(lines, [note("one"), note("three")]);
        assert_eq!(unreadable.len(), 1);
        assert_eq!(unreadable[0].line, 2);
    }

    #[test]
    fn words_of_several_at_once_are_all_there() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("findings.jsonl");
        thread::scope(|scope| {
            for who in 0..8 {
                let path = &path;
                scope.spawn(move || {
                    for number in 0..10 {
                        append(path, &note(&format!("{who}-{number}"))).unwrap();
                    }
                });
            }
        });
        let (lines, unreadable) = read(&path).unwrap();
        assert_eq!((lines.len(), unreadable.len()), (80, 0));
    }
}
