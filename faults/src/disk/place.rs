//! A directory, and the file system that it is on.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::unistd::geteuid;
use rustix::fs::{Mode, OFlags, StatVfs, fstatvfs, openat};

/// File systems whose free space differs by no more than this share of the whole may be the same one, seen twice.
const ALIKE: f64 = 0.01;

/// A directory that is held open: whatever is mounted or renamed meanwhile, this is the one that was looked at.
#[derive(Debug)]
pub struct Place {
    directory: File,
    path: PathBuf,
    /// Numbers of its device and of itself.
    identity: (u64, u64),
}

/// Space on a file system, in bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Space {
    /// What this process could still write.
    pub free: u64,
    /// All of it.
    pub total: u64,
}

impl Place {
    /// Opens a directory.
    ///
    /// # Errors
    /// When it is not there, or no directory.
    pub fn open(path: &Path) -> io::Result<Self> {
        // A link could lead anywhere, at any time.
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW;
        let flags = i32::try_from(flags.bits()).map_err(io::Error::other)?;
        let directory = File::options().read(true).custom_flags(flags).open(path)?;
        let facts = directory.metadata()?;
        Ok(Self { directory, path: path.to_owned(), identity: (facts.dev(), facts.ino()) })
    }

    /// Numbers of its device and of itself, by which the same directory is known again.
    #[must_use]
    pub const fn identity(&self) -> (u64, u64) {
        self.identity
    }

    /// How much room there is.
    ///
    /// # Errors
    /// When the file system does not tell.
    pub fn space(&self) -> io::Result<Space> {
        let facts = fstatvfs(self.directory.as_fd())?;
        // Root may write where others may not any more.
        let free = if geteuid().is_root() { facts.f_bfree } else { facts.f_bavail };
        Ok(Space {
            free: free.saturating_mul(facts.f_frsize),
            total: facts.f_blocks.saturating_mul(facts.f_frsize),
        })
    }

    /// Makes a file without a name: it is gone, and its space free, when its last descriptor is closed, at the latest
    /// with the end of this process.
    ///
    /// # Errors
    /// When the file system has no such files, or no room for one.
    pub fn nameless(&self) -> io::Result<File> {
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC | OFlags::EXCL;
        match openat(&self.directory, c".", flags, Mode::RUSR | Mode::WUSR) {
            Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::ISDIR) => Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "its file system has no files without a name (O_TMPFILE), and only such a file is certain to end with drdrill",
            )),
            file => Ok(file?.into()),
        }
    }

    /// The first of `spared` whose file system is, or may be, the one of this directory.
    ///
    /// # Errors
    /// When one cannot be looked at.
    pub fn shares_with<'a>(&self, spared: &'a [PathBuf]) -> io::Result<Option<&'a Path>> {
        let ours = fstatvfs(self.directory.as_fd())?;
        for path in spared {
            let there = nearest(path);
            let theirs = rustix::fs::statvfs(there)?;
            // Subvolumes, overlays and bind mounts have device numbers of their own on the same space.
            if fs::metadata(there)?.dev() == self.identity.0 || may_be_one(&ours, &theirs) {
                return Ok(Some(path));
            }
        }
        Ok(None)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// The nearest directory above a path that is there already.
fn nearest(path: &Path) -> &Path {
    path.ancestors().find(|one| one.exists()).unwrap_or_else(|| Path::new("."))
}

/// Whether two answers can be about one file system: equal totals, and as much free.
fn may_be_one(one: &StatVfs, other: &StatVfs) -> bool {
    let bytes = |blocks: u64, facts: &StatVfs| blocks.saturating_mul(facts.f_frsize);
    let total = bytes(one.f_blocks, one);
    let difference = bytes(one.f_bfree, one).abs_diff(bytes(other.f_bfree, other));
    #[expect(clippy::cast_precision_loss, reason = "a share of the whole, to a percent")]
    let alike = difference as f64 <= total as f64 * ALIKE;
    total > 0 && total == bytes(other.f_blocks, other) && one.f_files == other.f_files && alike
}
