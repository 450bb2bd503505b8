//! The undo ledger: what would have to be taken back, on disk before it is done.
//!
//! One preallocated file of lines. Preallocated, so that a full disk cannot keep an intent or its end from being
//! written; checked line by line, so that a torn or damaged line costs that line alone.

mod boot;
mod lines;

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use drdrill_core::action::Undo;
use drdrill_core::secret::redacted;
use nix::fcntl::{FallocateFlags, fallocate};

pub use self::boot::Boot;
pub(crate) use self::boot::bury_processes;
use self::lines::encode;
pub use self::lines::{Contents, Intent, Line};
use crate::locked::Locked;

/// Space reserved for a ledger, in bytes. An intent takes 1 to 4 KiB; scenarios have at most 50 faults. A command of a
/// runbook takes up to three lines; where all that is more, more is reserved.
const RESERVED_BYTES: u64 = 256 * 1024;
/// Of it, what intents may not take, for each of them: on a full disk there is still room to write down what became of them.
/// An intent takes at most 40 bytes as `reverted`, and twice [`LONGEST_ERROR`] and 40 bytes as `stuck`.
const KEPT_FOR_EACH: u64 = 1200;
/// An error is cut after so many characters; it is for people, and what it is about stands in the intent.
const LONGEST_ERROR: usize = 500;

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

/// A ledger that is held: locked against everybody else for as long as this value lives, and no longer than this
/// process.
#[derive(Debug)]
pub struct Ledger {
    /// `None` for a drill that touches nothing.
    file: Option<Locked>,
    path: PathBuf,
    contents: Contents,
    /// Where the next line goes.
    end: u64,
    /// Up to where the disk cannot be full.
    reserved: u64,
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
        let directory = path.parent().map(File::open).transpose().map_err(io("make"))?;
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
        if let Some(directory) = directory {
            directory.sync_all().map_err(io("make durable"))?;
        }
        Ok(ledger)
    }

    fn prepare(file: File, path: &Path, first: Line) -> Result<Self, LedgerError> {
        let io = |doing| move |source| LedgerError::Io { doing, path: path.to_owned(), source };
        reserve(&file, RESERVED_BYTES).map_err(io("reserve space for"))?;
        let encoded = encode(&first).map_err(io("encode a line of"))?;
        let file = lock(file, path)?;
        file.write_all_at(&encoded, 0).map_err(io("write to"))?;
        file.sync_all().map_err(io("make durable"))?;
        let contents = Contents { lines: vec![first], ..Contents::default() };
        let (end, reserved) = (encoded.len() as u64, RESERVED_BYTES);
        Ok(Self { file: Some(file), path: path.to_owned(), contents, end, reserved })
    }

    /// The ledger of a drill that touches nothing: it takes no intent, and needs no disk.
    #[must_use]
    pub fn of_nothing() -> Self {
        Self {
            file: None,
            path: PathBuf::new(),
            contents: Contents::default(),
            end: 0,
            reserved: 0,
        }
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
        if !facts.is_file() {
            return Err(io(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file")));
        }
        if !crate::state::is_ours_alone(&facts) {
            return Err(LedgerError::Foreign { path: path.to_owned() });
        }
        let mut file = lock(file, path)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(io)?;
        let end = bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last as u64 + 1);
        let (contents, reserved) = (Contents::parse(&bytes), bytes.len() as u64);
        let torn = contents.damaged_at_end > 0;
        let mut ledger = Self { file: Some(file), path: path.to_owned(), contents, end, reserved };
        if torn {
            ledger.append(Line::TornBefore {})?;
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
        self.write_intent(Intent { id, kind, target, undo })?;
        Ok(id)
    }

    /// Writes down that an open intent is taken back in another way from now on.
    ///
    /// # Errors
    /// When it could not be made durable; what was written before then still holds.
    pub fn amend(&mut self, id: u32, undo: Undo) -> Result<(), LedgerError> {
        let open = self.open().into_iter().find(|intent| intent.id == id);
        let Some(intent) = open else { return Ok(()) };
        self.write_intent(Intent { undo, ..intent })
    }

    fn write_intent(&mut self, intent: Intent) -> Result<(), LedgerError> {
        let line = Line::Intent(intent);
        let encoded = self.encode(&line)?;
        self.keep_room_after(encoded.len() as u64)?;
        self.write(&encoded, line)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
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
        // Redacted whole, before it is cut.
        let error = redacted(error).chars().take(LONGEST_ERROR).collect();
        self.append(Line::Stuck { id, error })
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
        let encoded = self.encode(&line)?;
        self.write(&encoded, line)
    }

    fn encode(&self, line: &Line) -> Result<Vec<u8>, LedgerError> {
        encode(line).map_err(|source| self.error("encode a line of", source))
    }

    /// Sees to it that after an intent of so many bytes there is still room for what becomes of it.
    fn keep_room_after(&mut self, bytes: u64) -> Result<(), LedgerError> {
        let intents = u64::from(self.next_id()) + 1;
        let needed = self.end + bytes + intents * KEPT_FOR_EACH;
        let Some(file) = self.file.as_ref().filter(|_| needed > self.reserved) else {
            return Ok(());
        };
        reserve(file, needed).map_err(|source| self.error("reserve space for", source))?;
        self.reserved = needed;
        Ok(())
    }

    fn write(&mut self, encoded: &[u8], line: Line) -> Result<(), LedgerError> {
        let Some(file) = &self.file else { return Err(self.error("write to", nowhere())) };
        // Where this fails, the next line is written over what it left.
        file.write_all_at(encoded, self.end).map_err(|source| self.error("write to", source))?;
        file.sync_data().map_err(|source| self.error("make durable", source))?;
        self.end += encoded.len() as u64;
        self.contents.lines.push(line);
        Ok(())
    }

    fn error(&self, doing: &'static str, source: io::Error) -> LedgerError {
        LedgerError::Io { doing, path: self.path.clone(), source }
    }
}

/// Makes sure that the first `bytes` of a file have their place on the disk.
fn reserve(file: &File, bytes: u64) -> io::Result<()> {
    let size = i64::try_from(bytes).unwrap_or(i64::MAX);
    match fallocate(file, FallocateFlags::empty(), 0, size) {
        // Some file systems cannot reserve; the ledger then grows line by line.
        Ok(()) | Err(nix::errno::Errno::EOPNOTSUPP) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

fn nowhere() -> io::Error {
    io::Error::other("this drill touches nothing, so nothing may be intended")
}

fn lock(file: File, path: &Path) -> Result<Locked, LedgerError> {
    let locked = Locked::take(file).map_err(|source| LedgerError::Io {
        doing: "lock",
        path: path.to_owned(),
        source,
    })?;
    locked.map_err(|_| LedgerError::InUse { path: path.to_owned() })
}

#[cfg(test)]
mod tests;
