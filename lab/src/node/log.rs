//! The log: lines on standard error.

use std::fmt::Display;
use std::io::{self, Write};

use super::now_ms;

/// Writes one line to standard error; a closed one is no reason to stop.
pub(crate) fn log(program: &str, message: impl Display) {
    let at_ms = now_ms();
    // In one piece, so that lines of several programs do not mix on a shared standard error.
    let line = format!("{at_ms} {program}: {message}\n");
    let _ = io::stderr().lock().write_all(line.as_bytes());
}
