//! Processes named so exactly that no later one can be mistaken for them.

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
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the name in parentheses and may contain anything, so count from its end.
    stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()
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
    let Some(descriptor) = descriptor(process)? else { return Ok(()) };
    match pidfd_send_signal(&descriptor, Signal::KILL) {
        Err(Errno::SRCH) => Ok(()),
        other => Ok(other?),
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
        kill(&me).unwrap();
        assert!(!child.wait().unwrap().success());
        kill(&me).unwrap();
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
