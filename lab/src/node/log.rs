//! The log: lines on standard error.

use std::fmt::Display;
use std::io::{self, Write};

use super::now_ms;

/// Writes one line to standard error; a closed one is no reason to stop.
pub(crate) fn log(program: &str, message: impl Display) {
    let at_ms = now_ms();
    let _ = writeln!(io::stderr().lock(), "{at_ms} {program}: {message}");
}
