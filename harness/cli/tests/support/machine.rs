//! A short drill on a machine with two daemons.

use super::daemon::Daemon;

/// A drill of about four seconds that injects this fault.
pub(crate) fn scenario(inject: &str) -> String {
    format!(
        "\
scenario: end
title: A daemon ends
kind: simulated
targets: {{ rto: 1h }}
probes: {{ every: 100ms }}
faults:
  - at: 1s
    inject: {{ {inject} }}
recovery: {{ failover: own, give_up_after: 2s }}
soak: 300ms
"
    )
}

/// A daemon's entry in the environment file.
pub(crate) fn entry(daemon: &Daemon, name: &str, site: &str) -> String {
    format!(
        "      - {{ name: {name}, site: {site}, pid_file: {}, start: [{}], canary: \"{}\" }}\n",
        daemon.pid_file().display(),
        daemon.script().display(),
        daemon.address
    )
}

/// The environment file of a machine with these processes; clients call the daemon `db`, and `web` must not notice.
pub(crate) fn environment(db: &Daemon, web: &Daemon, processes: &str) -> String {
    let probe = |name: &str, purpose: &str, daemon: &Daemon| {
        let address = &daemon.address;
        format!(
            "      - {{ name: {name}, service: {name}, purpose: {purpose}, attempt: {{ tcp: {{ address: \"{address}\" }} }} }}\n"
        )
    };
    format!(
        "\
environment: machine
provider:
  host:
    probes:
{}{}    processes:
{processes}services: [{{ name: db, tier: 1 }}]
measure: {{ sustained: 500ms }}
",
        probe("db", "read", db),
        probe("web", "bystander", web)
    )
}
