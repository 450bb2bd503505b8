//! Processes that are never a target.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;

use drdrill_core::environment::ProcessIdentity;
use drdrill_core::process::{FoundBy, KnownProcess};

/// Why a process must not be struck; `None` when it may be.
///
/// # Errors
/// When `/proc` does not tell.
pub fn protected(
    process: &ProcessIdentity,
    known: &KnownProcess,
) -> io::Result<Option<&'static str>> {
    if process.pid <= 1 {
        return Ok(Some("the first process, without which nothing runs"));
    }
    if ancestors()?.contains(&process.pid) {
        return Ok(Some("drdrill itself or what runs it"));
    }
    // The lab's own processes are this program too, and are there to be struck.
    if known.found_by != FoundBy::Child && is_drdrill(process.pid) {
        return Ok(Some("a drdrill: a keeper, perhaps, or another drill"));
    }
    Ok(None)
}

/// This process and its ancestors.
fn ancestors() -> io::Result<Vec<i32>> {
    let mut all = Vec::new();
    let mut pid = i32::try_from(std::process::id()).unwrap_or(1);
    while pid > 1 {
        all.push(pid);
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let parent = status.lines().find_map(|line| line.strip_prefix("PPid:"));
        pid = parent.and_then(|parent| parent.trim().parse().ok()).unwrap_or(1);
    }
    Ok(all)
}

/// Whether a process runs the very program that this one does.
fn is_drdrill(pid: i32) -> bool {
    let program = |of: &str| {
        fs::metadata(format!("/proc/{of}/exe")).map(|facts| (facts.dev(), facts.ino())).ok()
    };
    let ours = program("self");
    ours.is_some() && program(&pid.to_string()) == ours
}
