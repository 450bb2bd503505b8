//! The process that holds others: it traces all of their threads and lets none of them run.
//!
//! The kernel lets them run on when it ends, however it ends, which a stop signal would not. It is a process of its
//! own because the parent of a traced process must not be its tracer: it would take each stop for an end.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};

use drdrill_core::environment::ProcessIdentity;
use nix::errno::Errno;
use nix::sys::ptrace;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::threads;

/// What the pauser says when everything stands still.
pub(super) const STANDS: u8 = b'k';

/// Threads that are held, and the signal that each would have got had it run.
type Held = BTreeMap<Pid, Option<Signal>>;

/// Holds `processes` until `input` ends, and says on `output` when all of them stand still.
///
/// # Errors
/// When one cannot be held: it may not be traced, or somebody else traces it. Then none is held.
pub fn hold(
    processes: &[ProcessIdentity],
    mut input: impl Read,
    mut output: impl Write,
) -> io::Result<()> {
    let mut held = Held::new();
    let held_all = processes.iter().try_for_each(|process| hold_one(process, &mut held));
    let said = held_all.and_then(|()| output.write_all(&[STANDS])).and_then(|()| output.flush());
    let waited = said.and_then(|()| io::copy(&mut input, &mut io::sink()).map(drop));
    for (thread, signal) in held {
        // One that was killed meanwhile needs no letting go.
        let _ = ptrace::detach(thread, signal);
    }
    waited
}

/// Holds all threads of a process. Looks again until there is no new one: those that still run may start others.
fn hold_one(process: &ProcessIdentity, held: &mut Held) -> io::Result<()> {
    loop {
        let mut news = false;
        for thread in threads::of(process)? {
            if !held.contains_key(&thread.id)
                && let Some(signal) = hold_thread(thread.id)?
            {
                held.insert(thread.id, signal);
                news = true;
            }
        }
        if !news {
            return Ok(());
        }
    }
}

/// Holds a thread; `None` when it has ended.
#[expect(clippy::option_option, reason = "held or not, and then with a signal or without")]
fn hold_thread(thread: Pid) -> io::Result<Option<Option<Signal>>> {
    let stopped = ptrace::seize(thread, ptrace::Options::empty())
        .and_then(|()| ptrace::interrupt(thread))
        .and_then(|()| waitpid(thread, Some(WaitPidFlag::__WALL)));
    match stopped {
        // The stop that was asked for.
        Ok(WaitStatus::PtraceEvent(..)) => Ok(Some(None)),
        // A signal came first; it is given back at the end.
        Ok(WaitStatus::Stopped(_, signal)) => Ok(Some(Some(signal))),
        Ok(_) | Err(Errno::ESRCH | Errno::ECHILD) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}
