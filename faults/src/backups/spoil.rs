//! Spoiling one file, and taking that back.
//!
//! What is taken from a file is on the disk elsewhere before it is taken: the half that is cut off as a copy, a file that
//! is removed under another name, a flipped bit in the ledger itself.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use drdrill_core::scenario::Harm;
use serde::{Deserialize, Serialize};

/// The most that is cut off, and so copied.
const MOST_BYTES: u64 = 256 << 20;

/// What was done to a file, and all that taking it back needs.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Spoilt {
    /// One bit of a byte was flipped.
    Flipped { at: u64, before: u8 },
    /// All from here on was cut off; the file was so long, and what was cut off is in another.
    Cut { at: u64, length: u64, kept: PathBuf },
    /// It was given another name.
    Moved { kept: PathBuf },
}

/// A file that was spoilt.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SpoiltFile {
    pub(crate) path: PathBuf,
    /// Numbers of its device and of itself.
    pub(crate) identity: (u64, u64),
    pub(crate) spoilt: Spoilt,
}

fn identity(path: &Path) -> io::Result<Option<(u64, u64)>> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        facts => facts.map(|facts| Some((facts.dev(), facts.ino()))),
    }
}

fn sync_directory(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |directory| File::open(directory)?.sync_all())
}

fn make_directory(of: &Path) -> io::Result<()> {
    let Some(directory) = of.parent() else { return Ok(()) };
    fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)
}

impl SpoiltFile {
    /// What `harm` is to do to the file `path`, which is looked at: a bit of the byte at `at` is flipped, all from there on is
    /// cut off, or all of it is moved. What is taken is put into `kept`.
    pub(super) fn of(path: &Path, harm: Harm, at: u64, kept: PathBuf) -> io::Result<Self> {
        let facts = fs::symlink_metadata(path)?;
        let wrong = |what: String| io::Error::other(format!("{} {what}", path.display()));
        if !facts.is_file() {
            return Err(wrong("is no file".to_owned()));
        }
        let length = facts.len();
        let spoilt = match harm {
            Harm::Flip => {
                let mut before = [0];
                File::open(path)?.read_exact_at(&mut before, at)?;
                Spoilt::Flipped { at, before: before[0] }
            }
            Harm::Truncate if length.saturating_sub(at) > MOST_BYTES => {
                let most = MOST_BYTES >> 20;
                let what = format!("has more than {most} MiB to lose, too much to be kept first");
                return Err(wrong(what));
            }
            Harm::Truncate => Spoilt::Cut { at, length, kept },
            Harm::Remove => Spoilt::Moved { kept },
        };
        Ok(Self { path: path.to_owned(), identity: (facts.dev(), facts.ino()), spoilt })
    }

    /// Whether the file is still the one that was looked at.
    fn is_the_same(&self) -> io::Result<bool> {
        Ok(identity(&self.path)? == Some(self.identity))
    }

    /// Spoils the file.
    pub(crate) fn spoil(&self) -> io::Result<()> {
        if !self.is_the_same()? {
            let path = self.path.display();
            return Err(io::Error::other(format!("{path} is another file since it was looked at")));
        }
        match &self.spoilt {
            Spoilt::Flipped { at, before } => {
                let file = File::options().read(true).write(true).open(&self.path)?;
                let mut now = [0];
                file.read_exact_at(&mut now, *at)?;
                if now[0] != *before {
                    // Putting back what was there before would be another damage.
                    let path = self.path.display();
                    return Err(io::Error::other(format!("{path} has changed at byte {at}")));
                }
                file.write_all_at(&[before ^ 1], *at)?;
                file.sync_all()
            }
            Spoilt::Cut { at, length, kept } => {
                keep_tail(&self.path, (*at, *length), kept)?;
                let file = File::options().write(true).open(&self.path)?;
                file.set_len(*at)?;
                file.sync_all()
            }
            Spoilt::Moved { kept } => {
                make_directory(kept)?;
                fs::rename(&self.path, kept)?;
                sync_directory(kept)?;
                sync_directory(&self.path)
            }
        }
    }

    /// Takes it back, unless somebody put another file in its place, or wrote on.
    pub(crate) fn mend(&self) -> io::Result<()> {
        if self.is_mended()? {
            return Ok(());
        }
        match &self.spoilt {
            Spoilt::Flipped { at, before } => {
                let file = File::options().write(true).open(&self.path)?;
                file.write_all_at(&[*before], *at)?;
                file.sync_all()
            }
            Spoilt::Cut { at, kept, .. } => {
                let file = File::options().write(true).open(&self.path)?;
                copy_to(&File::open(kept)?, &file, *at)?;
                file.sync_all()
            }
            Spoilt::Moved { kept } => {
                // Fails where a file is in its place meanwhile; a rename would replace it.
                fs::hard_link(kept, &self.path)?;
                sync_directory(&self.path)?;
                fs::remove_file(kept)
            }
        }
    }

    /// Whether nothing of it is left: it is as before, or no longer the file that was spoilt.
    pub(crate) fn is_mended(&self) -> io::Result<bool> {
        if let Spoilt::Moved { kept } = &self.spoilt {
            return Ok(identity(&self.path)?.is_some() || identity(kept)? != Some(self.identity));
        }
        if !self.is_the_same()? {
            return Ok(true);
        }
        match &self.spoilt {
            Spoilt::Flipped { at, before } => {
                let mut byte = [0];
                File::open(&self.path)?.read_exact_at(&mut byte, *at)?;
                Ok(byte[0] != before ^ 1)
            }
            // A copy that was never finished was never needed: nothing is cut off before it is.
            Spoilt::Cut { at, length, .. } => {
                let now = fs::metadata(&self.path)?.len();
                Ok(!(*at..*length).contains(&now))
            }
            Spoilt::Moved { .. } => Ok(true),
        }
    }
}

/// Copies the end of a file into one of its own, which is there when it is whole and on the disk.
fn keep_tail(path: &Path, (at, length): (u64, u64), kept: &Path) -> io::Result<()> {
    make_directory(kept)?;
    let unfinished = kept.with_extension("new");
    let file =
        File::options().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
    let mut tail = File::open(path)?;
    io::Seek::seek(&mut tail, io::SeekFrom::Start(at))?;
    let copied = io::copy(&mut io::Read::take(&tail, length - at), &mut &file)?;
    if copied != length - at {
        return Err(io::Error::other(format!("{} has changed", path.display())));
    }
    file.sync_all()?;
    fs::rename(&unfinished, kept)?;
    sync_directory(kept)
}

fn copy_to(from: &File, to: &File, at: u64) -> io::Result<()> {
    let mut to = to;
    io::Seek::seek(&mut to, io::SeekFrom::Start(at))?;
    io::copy(&mut &*from, &mut to).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spoilt(directory: &Path, how: fn(PathBuf) -> Spoilt) -> SpoiltFile {
        let path = directory.join("backup");
        fs::write(&path, "0123456789").unwrap();
        let identity = identity(&path).unwrap().unwrap();
        SpoiltFile { spoilt: how(directory.join("kept/tail")), path, identity }
    }

    const HOWS: [fn(PathBuf) -> Spoilt; 3] = [
        |_| Spoilt::Flipped { at: 5, before: b'5' },
        |kept| Spoilt::Cut { at: 5, length: 10, kept },
        |kept| Spoilt::Moved { kept },
    ];

    #[test]
    fn what_was_spoilt_is_as_before() {
        for how in HOWS {
            let directory = tempfile::tempdir().unwrap();
            let file = spoilt(directory.path(), how);
            assert!(file.is_mended().unwrap());
            file.spoil().unwrap();
            assert!(!file.is_mended().unwrap(), "{file:?}");
            assert_ne!(fs::read(&file.path).unwrap_or_default(), b"0123456789");
            for _ in 0..2 {
                file.mend().unwrap();
                assert!(file.is_mended().unwrap(), "{file:?}");
                assert_eq!(fs::read(&file.path).unwrap(), b"0123456789");
            }
        }
    }

    #[test]
    fn what_has_changed_since_it_was_looked_at_is_not_spoilt() {
        let directory = tempfile::tempdir().unwrap();
        let file = spoilt(directory.path(), HOWS[0]);
        fs::write(&file.path, "01234x6789").unwrap();
        let error = file.spoil().unwrap_err().to_string();
        assert!(error.ends_with("has changed at byte 5"), "{error}");
        assert_eq!(fs::read(&file.path).unwrap(), b"01234x6789");
        assert!(file.is_mended().unwrap());
    }

    #[test]
    fn a_newer_file_in_its_place_is_left_alone() {
        for how in HOWS {
            let directory = tempfile::tempdir().unwrap();
            let file = spoilt(directory.path(), how);
            file.spoil().unwrap();
            let newer = directory.path().join("newer");
            fs::write(&newer, "newer").unwrap();
            fs::rename(&newer, &file.path).unwrap();
            assert!(file.is_mended().unwrap(), "{file:?}");
            file.mend().unwrap();
            assert_eq!(fs::read(&file.path).unwrap(), b"newer");
        }
    }

    #[test]
    fn half_a_mend_is_finished() {
        let directory = tempfile::tempdir().unwrap();
        let file = spoilt(directory.path(), HOWS[1]);
        file.spoil().unwrap();
        fs::write(&file.path, "0123456").unwrap();
        assert!(!file.is_mended().unwrap());
        file.mend().unwrap();
        assert_eq!(fs::read(&file.path).unwrap(), b"0123456789");
    }
}
