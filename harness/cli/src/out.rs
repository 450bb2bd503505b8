//! Writing to the terminal. A reader that went away is no reason to stop in the middle of a drill, so nothing here
//! panics or fails. Whatever goes out here has no known secret in it.

use std::io::{self, Write};

use drdrill_core::secret::redacted;
use drdrill_reports::escape;

/// Prints to standard output.
pub(crate) fn print(text: &str) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(redacted(text).as_bytes()).and_then(|()| out.flush());
}

/// Writes a report to standard output as it is: what a known secret was in is redacted in the evidence already. No drill
/// runs that could be stopped by it, and half a report is none; a reader that had enough went on purpose.
pub(crate) fn bytes(report: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(report).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
        _ => Ok(()),
    }
}

/// Prints a line to standard output.
pub(crate) fn line(text: &str) {
    print(&format!("{text}\n"));
}

/// Text that came from files or from the system under drill, made harmless for terminals and CI logs line by line.
pub(crate) fn harmless(text: &str) -> String {
    // Before it is escaped: what is escaped may not be recognised.
    let text = redacted(text);
    let lines = text.lines().map(escape::ci_log);
    lines.collect::<Vec<_>>().join("\n")
}

/// Prints a line to standard error.
pub(crate) fn error(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{}", redacted(text));
}

/// Prints a value as indented JSON.
pub(crate) fn json(value: &impl serde::Serialize) {
    // What is printed are our own records; they always become JSON.
    line(&serde_json::to_string_pretty(value).unwrap_or_default());
}
