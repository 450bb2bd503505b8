//! Processes found by what stands in their environment: the way back to them when nobody knows their numbers.

use std::fs;
use std::io;

use drdrill_core::environment::ProcessIdentity;

use crate::of_process;

/// Processes that carry `mark`, written `NAME=VALUE`, in the environment they were started with, except this one.
///
/// # Errors
/// When `/proc` cannot be read.
pub fn marked(mark: &str) -> io::Result<Vec<ProcessIdentity>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let Ok(pid) = entry?.file_name().to_string_lossy().parse::<i32>() else { continue };
        // A process that ends meanwhile, or that is not ours to read, is none that we marked.
        let Ok(environment) = fs::read(format!("/proc/{pid}/environ")) else { continue };
        let mut variables = environment.split(|&byte| byte == 0);
        if variables.any(|variable| variable == mark.as_bytes())
            && i64::from(pid) != i64::from(std::process::id())
            && let Some(process) = of_process(&format!("pid {pid}"), pid)
        {
            found.push(process);
        }
    }
    Ok(found)
}

/// Processes of the group that `leader` began, itself among them: whoever may read nothing else of a process may read of
/// which group it is. `None` where the leader is gone and its number is somebody else's by now.
///
/// # Errors
/// When `/proc` cannot be read.
pub fn of_group(leader: &ProcessIdentity) -> io::Result<Option<Vec<ProcessIdentity>>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let Ok(pid) = entry?.file_name().to_string_lossy().parse::<i32>() else { continue };
        let group = crate::stat_field(pid, 5);
        if group == u64::try_from(leader.pid).ok()
            && let Some(process) = of_process(&format!("pid {pid}"), pid)
        {
            found.push(process);
        }
    }
    // Looked at last: the number of a group is nobody else's for as long as anybody is in it.
    let theirs = crate::start_time(leader.pid).is_some_and(|start| start != leader.start_time);
    Ok((!theirs).then_some(found))
}
