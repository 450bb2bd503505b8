//! Processes named so exactly that no later one can be mistaken for them.

mod mark;
mod pid_file;
mod population;
mod program;

pub use mark::{marked, of_group};
pub use pid_file::{PidFileError, of_pid_file};
pub use population::population;
pub use program::check_program;

use std::fs;
use std::io;
use std::os::fd::OwnedFd;

use drdrill_core::environment::ProcessIdentity;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// Id of this boot of this kernel. A ledger of another boot speaks of processes that cannot exist any more.
///
/// # Errors
/// When `/proc` is not there.
pub fn boot_id() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}

/// Start time of a process in clock ticks since boot (field 22 of `/proc/PID/stat`), `None` when there is no such
/// process. A zombie still has one.
fn start_time(pid: i32) -> Option<u64> {
    stat_field(pid, 22)
}

/// A field of `/proc/PID/stat`, from the third on, counted from 1 as proc(5) does.
fn stat_field(pid: i32, number: usize) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the name in parentheses and may contain anything, so count from its end.
    stat.rsplit_once(')')?.1.split_whitespace().nth(number.checked_sub(3)?)?.parse().ok()
}

/// Whether exactly this process still runs, but was killed and is on its way out: one with much memory, or one that
/// waits for a disk, takes a while.
#[must_use]
pub fn is_ending(process: &ProcessIdentity) -> bool {
    /// `PF_EXITING` of the kernel's `include/linux/sched.h`.
    const EXITING: u64 = 0x4;
    /// SIGKILL, number 9, in a set of signals.
    const KILLED: u64 = 1 << 8;
    let exiting = stat_field(process.pid, 9).is_some_and(|flags| flags & EXITING != 0);
    let status = fs::read_to_string(format!("/proc/{}/status", process.pid)).unwrap_or_default();
    let mut pending = status.lines().filter_map(|line| {
        let set = line.strip_prefix("SigPnd:").or_else(|| line.strip_prefix("ShdPnd:"))?;
        u64::from_str_radix(set.trim(), 16).ok()
    });
    let killed = pending.any(|set| set & KILLED != 0);
    // Looked at last: what was read was about this process, or it has ended.
    (exiting || killed) && is_alive(process)
}

/// A descriptor of exactly this process; `None` when it is gone, whoever has its number now.
///
/// The descriptor is taken before the identity is compared: it names whoever has the number now and no later process,
/// so that a successor cannot be meant.
fn descriptor(process: &ProcessIdentity) -> io::Result<Option<OwnedFd>> {
    let Some(pid) = Pid::from_raw(process.pid) else { return Ok(None) };
    let descriptor = match pidfd_open(pid, PidfdFlags::empty()) {
        Err(Errno::SRCH) => return Ok(None),
        other => other?,
    };
    Ok((start_time(process.pid) == Some(process.start_time)).then_some(descriptor))
}

/// Whether the process of a descriptor has ended, all of its threads included: the descriptor is readable then.
fn has_ended(descriptor: &OwnedFd) -> bool {
    let mut waiting = [PollFd::new(descriptor, PollFlags::IN)];
    poll(&mut waiting, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
}

/// The identity of a running process, `None` when there is no such process or it has ended.
#[must_use]
pub fn of_process(node: &str, pid: i32) -> Option<ProcessIdentity> {
    let process = ProcessIdentity { node: node.to_owned(), pid, start_time: start_time(pid)? };
    is_alive(&process).then_some(process)
}

/// Whether exactly this process still runs. Where that cannot be told (no descriptor is free) it counts as running.
#[must_use]
pub fn is_alive(process: &ProcessIdentity) -> bool {
    match descriptor(process) {
        Ok(Some(descriptor)) => !has_ended(&descriptor),
        Ok(None) => false,
        Err(_) => true,
    }
}

/// Kills exactly this process; does nothing when it is gone, whoever has its number now.
///
/// # Errors
/// When the process is there and may not be killed.
pub fn kill(process: &ProcessIdentity) -> io::Result<()> {
    send(process, Signal::KILL).map(drop)
}

/// Kills exactly this process; `false` when it was gone already.
///
/// # Errors
/// When the process is there and may not be killed.
pub fn strike(process: &ProcessIdentity) -> io::Result<bool> {
    send(process, Signal::KILL)
}

/// Asks exactly this process to end (SIGTERM); `false` when it was gone already.
///
/// # Errors
/// When the process is there and may not be asked.
pub fn ask_to_end(process: &ProcessIdentity) -> io::Result<bool> {
    send(process, Signal::TERM)
}

/// Sends a signal to exactly this process; `false` when it is gone, whoever has its number now.
fn send(process: &ProcessIdentity, signal: Signal) -> io::Result<bool> {
    let Some(descriptor) = descriptor(process)? else { return Ok(false) };
    if has_ended(&descriptor) {
        return Ok(false);
    }
    match pidfd_send_signal(&descriptor, signal) {
        Err(Errno::SRCH) => Ok(false),
        other => Ok(other.map(|()| true)?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_itself_and_not_its_successor() {
        let pid = i32::try_from(std::process::id()).unwrap();
        let me = of_process("test", pid).unwrap();
        assert!(is_alive(&me));
        assert!(!is_alive(&ProcessIdentity { start_time: me.start_time + 1, ..me }));
    }

    #[test]
    fn only_the_very_process_is_killed() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let me = of_process("child", i32::try_from(child.id()).unwrap()).unwrap();
        kill(&ProcessIdentity { start_time: me.start_time + 1, ..me.clone() }).unwrap();
        assert!(is_alive(&me), "another process of that number was meant");
        assert!(!strike(&ProcessIdentity { start_time: me.start_time + 1, ..me.clone() }).unwrap());
        assert!(strike(&me).unwrap());
        assert!(!child.wait().unwrap().success());
        kill(&me).unwrap();
        assert!(!ask_to_end(&me).unwrap());
    }

    #[test]
    fn one_that_was_killed_is_ending_or_has_ended_at_once() {
        for _ in 0..50 {
            let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
            let me = of_process("child", i32::try_from(child.id()).unwrap()).unwrap();
            assert!(!is_ending(&me));
            kill(&me).unwrap();
            assert!(is_ending(&me) || !is_alive(&me));
            child.wait().unwrap();
            assert!(!is_ending(&me));
        }
    }

    #[test]
    fn a_zombie_is_not_alive() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
        while of_process("true", pid).is_some() {
            assert!(std::time::Instant::now() < deadline, "`true` did not end");
            std::thread::yield_now();
        }
        child.wait().unwrap();
    }
}
