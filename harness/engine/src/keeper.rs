//! The keeper: a process of its own session that takes everything back when the harness is gone.
//!
//! It is nobody's child: what starts it ends at once, so that who kills the harness with all its descendants, as CI
//! runners do, does not find the keeper among them.
//!
//! The harness holds the write end of the keeper's standard input and sends a heartbeat. End of file means that the
//! harness died, a missed lease that it is stopped or starved; such a harness is killed first, because one that woke up later
//! would go on injecting into a system that is being put back.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use drdrill_core::environment::ProcessIdentity;

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
    process: ProcessIdentity,
    stop: std::sync::mpsc::Sender<()>,
    heart: thread::JoinHandle<ChildStdin>,
}

impl Keeper {
    /// Starts `program --state DIR keeper RUN` with an empty environment, and sends it heartbeats.
    ///
    /// # Errors
    /// When the process or the thread cannot be started; nothing may then be injected.
    pub fn start(program: &Path, state: &StateDir, run_id: &str) -> io::Result<Self> {
        let mut starter = Command::new(program)
            .arg("--state")
            .arg(state.root())
            .args(["keeper", run_id])
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let said = listen(&mut starter);
        if said.is_err() {
            // A keeper that does not answer is none.
            let _ = starter.kill();
        }
        starter.wait()?;
        let (process, mut input) = said?;
        let (stop, stopped) = channel();
        let heart = thread::Builder::new().name("heartbeat".into()).spawn(move || {
            while stopped.recv_timeout(HEARTBEAT) == Err(RecvTimeoutError::Timeout) {
                // A keeper that died is noticed by `is_alive`.
                let _ = input.write_all(&[ALIVE]);
            }
            input
        })?;
        Ok(Self { process, stop, heart })
    }

    /// Whether the keeper still runs.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        drdrill_process::is_alive(&self.process)
    }

    /// Tells the keeper that nothing is left to take back, and waits for its end.
    ///
    /// # Errors
    /// When the keeper did not end by itself.
    pub fn dismiss(self) -> io::Result<()> {
        drop(self.stop);
        let mut input =
            self.heart.join().map_err(|_| io::Error::other("the heartbeat thread failed"))?;
        // A keeper that is gone already cannot be told.
        let _ = input.write_all(&[GOODBYE]);
        drop(input);
        let give_up = Instant::now() + ANSWER_TIMEOUT;
        while drdrill_process::is_alive(&self.process) {
            if Instant::now() >= give_up {
                return drdrill_process::kill(&self.process);
            }
            thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }
}

/// Waits until the keeper says who it is, which it does when it listens: from then on nothing can be lost.
fn listen(starter: &mut Child) -> io::Result<(ProcessIdentity, ChildStdin)> {
    let (Some(input), Some(output)) = (starter.stdin.take(), starter.stdout.take()) else {
        return Err(io::Error::other("the keeper has no pipes"));
    };
    wait_readable(&output)?;
    let mut line = String::new();
    BufReader::new(output).read_line(&mut line)?;
    let keeper =
        line.trim_end().parse().ok().and_then(|pid| drdrill_process::of_process("keeper", pid));
    let silent = || io::Error::other("it ended before it listened");
    Ok((keeper.ok_or_else(silent)?, input))
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

/// The keeper's side: says who it is, and waits until the harness is done, gone or hanging.
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
    // At once, because the harness reads it at once.
    output.write_all(format!("{}\n", std::process::id()).as_bytes())?;
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
        && let Some(harness) = contents.harness()
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
