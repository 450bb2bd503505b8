//! One drill at a time for each environment. The lock is the kernel's and dies with its holder.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::thread;
use std::time::{Duration, Instant};

use nix::fcntl::{Flock, FlockArg};

use crate::state::StateDir;

/// A held lock.
#[derive(Debug)]
pub struct EnvironmentLock {
    _file: Flock<File>,
}

/// The lock was not had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another drill runs on this environment.
    #[error("environment {environment} is in use: {holder}")]
    Held {
        /// The environment.
        environment: String,
        /// What the holder wrote down of itself: run, process, since when.
        holder: String,
    },
    /// The lock file cannot be used.
    #[error("lock environment {environment}: {source}")]
    Io {
        /// The environment.
        environment: String,
        /// Why.
        source: io::Error,
    },
}

impl EnvironmentLock {
    /// Takes the lock of `environment` at once or not at all; `me` tells others who holds it.
    ///
    /// # Errors
    /// When another process holds it, or when the lock file cannot be used.
    pub fn take(state: &StateDir, environment: &str, me: &str) -> Result<Self, LockError> {
        let io = |source| LockError::Io { environment: environment.to_owned(), source };
        let path = state.locks().join(format!("{environment}.lock"));
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
            .map_err(io)?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(mut file) => {
                file.set_len(0).and_then(|()| file.rewind()).map_err(io)?;
                writeln!(file, "{me}").map_err(io)?;
                Ok(Self { _file: file })
            }
            Err((mut file, nix::errno::Errno::EWOULDBLOCK)) => {
                let holder = holder(&mut file).map_err(io)?;
                Err(LockError::Held { environment: environment.to_owned(), holder })
            }
            Err((_, errno)) => Err(io(errno.into())),
        }
    }
}

/// What the holder wrote down of itself. It does so a moment after it took the lock.
fn holder(file: &mut File) -> io::Result<String> {
    let give_up = Instant::now() + Duration::from_millis(100);
    loop {
        let mut holder = String::new();
        file.rewind()?;
        file.read_to_string(&mut holder)?;
        match holder.strip_suffix('\n') {
            Some(whole) => return Ok(whole.to_owned()),
            None if Instant::now() >= give_up => {
                return Ok("its holder has not said who it is".into());
            }
            None => thread::sleep(Duration::from_millis(1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_is_refused_and_told_who_holds_it() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::at(dir.path().join("state"));
        state.prepare().unwrap();
        let first = EnvironmentLock::take(&state, "lab", "run one").unwrap();
        let error = EnvironmentLock::take(&state, "lab", "run two").unwrap_err();
        assert!(matches!(&error, LockError::Held { holder, .. } if holder == "run one"), "{error}");
        assert!(EnvironmentLock::take(&state, "other", "run two").is_ok());
        drop(first);
        assert!(EnvironmentLock::take(&state, "lab", "run two").is_ok());
    }
}
