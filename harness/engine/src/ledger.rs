//! The undo ledger: what would have to be taken back, on disk before it is done.
//!
//! One preallocated file of lines, each `CRC32 JSON`. Preallocated, so that a full disk cannot keep an intent from
//! being written; checked line by line, so that a torn or damaged line costs that line alone.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use drdrill_core::action::Undo;
use drdrill_core::environment::ProcessIdentity;
use nix::fcntl::{FallocateFlags, Flock, FlockArg, fallocate};
use serde::{Deserialize, Serialize};

/// Space reserved for a ledger, in bytes. An intent takes 1 to 4 KiB; scenarios have at most 50 faults.
const RESERVED_BYTES: u64 = 256 * 1024;

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
    /// Something is about to be done; this is how it is taken back.
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

/// A ledger cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The file cannot be read or written.
    #[error("{doing} the undo ledger {path}: {source}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Somebody else could have written it, and what stands in it is carried out.
    #[error(
        "the undo ledger {path} belongs to somebody else or can be written by others; it is not carried out"
    )]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// Another process holds it.
    #[error("the undo ledger {path} is in use by a running drill or a running recover")]
    InUse {
        /// The file.
        path: PathBuf,
    },
}

impl LedgerError {
    /// Whether there is no such ledger.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
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
}

impl Contents {
    /// Reads the lines out of raw bytes. Never fails: what cannot be read is counted.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Self {
        let mut contents = Self::default();
        for raw in bytes.split(|&byte| byte == b'\n') {
            // What is reserved and not written yet reads as zeros.
            let line = trim_zeros(raw);
            if line.is_empty() {
                continue;
            }
            match decode(line) {
                Some(line) => {
                    contents.lines.push(line);
                    contents.damaged_inside = contents.damaged;
                }
                None => contents.damaged += 1,
            }
        }
        contents
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
        let reverted = |id| self.lines.contains(&Line::Reverted { id });
        let mut open: Vec<Intent> = Vec::new();
        for line in self.lines.iter().rev() {
            if let Line::Intent(intent) = line {
                let known = open.iter().any(|other| other.id == intent.id);
                if !known && !reverted(intent.id) && !matches!(intent.undo, Undo::Nothing { .. }) {
                    open.push(intent.clone());
                }
            }
        }
        open
    }

    fn next_id(&self) -> u32 {
        let ids = self.lines.iter().filter_map(|line| match line {
            Line::Intent(intent) => Some(intent.id + 1),
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

fn encode(line: &Line) -> io::Result<Vec<u8>> {
    let json = serde_json::to_vec(line)?;
    let mut encoded = format!("{:08x} ", crc32fast::hash(&json)).into_bytes();
    encoded.extend_from_slice(&json);
    encoded.push(b'\n');
    Ok(encoded)
}

fn decode(line: &[u8]) -> Option<Line> {
    let (crc, json) = (line.get(..8)?, line.get(9..)?);
    let crc = u32::from_str_radix(std::str::from_utf8(crc).ok()?, 16).ok()?;
    (crc32fast::hash(json) == crc).then(|| serde_json::from_slice(json).ok())?
}

/// A ledger that is held: locked against everybody else for as long as this value lives, and no longer than this
/// process.
#[derive(Debug)]
pub struct Ledger {
    /// `None` for a drill that touches nothing.
    file: Option<Flock<File>>,
    path: PathBuf,
    contents: Contents,
    end: u64,
}

impl Ledger {
    /// Makes the ledger of a new run: space reserved, first line and directory entry durable. It appears under its name
    /// only then, locked, so that nobody can take a half-made one for an empty one.
    ///
    /// # Errors
    /// When the disk is full or the directory cannot be written to; nothing was touched then.
    pub fn create(path: &Path, first: Line) -> Result<Self, LedgerError> {
        let half = path.with_extension(crate::state::HALF_MADE);
        let io = |doing| move |source| LedgerError::Io { doing, path: path.to_owned(), source };
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&half)
            .map_err(io("make"))?;
        let ledger = Self::prepare(file, path, first).and_then(|ledger| {
            std::fs::rename(&half, path).map_err(io("name"))?;
            Ok(ledger)
        });
        let ledger = ledger.inspect_err(|_| {
            // What could not be made whole holds nothing.
            let _ = std::fs::remove_file(&half);
        })?;
        if let Some(directory) = path.parent() {
            File::open(directory).and_then(|dir| dir.sync_all()).map_err(io("make durable"))?;
        }
        Ok(ledger)
    }

    fn prepare(file: File, path: &Path, first: Line) -> Result<Self, LedgerError> {
        let io = |doing| move |source| LedgerError::Io { doing, path: path.to_owned(), source };
        let size = i64::try_from(RESERVED_BYTES).unwrap_or(i64::MAX);
        match fallocate(&file, FallocateFlags::empty(), 0, size) {
            // Some file systems cannot reserve; the ledger then grows line by line.
            Ok(()) | Err(nix::errno::Errno::EOPNOTSUPP) => {}
            Err(errno) => return Err(io("reserve space for")(errno.into())),
        }
        let encoded = encode(&first).map_err(io("encode a line of"))?;
        let file = lock(file, path)?;
        file.write_all_at(&encoded, 0).map_err(io("write to"))?;
        file.sync_all().map_err(io("make durable"))?;
        let contents = Contents { lines: vec![first], damaged: 0, damaged_inside: 0 };
        Ok(Self { file: Some(file), path: path.to_owned(), contents, end: encoded.len() as u64 })
    }

    /// The ledger of a drill that touches nothing: it takes no intent, and needs no disk.
    #[must_use]
    pub fn of_nothing() -> Self {
        Self { file: None, path: PathBuf::new(), contents: Contents::default(), end: 0 }
    }

    /// Takes over a ledger that nobody holds.
    ///
    /// # Errors
    /// When it cannot be read, or when a running drill or recover holds it.
    pub fn take_over(path: &Path) -> Result<Self, LedgerError> {
        let io = |source| LedgerError::Io { doing: "read", path: path.to_owned(), source };
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(nix::libc::O_NOFOLLOW)
            .open(path)
            .map_err(io)?;
        let facts = file.metadata().map_err(io)?;
        if !crate::state::is_ours_alone(&facts) {
            return Err(LedgerError::Foreign { path: path.to_owned() });
        }
        let mut file = lock(file, path)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(io)?;
        let end = bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last as u64 + 1);
        let torn =
            end > 0 && bytes.get(usize::try_from(end).unwrap_or(usize::MAX) - 1) != Some(&b'\n');
        let mut ledger = Self {
            file: Some(file),
            path: path.to_owned(),
            contents: Contents::parse(&bytes),
            end,
        };
        if torn {
            // Ends a torn last line, so that the next one begins on its own.
            ledger.write(b"\n")?;
        }
        Ok(ledger)
    }

    /// Reads a ledger that somebody else may hold.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn look(path: &Path) -> io::Result<Contents> {
        std::fs::read(path).map(|bytes| Contents::parse(&bytes))
    }

    /// Writes an intent down and makes it durable. Only when this returned may the effect be brought about.
    ///
    /// # Errors
    /// When it could not be made durable; the effect must then not be brought about.
    pub fn intend(&mut self, kind: &str, target: &str, undo: Undo) -> Result<u32, LedgerError> {
        let id = self.next_id();
        if self.file.is_none() && matches!(undo, Undo::Nothing { .. }) {
            return Ok(id);
        }
        let (kind, target) = (kind.to_owned(), target.to_owned());
        self.append(Line::Intent(Intent { id, kind, target, undo }))?;
        Ok(id)
    }

    /// The number that the next intent will have.
    #[must_use]
    pub fn next_id(&self) -> u32 {
        self.contents.next_id()
    }

    /// Writes down that an intent was seen to be taken back.
    ///
    /// # Errors
    /// When it could not be made durable; the intent then stays open, which is safe.
    pub fn reverted(&mut self, id: u32) -> Result<(), LedgerError> {
        self.append(Line::Reverted { id })
    }

    /// Writes down that an intent could not be taken back.
    ///
    /// # Errors
    /// When it could not be made durable.
    pub fn stuck(&mut self, id: u32, error: &str) -> Result<(), LedgerError> {
        self.append(Line::Stuck { id, error: error.to_owned() })
    }

    /// Intents that were not seen to be taken back, newest first.
    #[must_use]
    pub fn open(&self) -> Vec<Intent> {
        self.contents.open()
    }

    /// Puts the ledger of a run that left nothing in place aside, as `evidence`; one with open intents stays where
    /// `recover` looks for it. Where the evidence is sealed or gone already the ledger is not wanted any more.
    ///
    /// # Errors
    /// When it cannot be moved; it then stays, which is safe.
    pub fn settle(self, evidence: &Path, sealed: bool) -> Result<(), LedgerError> {
        if !self.open().is_empty() || self.contents.damaged_inside > 0 {
            return Ok(());
        }
        let Some(file) = &self.file else { return Ok(()) };
        file.set_len(self.end).map_err(|source| self.error("shorten", source))?;
        let moved = if sealed || evidence.parent().is_none_or(|dir| !dir.is_dir()) {
            std::fs::remove_file(&self.path)
        } else {
            std::fs::rename(&self.path, evidence)
        };
        moved.map_err(|source| self.error("put aside", source))
    }

    /// What the ledger says.
    #[must_use]
    pub const fn contents(&self) -> &Contents {
        &self.contents
    }

    fn append(&mut self, line: Line) -> Result<(), LedgerError> {
        let encoded = encode(&line).map_err(|source| self.error("encode a line of", source))?;
        self.write(&encoded)?;
        self.contents.lines.push(line);
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), LedgerError> {
        let Some(file) = &self.file else { return Err(self.error("write to", nowhere())) };
        file.write_all_at(bytes, self.end).map_err(|source| self.error("write to", source))?;
        file.sync_data().map_err(|source| self.error("make durable", source))?;
        self.end += bytes.len() as u64;
        Ok(())
    }

    fn error(&self, doing: &'static str, source: io::Error) -> LedgerError {
        LedgerError::Io { doing, path: self.path.clone(), source }
    }
}

fn nowhere() -> io::Error {
    io::Error::other("this drill touches nothing, so nothing may be intended")
}

fn lock(file: File, path: &Path) -> Result<Flock<File>, LedgerError> {
    Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| match errno {
        nix::errno::Errno::EWOULDBLOCK => LedgerError::InUse { path: path.to_owned() },
        other => LedgerError::Io { doing: "lock", path: path.to_owned(), source: other.into() },
    })
}

#[cfg(test)]
mod tests;
