//! `events.jsonl`: each line names the digest of the line before, so that none can be changed, dropped or moved
//! without changing the head.
//!
//! A line is `{"n":0,"prev":"<64 hexadecimal digits>","at":…,"event":…}`: the core's [`Entry`] with its number and
//! the SHA-256 of the previous line's bytes (without its newline; zeros for the first) in front.

use std::io::{self, BufRead, Read as _, Write};

use drdrill_core::event::{Entry, Event};
use drdrill_core::time::At;
use serde::Deserialize;

use super::digest::Digest;

/// The end of a chain: how many lines, and the digest of the last.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Head {
    /// Number of whole lines.
    pub lines: u64,
    /// Digest of the last whole line's bytes without its newline; [`Digest::ZERO`] when there is none.
    pub digest: Digest,
}

impl Head {
    /// The head of a chain without lines.
    pub const EMPTY: Self = Self { lines: 0, digest: Digest::ZERO };
}

/// Writes a chain. Give it a writer that buffers; each line is one `write_all`.
#[derive(Debug)]
pub struct ChainWriter<W> {
    out: W,
    head: Head,
    line: Vec<u8>,
    torn: bool,
}

impl<W: Write> ChainWriter<W> {
    /// Starts a chain.
    pub const fn new(out: W) -> Self {
        Self::resume(out, Head::EMPTY)
    }

    /// Goes on with a chain whose end is `head`; `out` stands right behind its last newline.
    pub const fn resume(out: W, head: Head) -> Self {
        Self { out, head, line: Vec::new(), torn: false }
    }

    /// Writes one line.
    ///
    /// # Errors
    /// When the writer fails. The line may then be torn, so every later call fails as well.
    pub fn append(&mut self, entry: &Entry) -> io::Result<()> {
        if self.torn {
            return Err(io::Error::other("an earlier line could not be written"));
        }
        self.serialise(entry)?;
        self.torn = true;
        self.out.write_all(&self.line)?;
        self.torn = false;
        self.line.pop();
        self.head = Head { lines: self.head.lines + 1, digest: Digest::of(&self.line) };
        Ok(())
    }

    /// The line with its newline, into the buffer that is kept between calls.
    fn serialise(&mut self, entry: &Entry) -> io::Result<()> {
        self.line.clear();
        write!(self.line, "{{\"n\":{},\"prev\":\"", self.head.lines)?;
        self.line.extend_from_slice(&self.head.digest.hex());
        self.line.push(b'"');
        let joint = self.line.len();
        serde_json::to_writer(&mut self.line, entry)?;
        // The entry's own `{` becomes the comma between our fields and its own.
        self.line[joint] = b',';
        self.line.push(b'\n');
        Ok(())
    }

    /// The end of the chain so far.
    pub const fn head(&self) -> Head {
        self.head
    }

    /// Flushes the writer.
    ///
    /// # Errors
    /// When the writer fails.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    /// The writer, for `sync_data`.
    pub const fn get_ref(&self) -> &W {
        &self.out
    }

    /// Gives the writer back.
    pub fn into_inner(self) -> W {
        self.out
    }
}

/// A chain that was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Chain {
    /// The entries, in order.
    pub entries: Vec<Entry>,
    /// The end of the chain.
    pub head: Head,
    /// Bytes of a last line without newline, which was left out: the run was killed while it wrote. 0 when the file
    /// is whole.
    pub torn_bytes: u64,
}

impl Chain {
    /// Whether the last line was torn.
    #[must_use]
    pub const fn is_truncated(&self) -> bool {
        self.torn_bytes > 0
    }
}

/// A chain that is damaged. Lines count from 1, as editors show them.
#[derive(Debug, thiserror::Error)]
pub enum ChainError {
    /// The file could not be read.
    #[error("read line {line}: {source}")]
    Read {
        /// The line.
        line: u64,
        /// Why.
        source: io::Error,
    },
    /// A line is not an entry of a chain.
    #[error("line {line} is not an entry of a chain: {reason}")]
    Malformed {
        /// The line.
        line: u64,
        /// Why.
        reason: String,
    },
    /// A line does not carry its own number: lines are missing, repeated or moved.
    #[error(
        "line {line} carries number {found} instead of {expected}: lines are missing, repeated or moved"
    )]
    Numbering {
        /// The line.
        line: u64,
        /// The number it should carry.
        expected: u64,
        /// The number it carries.
        found: u64,
    },
    /// A line does not follow the one before.
    #[error(
        "line {line} does not follow the line before it: line {} or this line was changed",
        line - 1
    )]
    Broken {
        /// The line.
        line: u64,
    },
}

/// Longest line that is read: the audit of a hundred million scattered writes stays below it.
const LONGEST_LINE_BYTES: u64 = 256 * 1024 * 1024;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    n: u64,
    prev: String,
    at: At,
    event: Event,
}

/// Where a chain that was scanned ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ChainEnd {
    /// The end of the chain.
    pub head: Head,
    /// As [`Chain::torn_bytes`].
    pub torn_bytes: u64,
}

/// Reads a chain and checks that every line follows the one before.
///
/// # Errors
/// When a line is damaged; the error names it. A torn last line is not an error, see [`Chain::torn_bytes`].
pub fn read_chain(reader: impl BufRead) -> Result<Chain, ChainError> {
    let mut entries = Vec::new();
    let end = scan_chain(reader, |entry| entries.push(entry))?;
    Ok(Chain { entries, head: end.head, torn_bytes: end.torn_bytes })
}

/// Like [`read_chain`], and gives the entries away one by one instead of keeping them.
///
/// # Errors
/// As [`read_chain`]; entries before the damage were given away.
pub fn scan_chain(
    mut reader: impl BufRead,
    mut each: impl FnMut(Entry),
) -> Result<ChainEnd, ChainError> {
    let mut head = Head::EMPTY;
    let mut bytes = Vec::new();
    loop {
        let line = head.lines + 1;
        bytes.clear();
        (&mut reader)
            .take(LONGEST_LINE_BYTES)
            .read_until(b'\n', &mut bytes)
            .map_err(|source| ChainError::Read { line, source })?;
        if bytes.pop_if(|last| *last == b'\n').is_none() {
            let torn_bytes = bytes.len() as u64;
            if torn_bytes == LONGEST_LINE_BYTES {
                let reason = format!("it is longer than {LONGEST_LINE_BYTES} bytes");
                return Err(ChainError::Malformed { line, reason });
            }
            return Ok(ChainEnd { head, torn_bytes });
        }
        each(check(&bytes, head)?);
        head = Head { lines: line, digest: Digest::of(&bytes) };
    }
}

fn check(bytes: &[u8], before: Head) -> Result<Entry, ChainError> {
    let line = before.lines + 1;
    let parsed: Line = serde_json::from_slice(bytes)
        .map_err(|error| ChainError::Malformed { line, reason: error.to_string() })?;
    if parsed.n != before.lines {
        return Err(ChainError::Numbering { line, expected: before.lines, found: parsed.n });
    }
    if Digest::parse(&parsed.prev) != Some(before.digest) {
        return Err(ChainError::Broken { line });
    }
    Ok(Entry { at: parsed.at, event: parsed.event })
}

#[cfg(test)]
#[path = "chain_tests.rs"]
mod tests;
