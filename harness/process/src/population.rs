//! The processes of a container, found by its first one.

use std::fs;
use std::io;
use std::path::PathBuf;

use drdrill_core::environment::ProcessIdentity;

/// A process, and where it is the first of a process namespace that is not ours, as that of a container is, all others of
/// that namespace; none when it has ended.
///
/// # Errors
/// When `/proc` cannot be read.
pub fn population(process: &ProcessIdentity) -> io::Result<Vec<ProcessIdentity>> {
    let mut all = vec![process.clone()];
    if let Some(home) = first_of(process.pid)? {
        for entry in fs::read_dir("/proc")? {
            let Ok(pid) = entry?.file_name().to_string_lossy().parse() else { continue };
            if pid == process.pid || namespace(pid).ok().as_ref() != Some(&home) {
                continue;
            }
            all.extend(crate::of_process(&process.node, pid));
        }
    }
    // Looked at last: what was found belongs to this very process, or it has ended.
    Ok(if crate::is_alive(process) { all } else { Vec::new() })
}

/// The process namespace that a process is the first one of, where that is not ours.
fn first_of(pid: i32) -> io::Result<Option<PathBuf>> {
    let status = match fs::read_to_string(format!("/proc/{pid}/status")) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        // ESRCH: it ended while its file was being read.
        Err(error) if error.raw_os_error() == Some(3) => return Ok(None),
        other => other?,
    };
    // Its number in each namespace, from the outermost on.
    let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:")).unwrap_or_default();
    if numbers.split_whitespace().next_back() != Some("1") {
        return Ok(None);
    }
    let Ok(home) = namespace(pid) else { return Ok(None) };
    let ours = fs::read_link("/proc/self/ns/pid")?;
    Ok((home != ours).then_some(home))
}

fn namespace(pid: i32) -> io::Result<PathBuf> {
    fs::read_link(format!("/proc/{pid}/ns/pid"))
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn a_process_of_our_own_namespace_is_alone() {
        let pid = i32::try_from(std::process::id()).unwrap();
        let me = crate::of_process("me", pid).unwrap();
        assert_eq!(population(&me).unwrap(), std::slice::from_ref(&me));
        let other = ProcessIdentity { start_time: me.start_time + 1, ..me };
        assert_eq!(population(&other).unwrap(), []);
    }

    #[test]
    fn the_first_process_of_a_namespace_brings_all_of_it() {
        let mut unshare = Command::new("unshare")
            .args(["--pid", "--fork", "--kill-child", "sh", "-c", "sleep 60 & sleep 61; :"])
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let children = format!("/proc/{0}/task/{0}/children", unshare.id());
        let give_up = Instant::now() + Duration::from_secs(10);
        let found = loop {
            let first = fs::read_to_string(&children).unwrap();
            let first = first.split_whitespace().next().and_then(|pid| pid.parse().ok());
            let first = first.and_then(|pid| crate::of_process("host", pid));
            let found = first.map(|first| population(&first).unwrap()).unwrap_or_default();
            // The shell and both of its children.
            if found.len() == 3 {
                break found;
            }
            assert!(Instant::now() < give_up, "{found:?}");
        };
        // One that is not the first stands for itself.
        assert_eq!(population(&found[1]).unwrap(), found[1..2]);
        unshare.kill().unwrap();
        unshare.wait().unwrap();
        while !population(&found[0]).unwrap().is_empty() {
            assert!(Instant::now() < give_up, "it outlives its parent");
        }
    }
}
