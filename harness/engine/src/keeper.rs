//! The keeper: a process of its own session that takes everything back when the harness is gone.
//!
//! The harness holds the write end of the keeper's standard input and sends a heartbeat. End of file means that the
//! harness died, a missed lease that it is stopped or starved; such a harness is killed first, because one that woke up later
//! would go on injecting into a system that is being put back.

use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::ledger::{Ledger, LedgerError};
use crate::state::StateDir;

/// The harness counts as hanging when it sent no heartbeat for so long.
pub const LEASE: Duration = Duration::from_secs(15);
/// Time the keeper may take to say that it listens, and to end when it is dismissed.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// Time between two heartbeats.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// What the harness sends last when there is nothing left to take back.
const GOODBYE: u8 = b'.';
/// What it sends while it lives.
const ALIVE: u8 = b'+';

/// A running keeper, seen from the harness. Dropping it without [`Keeper::dismiss`] lets the keeper act.
#[derive(Debug)]
pub struct Keeper {
    child: Child,
    stop: std::sync::mpsc::Sender<()>,
    heart: thread::JoinHandle<ChildStdin>,
}

impl Keeper {
    /// Starts `program --state DIR keeper RUN` with an empty environment, and sends it heartbeats.
    ///
    /// # Errors
    /// When the process or the thread cannot be started; nothing may then be injected.
    pub fn start(program: &Path, state: &StateDir, run_id: &str) -> io::Result<Self> {
        let mut child = Command::new(program)
            .arg("--state")
            .arg(state.root())
            .args(["keeper", run_id])
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let mut input = child
            .stdin
            .take()
            .ok_or_else(|| io::Error::other("the keeper has no standard input"))?;
        // The keeper says when it listens; from then on nothing can be lost.
        let mut ready = [0];
        let mut output = child
            .stdout
            .take()
            .ok_or_else(|| io::Error::other("the keeper has no standard output"))?;
        if let Err(error) = wait_readable(&output).and_then(|()| output.read_exact(&mut ready)) {
            // A keeper that does not answer is none.
            let _ = child.kill().and_then(|()| child.wait());
            return Err(error);
        }
        let (stop, stopped) = channel();
        let heart = thread::Builder::new().name("heartbeat".into()).spawn(move || {
            while stopped.recv_timeout(HEARTBEAT) == Err(RecvTimeoutError::Timeout) {
                // A keeper that died is noticed by `is_alive`.
                let _ = input.write_all(&[ALIVE]);
            }
            input
        })?;
        Ok(Self { child, stop, heart })
    }

    /// Whether the keeper still runs.
    pub fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Tells the keeper that nothing is left to take back, and waits for its end.
    ///
    /// # Errors
    /// When the keeper did not end by itself.
    pub fn dismiss(mut self) -> io::Result<()> {
        drop(self.stop);
        let mut input =
            self.heart.join().map_err(|_| io::Error::other("the heartbeat thread failed"))?;
        // A keeper that is gone already cannot be told; its exit status tells then.
        let _ = input.write_all(&[GOODBYE]);
        drop(input);
        let give_up = Instant::now() + ANSWER_TIMEOUT;
        while self.child.try_wait()?.is_none() {
            if Instant::now() >= give_up {
                self.child.kill()?;
                return self.child.wait().map(drop);
            }
            thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }
}

fn wait_readable(output: &ChildStdout) -> io::Result<()> {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    let timeout = PollTimeout::try_from(ANSWER_TIMEOUT).unwrap_or(PollTimeout::MAX);
    match poll(&mut [PollFd::new(output.as_fd(), PollFlags::POLLIN)], timeout)? {
        0 => Err(io::Error::new(io::ErrorKind::TimedOut, "the keeper does not answer")),
        _ => Ok(()),
    }
}

/// What the keeper saw of the harness.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Farewell {
    /// It said that nothing is left.
    Dismissed,
    /// It died.
    Gone,
    /// It hangs.
    Hangs,
}

/// The keeper's side: says that it listens, and waits until the harness is done, gone or hanging.
///
/// # Errors
/// When it cannot listen.
pub fn wait_for_harness(
    mut input: impl Read + Send + 'static,
    mut output: impl Write,
    lease: Duration,
) -> io::Result<Farewell> {
    let (sender, beats) = channel();
    thread::Builder::new().name("listen".into()).spawn(move || {
        let mut byte = [0];
        while let Ok(1) = input.read(&mut byte) {
            if sender.send(byte[0]).is_err() {
                return;
            }
        }
    })?;
    output.write_all(b"k")?;
    output.flush()?;
    loop {
        match beats.recv_timeout(lease) {
            Ok(GOODBYE) => return Ok(Farewell::Dismissed),
            Ok(_) => {}
            Err(RecvTimeoutError::Disconnected) => return Ok(Farewell::Gone),
            Err(RecvTimeoutError::Timeout) => return Ok(Farewell::Hangs),
        }
    }
}

/// Takes the ledger over from a harness that is gone, or that hangs and is killed for it. `None` when the harness put
/// it aside before it went: then nothing is left in place.
///
/// # Errors
/// When the ledger cannot be had within `patience`.
pub fn take_over(
    ledger: &Path,
    farewell: Farewell,
    patience: Duration,
) -> Result<Option<Ledger>, LedgerError> {
    if farewell == Farewell::Hangs
        && let Ok(contents) = Ledger::look(ledger)
        && let Some((_, _, harness, _)) = contents.opened()
    {
        // A harness that cannot be killed keeps its ledger locked, which the caller sees.
        let _ = drdrill_process::kill(harness);
    }
    let give_up = Instant::now() + patience;
    loop {
        match Ledger::take_over(ledger) {
            // The kernel lets go of a dead process's lock a moment after its pipe.
            Err(LedgerError::InUse { .. }) if Instant::now() < give_up => {
                thread::sleep(Duration::from_millis(5));
            }
            Err(error) if error.is_missing() => return Ok(None),
            other => return other.map(Some),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn end_of_file_means_gone_and_goodbye_means_dismissed() {
        let farewell = |bytes: &'static [u8]| wait_for_harness(bytes, io::sink(), LEASE).unwrap();
        assert_eq!(farewell(b"+++"), Farewell::Gone);
        assert_eq!(farewell(b"++."), Farewell::Dismissed);
    }

    #[test]
    fn silence_means_that_it_hangs() {
        let (reader, _writer) = io::pipe().unwrap();
        let lease = Duration::from_millis(50);
        let began = Instant::now();
        assert_eq!(wait_for_harness(reader, io::sink(), lease).unwrap(), Farewell::Hangs);
        assert!(began.elapsed() >= lease);
    }
}
