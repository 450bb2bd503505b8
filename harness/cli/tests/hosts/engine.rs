//! A container engine that dies in the middle of a drill, and one that hangs.

use std::fs;

use crate::support::among::among_others;
use crate::support::drill::Drill;
use crate::support::engine_at::{EngineAt, Is};
use crate::support::record::record;
use crate::{all_is_gone, of_engine, ready, run_of};

/// A drill whose fault can only be taken back by the engine, which starts the container again.
const DRILL: &str = "scenario: worker_killed
title: The worker of the DR site is killed
kind: simulated
tags: [process]
probes: { every: 50ms, deadline: 900ms }
faults:
  - at: 1s
    inject: { process_kill: { on: dr, component: worker } }
recovery: { failover: refrain, give_up_after: 1min }
soak: 1s
";

#[test]
fn an_engine_that_dies_in_a_drill_leaves_what_recover_removes_when_it_is_back() {
    let _among = among_others();
    let sandbox = ready();
    let engine = EngineAt::new(&sandbox.path("engine.sock"));
    fs::write(sandbox.path("worker.yaml"), DRILL).unwrap();
    let mut command = sandbox.command("run worker.yaml --env docker --format json");
    command.env("DOCKER_HOST", engine.address());
    let mut drill = Drill::start(command);
    drill.says("  in effect: ");
    let run = run_of(&sandbox);
    engine.becomes(Is::Dead);
    let outcome = drill.end().exits(12);
    assert!(outcome.stderr.contains("the container engine does not answer"), "{outcome:?}");
    let left = record(&outcome)["leftovers"].to_string();
    assert!(left.contains(r#""kind":"environment""#), "{left}");
    // What is known is kept, and is what it was.
    sandbox.run("verify").exits(0);
    assert!(!of_engine(&run).is_empty());
    // Without a word where the engine is: the ledger knows, and believes no other one.
    engine.becomes(Is::Hanging);
    let still = sandbox.run("recover").exits(12);
    assert!(still.stdout.contains("no container engine answers at unix://"), "{still:?}");
    engine.becomes(Is::There);
    sandbox.run("recover").exits(0);
    all_is_gone(&sandbox, &run);
}
