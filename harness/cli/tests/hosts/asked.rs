//! Hosts that are asked to end.

use crate::support::drill::Drill;
use crate::support::record::record;
use crate::support::undisturbed::undisturbed;
use crate::{all_is_gone, ready, run_of};

#[test]
fn hosts_that_are_asked_to_end_do_and_come_back() {
    undisturbed(|| {
        let sandbox = ready();
        let text = "\
scenario: asked
title: The hosts of the primary site are asked to end
kind: simulated
targets: { rto: 1h }
probes: { every: 50ms, deadline: 900ms }
faults:
  - at: 1s
    inject: { process_stop: { on: primary, max_targets: 5 } }
recovery: { failover: none, give_up_after: 1s }
soak: 200ms
";
        std::fs::write(sandbox.path("asked.yaml"), text).unwrap();
        let mut drill = Drill::start(sandbox.command("run asked.yaml --env docker --format json"));
        drill.says("baseline: ");
        let run = run_of(&sandbox);
        let outcome = drill.end();
        all_is_gone(&sandbox, &run);
        let record = record(&outcome);
        let faults = record["faults"].as_array().unwrap();
        assert!(faults.len() == 1 && faults[0]["in_effect_ms"].is_number(), "{record:#}");
        assert!(faults[0]["reverted_ms"].is_number(), "{record:#}");
    });
}
