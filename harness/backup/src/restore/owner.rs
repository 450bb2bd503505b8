//! Owners, modes and times of what was restored.

use std::fs::{self, File, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown, lchown};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, UTIME_OMIT, futimens, utimensat};
use rustix::process::geteuid;
use walkdir::WalkDir;

use crate::tree::{Entry, Moment};

/// Gives things their owners, as far as this process may.
pub(super) struct Owners {
    root: bool,
    not_kept: u64,
}

impl Owners {
    pub(super) fn new() -> Self {
        Self { root: geteuid().is_root(), not_kept: 0 }
    }

    /// So many things could not be given their owner.
    pub(super) const fn not_kept(&self) -> u64 {
        self.not_kept
    }

    /// Gives an open file or directory its owner, mode and time. The mode after the owner, who would lose set-id bits.
    pub(super) fn give(&mut self, file: &File, entry: &Entry) -> io::Result<()> {
        if self.is_to_change(&file.metadata()?, entry) {
            fchown(file, Some(entry.uid), Some(entry.gid))?;
        }
        file.set_permissions(Permissions::from_mode(entry.mode))?;
        Ok(futimens(file, &times(entry.mtime))?)
    }

    /// Gives a symbolic link its owner and time.
    pub(super) fn give_link(&mut self, path: &Path, entry: &Entry) -> io::Result<()> {
        if self.is_to_change(&fs::symlink_metadata(path)?, entry) {
            lchown(path, Some(entry.uid), Some(entry.gid))?;
        }
        Ok(utimensat(CWD, path, &times(entry.mtime), AtFlags::SYMLINK_NOFOLLOW)?)
    }

    fn is_to_change(&mut self, facts: &Metadata, entry: &Entry) -> bool {
        let differs = (facts.uid(), facts.gid()) != (entry.uid, entry.gid);
        if differs && !self.root {
            self.not_kept += 1;
        }
        differs && self.root
    }
}

fn times(Moment(seconds, nanoseconds): Moment) -> Timestamps {
    Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        last_modification: Timespec { tv_sec: seconds, tv_nsec: nanoseconds.into() },
    }
}

/// Gives a directory the owner, mode and time that another one had; its owner may also do what `more` says.
pub(super) fn as_before(directory: &Path, facts: &Metadata, more: u32) -> io::Result<()> {
    let directory = File::open(directory)?;
    if geteuid().is_root() {
        fchown(&directory, Some(facts.uid()), Some(facts.gid()))?;
    }
    directory.set_permissions(Permissions::from_mode(facts.mode() & 0o7777 | more))?;
    let nanoseconds = u32::try_from(facts.mtime_nsec()).unwrap_or(0);
    Ok(futimens(&directory, &times(Moment(facts.mtime(), nanoseconds)))?)
}

/// Moves something into another directory: one that is itself a directory has to be open to whoever moves it.
pub(super) fn move_to(from: &Path, to: &Path) -> io::Result<()> {
    let facts = fs::symlink_metadata(from)?;
    let closed = facts.is_dir() && facts.mode() & 0o200 == 0;
    if closed {
        fs::set_permissions(from, Permissions::from_mode(facts.mode() & 0o7777 | 0o200))?;
    }
    fs::rename(from, to)?;
    if closed {
        fs::set_permissions(to, Permissions::from_mode(facts.mode() & 0o7777))?;
    }
    Ok(())
}

/// Opens the directories of a tree to their owner, so that it can be removed. Whoever could read them to back them up can
/// read them here; what cannot be opened is noticed when it is removed.
pub(crate) fn open_up(tree: &Path) {
    for found in WalkDir::new(tree).into_iter().flatten().filter(|found| found.file_type().is_dir())
    {
        if found.metadata().is_ok_and(|facts| facts.mode() & 0o700 != 0o700) {
            let _ = fs::set_permissions(found.path(), Permissions::from_mode(0o700));
        }
    }
}
