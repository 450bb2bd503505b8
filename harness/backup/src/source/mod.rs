//! What is backed up, each source into files of a staging directory.

mod command;
mod files;
pub(crate) mod sqlite;

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::time::Instant;

use drdrill_core::backup_plan::{Origin, Source};
use zstd::Encoder;

use crate::archive::Trust;
use crate::digest::Hashing;
use crate::now_ms;
use crate::point::{Done, Extent, Object, OriginKind, Outcome, SourceEntry, Torn};
use crate::tree::Tree;

/// The backup that an incremental one goes on from.
#[derive(Clone, Debug)]
pub(crate) struct Base {
    /// The point.
    pub(crate) point: String,
    /// When reading it began, in milliseconds since 1970.
    pub(crate) began_ms: u64,
    /// What it restores.
    pub(crate) tree: Tree,
}

/// What a source gave, before it is known how long it took.
struct Taken {
    extent: Extent,
    base: Option<String>,
    files: u64,
    bytes: u64,
    read_bytes: u64,
    deleted: u64,
    skipped: u64,
    torn: Torn,
    objects: Vec<Object>,
    sha256: Option<String>,
}

/// How to back up one source.
pub(crate) struct Job<'a> {
    pub(crate) source: &'a Source,
    /// The point that it becomes part of.
    pub(crate) point: &'a str,
    /// What it goes on from; a full backup when absent.
    pub(crate) base: Option<Base>,
    /// How many files the newest backup of it has; 0 where there is none.
    pub(crate) had: u64,
    /// Where its files are written.
    pub(crate) staging: &'a Path,
    /// Directories that must not lie in it.
    pub(crate) ours: &'a [std::path::PathBuf],
    pub(crate) trust: &'a Trust,
}

/// The kind of a source.
pub(crate) const fn kind(origin: &Origin) -> OriginKind {
    match origin {
        Origin::Files(_) => OriginKind::Files,
        Origin::Command(_) => OriginKind::Command,
        Origin::Sqlite(_) => OriginKind::Sqlite,
    }
}

/// Backs up one source. That it fails is an outcome, which no other source notices.
pub(crate) fn take(job: Job<'_>) -> SourceEntry {
    let (name, origin) = (job.source.name.clone(), kind(&job.source.from));
    let (began_ms, started) = (now_ms(), Instant::now());
    let taken = match &job.source.from {
        Origin::Files(files) => files::take(files, job),
        Origin::Command(dump) => command::take(dump, &job),
        Origin::Sqlite(sqlite) => sqlite::take(sqlite, &job),
    };
    let took_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    let outcome = match taken {
        Err(reason) => Outcome::Failed { reason },
        Ok(taken) => Outcome::Done(Done {
            extent: taken.extent,
            base: taken.base,
            began_ms,
            read_until_ms: now_ms(),
            took_ms,
            files: taken.files,
            bytes: taken.bytes,
            read_bytes: taken.read_bytes,
            stored_bytes: taken.objects.iter().map(|object| object.bytes).sum(),
            deleted: taken.deleted,
            skipped: taken.skipped,
            torn: taken.torn,
            objects: taken.objects,
            sha256: taken.sha256,
        }),
    };
    SourceEntry { name, origin, outcome }
}

/// A file in the staging directory that is compressed as it is written.
struct Packed {
    name: String,
    encoder: Encoder<'static, Hashing<BufWriter<File>>>,
}

impl Packed {
    fn create(staging: &Path, name: String) -> io::Result<Self> {
        let file = File::create_new(staging.join(&name)).map_err(staged)?;
        let mut encoder =
            Encoder::new(Hashing::new(BufWriter::new(file)), LEVEL).map_err(staged)?;
        // So that `zstd -d` notices damage by itself.
        encoder.include_checksum(true).map_err(staged)?;
        Ok(Self { name, encoder })
    }

    fn finish(self) -> io::Result<Object> {
        let (mut file, sha256, bytes) = self.encoder.finish().map_err(staged)?.finish();
        file.flush().map_err(staged)?;
        Ok(Object { name: self.name, bytes, sha256 })
    }
}

/// An error of what is written to, and not of what is read.
#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
fn staged(error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("write to the staging directory: {error}"))
}

/// Level of compression: the default of zstd, hundreds of megabytes a second on one core.
const LEVEL: i32 = 3;

impl Write for Packed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.encoder.write(bytes).map_err(staged)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.encoder.flush().map_err(staged)
    }
}
