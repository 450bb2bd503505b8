//! A short drill that fills a disk.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use super::sandbox::Sandbox;

/// Writes `full.yaml`, a drill of about four seconds that injects this fault, and `env.yaml`, a machine with one directory
/// and a service at `address`. `at_most` is what else is said of the directory.
pub(crate) fn write_full_files(
    sandbox: &Sandbox,
    directory: &Path,
    address: SocketAddr,
    inject: &str,
    at_most: &str,
) {
    let scenario = format!(
        "\
scenario: full
title: A disk is full
kind: simulated
targets: {{ rto: 1h }}
faults:
  - at: 1s
    inject: {{ {inject} }}
recovery: {{ failover: own, give_up_after: 2s }}
soak: 300ms
"
    );
    let path = directory.display();
    let environment = format!(
        "\
environment: machine
provider:
  host:
    probes:
      - {{ name: db, service: db, attempt: {{ tcp: {{ address: \"{address}\" }} }} }}
    directories:
      - {{ name: data, site: primary, path: {path}{at_most} }}
services: [{{ name: db, tier: 1 }}]
measure: {{ sustained: 500ms }}
"
    );
    fs::write(sandbox.path("full.yaml"), scenario).unwrap();
    fs::write(sandbox.path("env.yaml"), environment).unwrap();
}
