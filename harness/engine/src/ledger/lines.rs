//! What stands in a ledger, and how it is read out of bytes that a crash or a bad disk may have changed.
//!
//! A line is `CRC32 JSON`, with a line break before it and one after it. Two, so that a damaged line break costs no
//! line but its own. JSON has no zero bytes, and only the last line can be half on disk, because each is made durable
//! before the next one is written; so damage with an intact line behind it is not the work of a crash.

use std::collections::BTreeSet;
use std::io;

use drdrill_core::action::Undo;
use drdrill_core::environment::ProcessIdentity;
use serde::{Deserialize, Serialize};

/// One line of a ledger.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Line {
    /// The run that the ledger belongs to.
    Opened {
        /// Id of the run.
        run_id: String,
        /// The environment it acts on.
        environment: String,
        /// The harness.
        harness: ProcessIdentity,
        /// The boot of the kernel it runs on.
        boot_id: String,
    },
    /// Something is about to be done; this is how it is taken back. A later line of the same number takes the place of this
    /// one.
    Intent(Intent),
    /// It was taken back, and seen to be.
    Reverted {
        /// Number of the intent.
        id: u32,
    },
    /// It could not be taken back; it stays open.
    Stuck {
        /// Number of the intent.
        id: u32,
        /// Why.
        error: String,
    },
    /// Whoever took the ledger over found the line before this one half written. Without this mark the next reader
    /// would take what a crash left for damage in the middle.
    TornBefore {},
}

/// Something that may be in effect until it is seen not to be.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Intent {
    /// Its number, from 0.
    pub id: u32,
    /// Kind of the fault, or `environment`.
    pub kind: String,
    /// What it acts on.
    pub target: String,
    /// How it is taken back.
    pub undo: Undo,
}

/// What a ledger says.
#[derive(Clone, Debug, Default)]
pub struct Contents {
    /// Its intact lines, in the order they were written.
    pub lines: Vec<Line>,
    /// How many lines are damaged.
    pub damaged: usize,
    /// How many of them have an intact line behind them: no crash does that, and an intent may be among them.
    pub damaged_inside: usize,
    /// How many of them stand at the end, where a crash tears the line that was being written.
    pub(super) damaged_at_end: usize,
}

impl Contents {
    /// Reads the lines out of raw bytes. Never fails: what cannot be read is counted.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Self {
        let mut contents = Self::default();
        let mut chunks = bytes.split(|&byte| byte == b'\n').peekable();
        while let Some(chunk) = chunks.next() {
            let line = trim_zeros(chunk);
            // What is reserved and not written yet reads as zeros; nothing follows it.
            if chunk.is_empty() || (line.is_empty() && chunks.peek().is_none()) {
                continue;
            }
            // More zeros than one damaged line break: something stood there.
            let gap = chunk.iter().take_while(|&&byte| byte == 0).count() > 1;
            match decode(line) {
                Some(line) => contents.intact(line, gap),
                None => contents.damage(),
            }
        }
        contents
    }

    fn intact(&mut self, line: Line, after_gap: bool) {
        if after_gap {
            self.damage();
        }
        if line != (Line::TornBefore {}) {
            self.damaged_inside += self.damaged_at_end;
        }
        self.damaged_at_end = 0;
        self.lines.push(line);
    }

    const fn damage(&mut self) {
        self.damaged += 1;
        self.damaged_at_end += 1;
    }

    /// The run, its environment and its harness, where the first line survived.
    #[must_use]
    pub fn opened(&self) -> Option<(&str, &str, &ProcessIdentity, &str)> {
        self.lines.iter().find_map(|line| match line {
            Line::Opened { run_id, environment, harness, boot_id } => {
                Some((run_id.as_str(), environment.as_str(), harness, boot_id.as_str()))
            }
            _ => None,
        })
    }

    /// Intents that were not seen to be taken back, newest first: the order of undo.
    #[must_use]
    pub fn open(&self) -> Vec<Intent> {
        let mut closed: BTreeSet<u32> = self
            .lines
            .iter()
            .filter_map(|line| match line {
                Line::Reverted { id } => Some(*id),
                _ => None,
            })
            .collect();
        let intents = self.lines.iter().rev().filter_map(|line| match line {
            Line::Intent(intent) if !matches!(intent.undo, Undo::Nothing { .. }) => Some(intent),
            _ => None,
        });
        let mut open: Vec<Intent> =
            intents.filter(|intent| closed.insert(intent.id)).cloned().collect();
        // One that was amended keeps its place.
        open.sort_by_key(|intent| std::cmp::Reverse(intent.id));
        open
    }

    pub(super) fn next_id(&self) -> u32 {
        let ids = self.lines.iter().filter_map(|line| match line {
            Line::Intent(intent) => Some(intent.id.saturating_add(1)),
            _ => None,
        });
        ids.max().unwrap_or(0)
    }
}

fn trim_zeros(bytes: &[u8]) -> &[u8] {
    let written = |byte: &u8| *byte != 0;
    match (bytes.iter().position(written), bytes.iter().rposition(written)) {
        (Some(first), Some(last)) => &bytes[first..=last],
        _ => &[],
    }
}

/// A line as it stands in the file.
pub(super) fn encode(line: &Line) -> io::Result<Vec<u8>> {
    let json = serde_json::to_vec(line)?;
    let mut encoded = format!("\n{:08x} ", crc32fast::hash(&json)).into_bytes();
    encoded.extend_from_slice(&json);
    encoded.push(b'\n');
    Ok(encoded)
}

fn decode(line: &[u8]) -> Option<Line> {
    let (crc, json) = (line.get(..8)?, line.get(9..)?);
    let crc = u32::from_str_radix(std::str::from_utf8(crc).ok()?, 16).ok()?;
    (crc32fast::hash(json) == crc).then(|| serde_json::from_slice(json).ok())?
}
