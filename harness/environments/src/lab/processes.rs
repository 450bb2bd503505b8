//! Finding processes of a lab that nobody holds any more.

use std::fs;
use std::io;

use drdrill_core::environment::ProcessIdentity;

use super::node::MARK;

/// Processes that carry the mark of this run, except this one.
pub(super) fn marked(run_id: &str) -> io::Result<Vec<ProcessIdentity>> {
    let mark = format!("{MARK}={run_id}").into_bytes();
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let Ok(pid) = entry?.file_name().to_string_lossy().parse::<i32>() else { continue };
        // A process that ends meanwhile, or that is not ours to read, is none of the lab's.
        let Ok(environment) = fs::read(format!("/proc/{pid}/environ")) else { continue };
        let is_marked = environment.split(|&byte| byte == 0).any(|variable| variable == mark);
        if is_marked
            && i64::from(pid) != i64::from(std::process::id())
            && let Some(process) = drdrill_process::of_process(&format!("pid {pid}"), pid)
        {
            found.push(process);
        }
    }
    Ok(found)
}
