//! A whole drill in about five seconds: site loss, failover, failback.

use super::sandbox::Sandbox;

const SCENARIO: &str = "\
scenario: quick
title: A short loss of the primary site
kind: simulated
targets: { rto: 1h, rpo: 15min }
probes: { every: 50ms }
faults:
  - at: 1s
    inject: { site_loss: { on: primary } }
recovery: { failover: built_in, give_up_after: 20s }
verify: [application_availability, user_authentication, data_access, job_submission]
soak: 300ms
failback: { shift: [50%, 100%], hold: 300ms }
";

const ENVIRONMENT: &str = "\
environment: lab
provider: { lab: { replication_lag: 50ms } }
services:
  - name: store
    tier: 1
measure: { sustained: 500ms }
machinery:
  monitor: { interval: 200ms, timeout: 150ms, failures: 2, kinds: 2, both: true }
  step_timeout: 10s
";

/// Writes the files of the quick drill into the sandbox; returns the arguments that run it.
pub(crate) fn quick(sandbox: &Sandbox) -> String {
    quick_but(sandbox, "", "")
}

/// As [`quick`], with `from` replaced by `to` in the scenario.
pub(crate) fn quick_but(sandbox: &Sandbox, from: &str, to: &str) -> String {
    assert!(SCENARIO.contains(from));
    std::fs::write(sandbox.path("quick.yaml"), SCENARIO.replacen(from, to, 1)).unwrap();
    std::fs::write(sandbox.path("env.yaml"), ENVIRONMENT).unwrap();
    "run quick.yaml --env env.yaml".to_owned()
}
