//! The quick drill with more patience, for what takes place while other builds use the machine: a health monitor that is
//! not alarmed by one late answer, and probes whose own lateness is no error.

use std::fs;

use super::sandbox::Sandbox;

/// Makes the files of the quick drill patient.
pub(crate) fn patient(sandbox: &Sandbox) {
    for (file, from, to) in [
        (
            "env.yaml",
            "interval: 200ms, timeout: 150ms, failures: 2",
            // Of three rounds the first may come at once and the last comes a second later.
            "interval: 500ms, timeout: 3s, failures: 3",
        ),
        ("quick.yaml", "every: 50ms", "every: 100ms"),
    ] {
        let text = fs::read_to_string(sandbox.path(file)).unwrap();
        assert!(text.contains(from), "{text}");
        fs::write(sandbox.path(file), text.replace(from, to)).unwrap();
    }
}
