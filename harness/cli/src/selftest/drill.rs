//! Real drills in the lab, by this program in a process of its own.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use super::Defect;
use crate::exit::Code;

/// A loss of the primary site that is over in seconds and passes.
const SCENARIO: &str = "\
scenario: selftest
title: A short loss of the primary site
kind: simulated
targets: { rto: 1h, rpo: 15min }
probes: { also: [registers, bank] }
faults: [{ at: 1s, inject: { site_loss: { on: primary } } }]
recovery: { failover: built_in, give_up_after: 20s }
verify: [application_availability, data_access]
soak: 300ms
";

/// A lab that notices quickly. Its proxies can be gone past, so that no fault of the network has an effect.
fn environment(bypass: bool) -> String {
    format!(
        "\
environment: selftest
provider: {{ lab: {{ replication_lag: 50ms, bypass_proxies: {bypass}, keep_data: kept, backup_interval: 1s }} }}
services: [{{ name: store, tier: 1 }}]
measure: {{ sustained: 500ms }}
machinery:
  monitor: {{ interval: 200ms, timeout: 150ms, failures: 2, kinds: 2, both: true }}
  step_timeout: 10s
"
    )
}

/// Where the backups of the primary site are after a drill of that name.
pub(crate) fn backups(dir: &Path, name: &str) -> PathBuf {
    dir.join(name).join("kept/backups/primary")
}

/// Runs the drill; returns what it said and the directory of its evidence, where there is one.
pub(crate) fn run(
    dir: &Path,
    name: &str,
    bypass: bool,
    inject: &str,
) -> io::Result<(Output, Option<PathBuf>)> {
    let dir = dir.join(name);
    fs::create_dir(&dir)?;
    let scenario = SCENARIO.replace("site_loss: { on: primary }", inject);
    fs::write(dir.join("scenario.yaml"), scenario)?;
    fs::write(dir.join("environment.yaml"), environment(bypass))?;
    let state = dir.join("state");
    let output = Command::new(std::env::current_exe()?)
        .args(["run", "scenario.yaml", "--env", "environment.yaml", "--format", "json", "--state"])
        .arg(&state)
        .current_dir(&dir)
        .stdin(Stdio::null())
        .output()?;
    let mut runs = fs::read_dir(state.join("runs")).into_iter().flatten();
    Ok((output, runs.next().transpose()?.map(|entry| entry.path())))
}

/// A fault that hits nothing.
///
/// # Errors
/// When the drill cannot be run.
pub(crate) fn fault_that_does_nothing(dir: &Path) -> io::Result<Defect> {
    let (output, _) = run(dir, "bypass", true, "network_down: { on: primary }")?;
    let caught = output.status.code() == Some(Code::Unknown as i32);
    let said = String::from_utf8_lossy(&output.stdout);
    let verdict = said.lines().find(|line| line.trim_start().starts_with("\"verdict\""));
    let seen = format!("{}, {}", output.status, verdict.unwrap_or("no verdict").trim());
    Ok(Defect::new("a fault that does nothing", caught, seen))
}
