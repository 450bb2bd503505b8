//! A file that is locked against all other processes.

use std::fs::{File, TryLockError};
use std::io;
use std::ops::{Deref, DerefMut};

/// A file with its lock, which ends with this value, and with this process.
///
/// Not nix's `Flock`: that panics where a lock cannot be let go, as on a network file system whose server is gone.
#[derive(Debug)]
pub(crate) struct Locked(File);

impl Locked {
    /// Takes the lock (`flock`) at once or not at all; `Err` gives the file back where somebody else has it.
    pub(crate) fn take(file: File) -> io::Result<Result<Self, File>> {
        match file.try_lock() {
            Ok(()) => Ok(Ok(Self(file))),
            Err(TryLockError::WouldBlock) => Ok(Err(file)),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

impl Deref for Locked {
    type Target = File;

    fn deref(&self) -> &File {
        &self.0
    }
}

impl DerefMut for Locked {
    fn deref_mut(&mut self) -> &mut File {
        &mut self.0
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        // A lock that cannot be let go ends with the file, which is closed next.
        let _ = self.0.unlock();
    }
}
