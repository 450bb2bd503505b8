//! How large a file a process may write: `RLIMIT_FSIZE` of getrlimit(2), read and set from outside.

use std::fs;
use std::io;

use drdrill_core::environment::ProcessIdentity;
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde::{Deserialize, Serialize};

/// SIGXFSZ, number 25, in a set of signals.
const XFSZ: u64 = 1 << 24;

/// The limit, in bytes; `None` for no limit.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct FileLimit {
    /// What holds now. The process may raise it itself, to no more than `hard`.
    pub soft: Option<u64>,
    /// The most that it may be raised to.
    pub hard: Option<u64>,
}

impl FileLimit {
    /// The limit of exactly this process; `None` when it has ended.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn of(process: &ProcessIdentity) -> io::Result<Option<Self>> {
        let text = match fs::read_to_string(format!("/proc/{}/limits", process.pid)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            // ESRCH: it ended while its file was being read.
            Err(error) if error.raw_os_error() == Some(3) => return Ok(None),
            other => other?,
        };
        // Looked at last: what was read was about this process, or it has ended.
        if !drdrill_process::is_alive(process) {
            return Ok(None);
        }
        let limit = parse(&text);
        let absent = || io::Error::other(format!("no `{NAME}` in /proc/{}/limits", process.pid));
        limit.map(Some).ok_or_else(absent)
    }

    /// The same with nothing that may be written, which the process may end itself.
    pub(super) const fn refusing(self) -> Self {
        Self { soft: Some(0), ..self }
    }

    /// Sets the limit of exactly this process; `false` when it has ended.
    ///
    /// # Errors
    /// When it may not be set.
    pub fn set(self, process: &ProcessIdentity) -> io::Result<bool> {
        let Some(pid) = Pid::from_raw(process.pid) else { return Ok(false) };
        if !drdrill_process::is_alive(process) {
            return Ok(false);
        }
        let limit = Rlimit { current: self.soft, maximum: self.hard };
        match prlimit(Some(pid), Resource::Fsize, limit) {
            Err(rustix::io::Errno::SRCH) => Ok(false),
            other => Ok(other.map(|_| true)?),
        }
    }
}

const NAME: &str = "Max file size";

fn parse(limits: &str) -> Option<FileLimit> {
    let mut words = limits.lines().find_map(|line| line.strip_prefix(NAME))?.split_whitespace();
    let mut bound = || match words.next()? {
        "unlimited" => Some(None),
        number => number.parse().ok().map(Some),
    };
    Some(FileLimit { soft: bound()?, hard: bound()? })
}

/// Whether a process survives a write that its limit refuses: it ignores or handles SIGXFSZ, which otherwise ends it.
///
/// # Errors
/// When its status cannot be read.
pub fn survives_refusal(process: &ProcessIdentity) -> io::Result<bool> {
    let status = fs::read_to_string(format!("/proc/{}/status", process.pid))?;
    let mut sets = status.lines().filter_map(|line| {
        let set = line.strip_prefix("SigIgn:").or_else(|| line.strip_prefix("SigCgt:"))?;
        u64::from_str_radix(set.trim(), 16).ok()
    });
    Ok(sets.any(|set| set & XFSZ != 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_as_the_kernel_writes_them() {
        let text = "Limit                     Soft Limit           Hard Limit           Units     \n\
                    Max cpu time              unlimited            unlimited            seconds   \n\
                    Max file size             0                    unlimited            bytes     \n";
        assert_eq!(parse(text), Some(FileLimit { soft: Some(0), hard: None }));
        assert_eq!(parse("Max cpu time unlimited unlimited seconds"), None);
    }

    #[test]
    fn only_the_very_process_is_limited() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let me = drdrill_process::of_process("child", pid).unwrap();
        let other = ProcessIdentity { start_time: me.start_time + 1, ..me.clone() };
        let before = FileLimit::of(&me).unwrap().unwrap();
        let none = FileLimit { soft: Some(0), ..before };
        assert!(!none.set(&other).unwrap());
        assert_eq!(FileLimit::of(&me).unwrap(), Some(before));
        assert!(none.set(&me).unwrap());
        assert_eq!(FileLimit::of(&me).unwrap(), Some(none));
        assert!(before.set(&me).unwrap());
        assert_eq!(FileLimit::of(&me).unwrap(), Some(before));
        assert!(!survives_refusal(&me).unwrap(), "sleep does not care for SIGXFSZ");
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(FileLimit::of(&me).unwrap(), None);
        assert!(!none.set(&me).unwrap());
    }
}
