//! A short drill on a network of its own.

use std::fs;
use std::process::Command;

use super::drill::Drill;
use super::net::{HUB, Net};
use super::sandbox::Sandbox;

/// Writes `cut.yaml`, a drill of about four seconds that injects this fault, and `net.yaml`, the environment.
pub(crate) fn write_files(sandbox: &Sandbox, net: &Net, inject: &str) {
    let scenario = format!(
        "\
scenario: cut
title: The network of a node
kind: simulated
targets: {{ rto: 1h }}
faults:
  - at: 1s
    inject: {{ {inject} }}
recovery: {{ failover: own, give_up_after: 2s }}
soak: 300ms
"
    );
    fs::write(sandbox.path("cut.yaml"), scenario).unwrap();
    fs::write(sandbox.path("net.yaml"), net.environment()).unwrap();
}

/// drdrill, which is started in the hub.
pub(crate) fn start_with(net: &Net, command: Command) -> Drill {
    net.namespace(HUB).run(|| Drill::start(command)).unwrap()
}
