//! Signals that must not end a program.

use nix::sys::signal::Signal;
use tokio::signal::unix::{SignalKind, signal};

use super::LabError;

/// Makes a write that a limit of file sizes refuses an error of that write, as databases do: unhandled, SIGXFSZ would end
/// the process. The handler stays for the life of the process.
pub(crate) fn survive_refused_writes() -> Result<(), LabError> {
    signal(SignalKind::from_raw(Signal::SIGXFSZ as i32))
        .map(drop)
        .map_err(LabError::io("handle SIGXFSZ"))
}
