//! The threads of a process, as the kernel shows them.

use std::fs;
use std::io;

use drdrill_core::environment::ProcessIdentity;
use nix::unistd::Pid;

/// A thread.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Thread {
    /// Its id.
    pub(super) id: Pid,
    /// `R`, `S`, `D`, `T` (stopped by a signal), `t` (held by a tracer), `Z`, `X`.
    pub(super) state: char,
    /// The process that holds it; 0 when none does.
    pub(super) tracer: i32,
}

impl Thread {
    /// Whether it stands still.
    pub(super) const fn stands(self) -> bool {
        matches!(self.state, 'T' | 't')
    }
}

/// The threads of exactly this process, and where it is the first one of a container of all others in it, that have not
/// ended; none when it has.
pub(super) fn of(process: &ProcessIdentity) -> io::Result<Vec<Thread>> {
    let mut threads = Vec::new();
    for one in drdrill_process::population(process)? {
        threads.extend(of_one(&one)?);
    }
    Ok(threads)
}

fn of_one(process: &ProcessIdentity) -> io::Result<Vec<Thread>> {
    let tasks = match fs::read_dir(format!("/proc/{}/task", process.pid)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        // ESRCH: it ended while its directory was being opened.
        Err(error) if error.raw_os_error() == Some(3) => return Ok(Vec::new()),
        tasks => tasks?,
    };
    let mut threads = Vec::new();
    for task in tasks {
        let Ok(task) = task else { continue };
        let Ok(id) = task.file_name().to_string_lossy().parse() else { continue };
        // A thread that ends meanwhile is none.
        let Ok(status) = fs::read_to_string(format!("/proc/{}/task/{id}/status", process.pid))
        else {
            continue;
        };
        let word = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|line| line.split_whitespace().next())
        };
        let (Some(state), Some(tracer)) = (word("State:"), word("TracerPid:")) else { continue };
        let thread = Thread {
            id: Pid::from_raw(id),
            state: state.chars().next().unwrap_or('?'),
            tracer: tracer.parse().unwrap_or(0),
        };
        if !matches!(thread.state, 'Z' | 'X') {
            threads.push(thread);
        }
    }
    // Looked at after the threads: they were those of this process, or of none.
    Ok(if drdrill_process::is_alive(process) { threads } else { Vec::new() })
}
