//! Finding processes of a lab that nobody holds any more.

use std::io;

use drdrill_core::environment::ProcessIdentity;

use super::node::MARK;

/// Processes that carry the mark of this run, except this one.
pub(super) fn marked(run_id: &str) -> io::Result<Vec<ProcessIdentity>> {
    drdrill_process::marked(&format!("{MARK}={run_id}"))
}
