//! Owners, modes and times of what was restored.

use std::fs::{self, File, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown, lchown};
use std::path::Path;

use rustix::fs::{
    AtFlags, CWD, RenameFlags, Timespec, Timestamps, UTIME_OMIT, futimens, renameat_with, utimensat,
};
use rustix::io::Errno;
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
    let moved = move_onto_nothing(from, to);
    if closed {
        let now = if moved.is_ok() { to } else { from };
        fs::set_permissions(now, Permissions::from_mode(facts.mode() & 0o7777))?;
    }
    moved
}

/// Moves something to where nothing is. An empty directory `lost+found` may be there: a directory takes its place, as
/// renaming does, and nothing else can.
fn move_onto_nothing(from: &Path, to: &Path) -> io::Result<()> {
    let taken = || io::Error::new(io::ErrorKind::AlreadyExists, "something is there meanwhile");
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Err(Errno::EXIST) if to.ends_with(super::LOST_AND_FOUND) => fs::rename(from, to),
        Err(Errno::EXIST) => Err(taken()),
        // Some file systems cannot: there it is looked at just before.
        Err(Errno::INVAL | Errno::NOSYS) => match fs::symlink_metadata(to) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => fs::rename(from, to),
            Ok(_) if to.ends_with(super::LOST_AND_FOUND) => fs::rename(from, to),
            Ok(_) => Err(taken()),
            Err(error) => Err(error),
        },
        end => Ok(end?),
    }
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
