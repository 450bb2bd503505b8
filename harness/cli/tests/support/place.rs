//! A drill of a network fault that passes, in a place of its own.

use std::fs::{self, File};
use std::io::BufReader;
use std::path::PathBuf;
use std::process::Command;

use drdrill_reports::evidence::read_chain;

use super::net::{APP, DB, HUB, Net};
use super::sandbox::Sandbox;
use super::strace::in_network_of;
use super::world::nothing_is_left;

/// A drill that passes: what is cut off is not what clients see.
pub(crate) const SCENARIO: &str = "\
scenario: cut
title: Two nodes cannot reach each other
kind: simulated
targets: { rto: 1h }
faults:
  - at: 1s
    inject: { network_partition: { on: primary, from: dr, ports: [5432] } }
recovery: { failover: own, give_up_after: 2s }
soak: 100ms
";

/// A drill in a place of its own.
pub(crate) struct Place {
    pub(crate) sandbox: Sandbox,
    pub(crate) net: Net,
}

impl Place {
    pub(crate) fn new() -> Self {
        let (sandbox, net) = (Sandbox::new(), Net::new());
        fs::write(sandbox.path("cut.yaml"), SCENARIO).unwrap();
        fs::write(sandbox.path("net.yaml"), net.environment()).unwrap();
        Self { sandbox, net }
    }

    pub(crate) fn hub(&self) -> Vec<String> {
        in_network_of(self.net.process(HUB))
    }

    pub(crate) fn run(&self) -> Command {
        self.sandbox.command("run cut.yaml --env net.yaml")
    }

    /// The run's directory; `None` when it never began.
    pub(crate) fn run_dir(&self) -> Option<PathBuf> {
        let runs = fs::read_dir(self.sandbox.state.join("runs")).into_iter().flatten();
        runs.map(|run| run.unwrap().path()).max()
    }

    /// Nothing is in place, and `recover` knows of nothing, at the latest when it looks again.
    #[track_caller]
    pub(crate) fn nothing_is_left(&self, what: &str) {
        assert!(self.net.ruleset(DB).is_empty(), "{what}: {}", self.net.ruleset(DB));
        assert!(self.net.reaches(APP, DB) && self.net.reaches(HUB, DB), "{what}");
        nothing_is_left(&self.sandbox);
    }

    /// The history on disk is the beginning of what was to be written, and has all that was acknowledged.
    #[track_caller]
    pub(crate) fn history_holds(&self, acknowledged: u64, what: &str) {
        let Some(events) = self.run_dir().map(|dir| dir.join("events.jsonl")) else {
            assert_eq!(acknowledged, 0, "{what}: the history is gone");
            return;
        };
        let Ok(file) = File::open(&events) else {
            assert_eq!(acknowledged, 0, "{what}: {} is gone", events.display());
            return;
        };
        let bytes = file.metadata().unwrap().len();
        assert!(bytes >= acknowledged, "{what}: {bytes} bytes of {acknowledged} acknowledged");
        let chain =
            read_chain(BufReader::new(file)).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert!(chain.head.lines > 0, "{what}: not one whole line");
    }
}
