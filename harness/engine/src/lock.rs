//! One drill at a time for each environment. The lock is the kernel's and dies with its holder.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::thread;
use std::time::{Duration, Instant};

use drdrill_core::environment::ProcessIdentity;

use crate::locked::Locked;
use crate::state::StateDir;

/// A loser waits so long for the winner to write down who it is. It takes microseconds, unless the winner lost its
/// processor in between.
const SAY_WHO: Duration = Duration::from_millis(500);
/// Time between two looks.
const LOOK_AGAIN: Duration = Duration::from_millis(1);

/// A held lock.
#[derive(Debug)]
pub struct EnvironmentLock {
    file: Locked,
}

impl Drop for EnvironmentLock {
    fn drop(&mut self) {
        // Otherwise the next holder could be taken for this one, until it has written down who it is. Where this fails
        // no more than that name is wrong, and the lock goes with the file all the same.
        let _ = self.file.set_len(0);
    }
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
        let give_up = Instant::now() + SAY_WHO;
        let mut file = file;
        loop {
            file = match Locked::take(file).map_err(io)? {
                Ok(mut file) => {
                    file.set_len(0).and_then(|()| file.rewind()).map_err(io)?;
                    writeln!(file, "{} {me}", own_mark().map_err(io)?).map_err(io)?;
                    return Ok(Self { file });
                }
                Err(file) => file,
            };
            // Until the winner has written down who it is, the file may name one that was killed while it held the
            // lock; and the holder may have died since.
            let holder = match holder(&mut file).map_err(io)? {
                Some(holder) => holder,
                None if Instant::now() >= give_up => "its holder has not said who it is".to_owned(),
                None => {
                    thread::sleep(LOOK_AGAIN);
                    continue;
                }
            };
            return Err(LockError::Held { environment: environment.to_owned(), holder });
        }
    }
}

/// This process, as the file of a lock names its holder: `BOOT PID START`.
fn own_mark() -> io::Result<String> {
    let pid = i32::try_from(std::process::id()).map_err(io::Error::other)?;
    let me = drdrill_process::of_process("holder", pid)
        .ok_or_else(|| io::Error::other("this process is not in /proc"))?;
    Ok(format!("{} {} {}", drdrill_process::boot_id()?, me.pid, me.start_time))
}

/// What the holder wrote down of itself, when it has done so and still runs.
fn holder(file: &mut File) -> io::Result<Option<String>> {
    let mut text = String::new();
    file.rewind()?;
    file.read_to_string(&mut text)?;
    Ok(text.strip_suffix('\n').and_then(words_of_the_living).map(str::to_owned))
}

/// What a holder says of itself, when the process that said it still runs.
fn words_of_the_living(text: &str) -> Option<&str> {
    let mut parts = text.splitn(4, ' ');
    let (boot, pid, start) = (parts.next()?, parts.next()?, parts.next()?);
    let (pid, start_time) = (pid.parse().ok()?, start.parse().ok()?);
    let process = ProcessIdentity { node: "holder".to_owned(), pid, start_time };
    let ours = drdrill_process::boot_id().is_ok_and(|ours| ours == boot);
    if ours && drdrill_process::is_alive(&process) { parts.next() } else { None }
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

    #[test]
    fn one_that_was_killed_is_never_taken_for_the_holder() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::at(dir.path().join("state"));
        state.prepare().unwrap();
        drop(EnvironmentLock::take(&state, "lab", "run one").unwrap());
        let path = state.locks().join("lab.lock");
        assert_eq!(std::fs::read(&path).unwrap(), b"", "one that goes leaves no name");
        let boot = drdrill_process::boot_id().unwrap();
        let pid = std::process::id();
        // This process did not start at tick 1, nor did it run in another boot.
        let dead = [format!("{boot} {pid} 1 run dead\n"), format!("no-boot {pid} 1 run dead\n")];
        for text in dead.iter().map(String::as_str).chain(["", "run of an old version\n"]) {
            std::fs::write(&path, text).unwrap();
            let file = OpenOptions::new().read(true).write(true).open(&path).unwrap();
            let mut held = Locked::take(file).unwrap().unwrap();
            let silent = EnvironmentLock::take(&state, "lab", "run two").unwrap_err().to_string();
            assert!(silent.ends_with("its holder has not said who it is"), "{silent}");
            // It says who it is while the other waits for it.
            let late = thread::scope(|scope| {
                let other = scope.spawn(|| EnvironmentLock::take(&state, "lab", "run two"));
                thread::sleep(SAY_WHO / 10);
                held.set_len(0).and_then(|()| held.rewind()).unwrap();
                writeln!(held, "{} run three", own_mark().unwrap()).unwrap();
                other.join().unwrap().unwrap_err().to_string()
            });
            assert!(late.ends_with("run three"), "{late}");
        }
    }
}
