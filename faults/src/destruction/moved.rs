//! A directory that is gone from its place, and how it comes back.
//!
//! It is given another name on the same file system: for everybody who looks for it, it is as gone as a removed one, and
//! one call brings all of it back, whoever died in between.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
use serde::{Deserialize, Serialize};

/// A directory, where it was and where it is kept.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Moved {
    pub(super) path: PathBuf,
    /// Numbers of its device and of itself: another one in its place is not ours.
    identity: (u64, u64),
    kept: PathBuf,
}

fn identity(path: &Path) -> io::Result<Option<(u64, u64)>> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        facts => facts.map(|facts| Some((facts.dev(), facts.ino()))),
    }
}

fn sync_directory_of(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |directory| File::open(directory)?.sync_all())
}

/// Never replaces anything.
fn rename(from: &Path, to: &Path) -> io::Result<()> {
    renameat2(AT_FDCWD, from, AT_FDCWD, to, RenameFlags::RENAME_NOREPLACE)?;
    sync_directory_of(to)?;
    sync_directory_of(from)
}

impl Moved {
    /// What is to become of a directory that is there.
    pub(super) fn planned(path: &Path, kept: PathBuf) -> io::Result<Self> {
        let facts = fs::symlink_metadata(path)?;
        if !facts.is_dir() {
            return Err(io::Error::other(format!("{} is no directory", path.display())));
        }
        Ok(Self { path: path.to_owned(), identity: (facts.dev(), facts.ino()), kept })
    }

    /// Takes it away.
    pub(super) fn take_away(&self) -> io::Result<()> {
        let path = self.path.display();
        if identity(&self.path)? != Some(self.identity) {
            let why = format!("{path} is another directory since it was looked at");
            return Err(io::Error::other(why));
        }
        if let Some(directory) = self.kept.parent() {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
            sync_directory_of(directory)?;
        }
        rename(&self.path, &self.kept)
    }

    /// Puts it back, unless something else is in its place meanwhile.
    pub(super) fn put_back(&self) -> io::Result<()> {
        if self.is_back()? { Ok(()) } else { rename(&self.kept, &self.path) }
    }

    /// Whether nothing can be put back: it never went, it is back, or its place is taken.
    pub(super) fn is_back(&self) -> io::Result<bool> {
        Ok(identity(&self.path)?.is_some() || identity(&self.kept)? != Some(self.identity))
    }

    /// Whether nothing is in its place.
    pub(super) fn is_gone(&self) -> io::Result<bool> {
        Ok(identity(&self.path)?.is_none())
    }

    /// What a person would type.
    pub(super) fn by_hand(&self) -> String {
        format!("mv -nT {} {}", self.kept.display(), self.path.display())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moved(place: &Path) -> Moved {
        let path = place.join("data");
        fs::create_dir(&path).unwrap();
        fs::write(path.join("file"), "content").unwrap();
        Moved::planned(&path, place.join("kept/tag/0")).unwrap()
    }

    #[test]
    fn what_was_taken_away_is_as_before() {
        let place = tempfile::tempdir().unwrap();
        let moved = moved(place.path());
        assert!(moved.is_back().unwrap() && !moved.is_gone().unwrap());
        // Never taken away: nothing to put back.
        moved.put_back().unwrap();
        moved.take_away().unwrap();
        assert!(!moved.is_back().unwrap() && moved.is_gone().unwrap());
        for _ in 0..2 {
            moved.put_back().unwrap();
            assert!(moved.is_back().unwrap() && !moved.is_gone().unwrap());
            assert_eq!(fs::read(moved.path.join("file")).unwrap(), b"content");
        }
    }

    #[test]
    fn what_is_in_its_place_meanwhile_is_left_alone() {
        let place = tempfile::tempdir().unwrap();
        let moved = moved(place.path());
        moved.take_away().unwrap();
        // An empty one too, which a plain rename would replace.
        fs::create_dir(&moved.path).unwrap();
        assert!(moved.is_back().unwrap());
        moved.put_back().unwrap();
        assert_eq!(fs::read_dir(&moved.path).unwrap().count(), 0);
        rename(&moved.kept, &moved.path).unwrap_err();
        assert!(moved.kept.join("file").exists());
    }

    #[test]
    fn another_directory_than_the_planned_one_is_not_taken_away() {
        let place = tempfile::tempdir().unwrap();
        let moved = moved(place.path());
        fs::rename(&moved.path, place.path().join("elsewhere")).unwrap();
        fs::create_dir(&moved.path).unwrap();
        let error = moved.take_away().unwrap_err().to_string();
        assert!(error.contains("another directory"), "{error}");
        assert!(moved.path.exists());
        let file = place.path().join("file");
        fs::write(&file, "").unwrap();
        Moved::planned(&file, place.path().join("kept")).unwrap_err();
    }
}
