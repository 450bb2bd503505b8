//! A directory of this machine.
//!
//! A point is written under a hidden name, flushed, read back, and renamed: the rename makes it a point.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{Advice, FlockOperation, fadvise, flock};

use super::{Reader, Store, Written, same};
use crate::digest;
use crate::point::{Object, is_name};
use crate::trouble::Trouble;

/// What names begin with of what is being written, and of what is being removed.
const PARTIAL: &str = ".partial-";
const GONE: &str = ".gone-";

/// So long the lock of a drdrill that was killed may linger: with a program that it was about to start, which has it until
/// it is another program.
const LINGERS: Duration = Duration::from_secs(1);
/// Pause before trying again.
const PAUSE: Duration = Duration::from_millis(20);

/// The restore points of a plan in a directory.
#[derive(Debug)]
pub struct Directory {
    base: PathBuf,
    own: PathBuf,
}

/// That nobody writes to a directory, or that nobody else does. Let go when dropped, or with the process.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "it holds the lock")] File);

impl Directory {
    /// The points of `plan` in the directory `base`.
    #[must_use]
    pub fn new(base: &Path, plan: &str) -> Self {
        Self { base: base.to_owned(), own: base.join(plan) }
    }

    /// Where its points are.
    #[must_use]
    pub fn own(&self) -> &Path {
        &self.own
    }

    /// Makes the place for points, in a directory that must be there. What was `written` to before is not made again: where
    /// it is missing, something else is mounted there, or nothing.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn make(&self, written: bool) -> Result<(), String> {
        let found = fs::metadata(&self.base).map_err(|error| self.wrong(&error))?;
        if !found.is_dir() {
            return Err(self.wrong(&"it is no directory"));
        }
        if written && !self.own.is_dir() {
            return Err(self.wrong(
                &"the backups that were written there are not there: is the disk mounted? \
                  (to begin anew: --first)",
            ));
        }
        match private_directory(&self.own) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(self.wrong(&error)),
            _ => sync(&self.base).map_err(|error| self.wrong(&error)),
        }
    }

    /// Keeps everybody else from writing here or, with `alone`, from reading too. `None` where there is nothing yet.
    ///
    /// # Errors
    /// When somebody does so already.
    pub fn lock(&self, alone: bool) -> Result<Option<Lock>, String> {
        let directory = match File::open(&self.own) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(|error| self.wrong(&error))?,
        };
        let how = if alone {
            FlockOperation::NonBlockingLockExclusive
        } else {
            FlockOperation::NonBlockingLockShared
        };
        let give_up = Instant::now() + LINGERS;
        loop {
            match flock(&directory, how) {
                Ok(()) => return Ok(Some(Lock(directory))),
                Err(rustix::io::Errno::WOULDBLOCK) if Instant::now() < give_up => {
                    std::thread::sleep(PAUSE);
                }
                Err(rustix::io::Errno::WOULDBLOCK) => {
                    return Err(self.wrong(&"another drdrill is at work on these backups"));
                }
                Err(error) => return Err(self.wrong(&error)),
            }
        }
    }

    fn wrong(&self, error: &dyn std::fmt::Display) -> String {
        format!("{}: {error}", self.base.display())
    }

    fn write(&self, staged: &Path, point: &Written<'_>, partial: &Path) -> io::Result<()> {
        private_directory(partial)?;
        for object in &point.objects {
            let mut from = File::open(staged.join(&object.name))?;
            let path = partial.join(&object.name);
            let mut to = new_file(&path)?;
            io::copy(&mut from, &mut to)?;
            to.sync_all()?;
            read_back(&path, object)?;
        }
        for (name, bytes) in point.descriptions() {
            let path = partial.join(name);
            let mut to = new_file(&path)?;
            to.write_all(bytes)?;
            to.sync_all()?;
            let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
            let object = Object { name: name.to_owned(), bytes: size, sha256: digest::of(bytes) };
            read_back(&path, &object)?;
        }
        sync(partial)?;
        fs::rename(partial, self.own.join(point.name))?;
        sync(&self.own)
    }
}

/// Reads a file again from where it is kept, and not from memory as far as the kernel can be asked not to.
fn read_back(path: &Path, object: &Object) -> io::Result<()> {
    let file = File::open(path)?;
    // Where the kernel does not do so, at least what it has is compared.
    let _ = fadvise(&file, 0, None, Advice::DontNeed);
    let (sha256, bytes) = digest::of_reader(file)?;
    same(object, &sha256, bytes).map_err(io::Error::other)
}

fn private_directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(path)
}

fn new_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

fn sync(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

impl Store for Directory {
    fn place(&self) -> String {
        self.own.display().to_string()
    }

    fn identity(&self) -> Result<String, String> {
        let facts = fs::metadata(&self.base).map_err(|error| self.wrong(&error))?;
        Ok(format!("file system {}", facts.dev()))
    }

    fn points(&self) -> Result<Vec<String>, String> {
        fs::metadata(&self.base).map_err(|error| self.wrong(&error))?;
        let entries = match fs::read_dir(&self.own) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(|error| self.wrong(&error))?,
        };
        let mut names = Vec::new();
        for entry in entries {
            let name = entry.map_err(|error| self.wrong(&error))?.file_name();
            names.extend(name.into_string().ok().filter(|name| is_name(name)));
        }
        names.sort();
        Ok(names)
    }

    fn objects(&self, point: &str) -> Result<BTreeMap<String, u64>, String> {
        let wrong = |error: io::Error| format!("{point}: {error}");
        let entries = fs::read_dir(self.own.join(point)).map_err(wrong)?;
        let one = |entry: io::Result<fs::DirEntry>| {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            Ok((name, entry.metadata()?.len()))
        };
        entries.map(one).collect::<io::Result<_>>().map_err(wrong)
    }

    fn open(&self, point: &str, object: &str) -> Result<Reader, Trouble> {
        let opened = File::open(self.own.join(point).join(object));
        opened.map(|file| -> Reader { Box::new(file) }).map_err(|error| {
            let why = format!("{object}: {error}");
            // That of a directory that was unmounted meanwhile is there none the less.
            let gone = error.kind() == ErrorKind::NotFound && self.own.is_dir();
            if gone { Trouble::Unusable(why) } else { Trouble::Hindered(why) }
        })
    }

    fn put(&self, staged: &Path, point: &Written<'_>) -> Result<(), String> {
        let partial = self.own.join(format!("{PARTIAL}{}", point.name));
        self.write(staged, point, &partial).map_err(|error| {
            // What cannot be removed now is removed by the next run.
            let _ = fs::remove_dir_all(&partial);
            self.wrong(&error)
        })
    }

    fn remove(&self, point: &str) -> Result<(), String> {
        let gone = self.own.join(format!("{GONE}{point}"));
        let removed = fs::rename(self.own.join(point), &gone)
            .and_then(|()| sync(&self.own))
            .and_then(|()| fs::remove_dir_all(&gone));
        removed.map_err(|error| self.wrong(&error))
    }

    fn tidy(&self) -> Result<(), String> {
        let entries = fs::read_dir(&self.own).map_err(|error| self.wrong(&error))?;
        for entry in entries {
            let entry = entry.map_err(|error| self.wrong(&error))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let ours =
                [PARTIAL, GONE].iter().any(|prefix| name.strip_prefix(prefix).is_some_and(is_name));
            if ours {
                fs::remove_dir_all(entry.path()).map_err(|error| self.wrong(&error))?;
            }
        }
        Ok(())
    }
}
