//! A backup plan of a test's own, and what drdrill says of it.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::sandbox::{Outcome, Sandbox};

/// A sandbox with a directory `nas` for backups and a `plan.yaml`.
pub(crate) struct Planned {
    pub(crate) sandbox: Sandbox,
}

impl Planned {
    /// A plan with these sources, each a line of YAML; `head` is what else it says.
    pub(crate) fn new(head: &str, sources: &[&str]) -> Self {
        let planned = Self { sandbox: Sandbox::new() };
        fs::create_dir(planned.path("nas")).unwrap();
        planned.plan(head, sources, &[]);
        planned
    }

    /// Writes the plan anew, with more destinations.
    pub(crate) fn plan(&self, head: &str, sources: &[&str], more: &[&str]) {
        let base = self.path("");
        let base = base.to_str().unwrap().trim_end_matches('/');
        let mut text = format!("backup: test\n{head}\nsources:\n");
        for source in sources {
            let _ = writeln!(text, "  - {}", source.replace("$DIR", base));
        }
        let nas =
            format!("{{ name: nas, media: disk, to: {{ directory: {{ path: {base}/nas }} }} }}");
        let _ = writeln!(text, "destinations:\n  - {nas}");
        for one in more {
            let _ = writeln!(text, "  - {}", one.replace("$DIR", base));
        }
        fs::write(self.path("plan.yaml"), text).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.sandbox.path(name)
    }

    /// Runs the plan; what it says as JSON.
    #[track_caller]
    pub(crate) fn back_up(&self, options: &str, code: i32) -> Value {
        let command = format!("backup run plan.yaml --format json {options}");
        json(&self.sandbox.run(&command).exits(code))
    }

    /// Verifies the plan; what it says as JSON.
    #[track_caller]
    pub(crate) fn verify(&self, code: i32) -> Value {
        json(&self.sandbox.run("backup verify plan.yaml --format json").exits(code))
    }

    /// Restores one source into a new directory.
    #[track_caller]
    pub(crate) fn restore(&self, to: &str, options: &str) -> PathBuf {
        self.sandbox.run(&format!("restore plan.yaml --to {to} {options}")).exits(0);
        self.path(to)
    }

    /// The names of the points in a destination that is a directory, oldest first.
    pub(crate) fn points(&self, destination: &str) -> Vec<String> {
        let own = self.path(destination).join("test");
        let Ok(entries) = fs::read_dir(own) else { return Vec::new() };
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }

    /// A file of a point.
    pub(crate) fn object(&self, point: &str, name: &str) -> PathBuf {
        self.path("nas").join("test").join(point).join(name)
    }
}

#[track_caller]
pub(crate) fn json(outcome: &Outcome) -> Value {
    serde_json::from_str(&outcome.stdout).unwrap_or_else(|error| panic!("{error}: {outcome:#?}"))
}

/// Runs a line of a shell in a directory, with the real programs.
#[track_caller]
pub(crate) fn sh(directory: &Path, line: &str) -> String {
    let output = std::process::Command::new("/bin/bash")
        .args(["-euo", "pipefail", "-c", line])
        .current_dir(directory)
        .output();
    let output = output.unwrap();
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}
