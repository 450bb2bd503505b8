//! Zones within a site, and strategies for the DR site: what each costs when it is needed, counted without drdrill's help.
//!
//! A hot DR site loses nothing in two site losses; in more with `DRDRILL_HOT`, or by `just hot 20`.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support {
    pub(crate) mod drill;
    pub(crate) mod entries;
    pub(crate) mod number;
    pub(crate) mod quick;
    pub(crate) mod record;
    pub(crate) mod sandbox;
    pub(crate) mod stored;
    pub(crate) mod undisturbed;
    pub(crate) mod wait;
    pub(crate) mod world;
}

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;
use support::drill::Drill;
use support::entries::{acknowledged, events, writes};
use support::number::number_of;
use support::quick::{quick, quick_but};
use support::record::record;
use support::sandbox::Sandbox;
use support::stored::present;
use support::undisturbed::undisturbed;
use support::wait::alone;
use support::world::{nothing_is_left, processes};

const SITE: &str = "site_loss: { on: primary }";

/// The quick drill, in a lab with these settings, that loses something else than the site.
fn arguments(sandbox: &Sandbox, lab: &str, lost: &str) -> String {
    let run = if lost == SITE { quick(sandbox) } else { quick_but(sandbox, SITE, lost) };
    let env = sandbox.path("env.yaml");
    let text = fs::read_to_string(&env).unwrap();
    let usual = "lab: { replication_lag: 50ms }";
    assert!(text.contains(usual), "{text}");
    fs::write(&env, text.replace(usual, &format!("lab: {{ {lab} }}"))).unwrap();
    run
}

/// A drill that ended, its record, and what was written in it.
struct Ended {
    sandbox: Sandbox,
    record: Value,
    acknowledged: BTreeSet<u64>,
}

impl Ended {
    /// Runs it to its end with the databases kept.
    fn run(lab: &str, lost: &str, more: &str, code: i32) -> Self {
        let sandbox = Sandbox::new();
        let run = arguments(&sandbox, lab, lost);
        let outcome = sandbox.run(&format!("{run} {more} --set keep_data=kept --format json"));
        nothing_is_left(&sandbox);
        let outcome = outcome.exits(code);
        let acknowledged = acknowledged(&sandbox);
        Self { record: record(&outcome), sandbox, acknowledged }
    }

    fn lost(&self) -> &Value {
        &self.record["services"][0]["rpo"]["writes"]["lost"]
    }

    /// How many acknowledged writes a database lacks.
    fn lacks(&self, site: &str) -> usize {
        let database = self.sandbox.path("kept").join(site).join("site.db");
        self.acknowledged.difference(&present(&database)).count()
    }

    /// Time from the fault to the first acknowledgement of a write that came after it.
    fn acknowledged_after_the_fault(&self) -> Duration {
        let events = events(&self.sandbox);
        let fault = events.iter().find_map(|line| line["event"]["fault_in_effect"]["at"].as_u64());
        let after = writes(&events)
            .filter_map(|sample| sample["done"].as_u64().unwrap().checked_sub(fault.unwrap()));
        Duration::from_nanos(after.min().unwrap())
    }

    /// Whether a step of the machinery was done.
    fn did(&self, action: &str, site: &str) -> bool {
        self.record["steps"].as_array().unwrap().iter().any(|step| {
            step["action"] == action && step["site"] == site && step["outcome"] == "done"
        })
    }
}

const ZONE_A: &str = "zone_loss: { on: primary, zone: a }";
const ZONE_B: &str = "zone_loss: { on: primary, zone: b }";
const SYNCHRONOUS: &str = "zones: synchronous, replication_lag: 250ms";

#[test]
fn losing_the_zone_that_leads_loses_no_acknowledged_write() {
    undisturbed(|| {
        let ended = Ended::run(SYNCHRONOUS, ZONE_A, "--set failback=none", 0);
        assert_eq!(ended.record["faults"][0]["kind"], "zone_loss");
        assert_eq!(ended.record["faults"][0]["target"], "primary-a");
        assert!(ended.did("promote", "primary-b") && ended.did("follow", "dr"));
        assert!(ended.acknowledged.len() > 20, "{}", ended.acknowledged.len());
        assert_eq!((ended.lost(), ended.lacks("primary-b")), (&Value::from(0), 0));
        // The zone that was lost has none of those that came later: it is the other one that was read.
        assert!(ended.lacks("primary-a") > 0);
        assert_eq!(ended.record["split_brain"], Value::Array(Vec::new()));
    });
}

#[test]
fn after_the_way_back_all_three_copies_have_every_write() {
    undisturbed(|| {
        let ended = Ended::run(SYNCHRONOUS, ZONE_A, "", 0);
        assert_eq!(ended.record["services"][0]["rpo"]["failback_lost"], 0);
        assert!(ended.did("wait_for_standbys", "primary-a"));
        assert_eq!((ended.lost(), ended.lacks("primary-a")), (&Value::from(0), 0));
        assert_eq!(ended.lacks("primary-b"), 0, "nothing was acknowledged without it");
    });
}

#[test]
fn an_asynchronous_zone_costs_what_an_independent_reader_misses() {
    undisturbed(|| {
        let lab = "zones: asynchronous, replication_lag: 250ms";
        let ended = Ended::run(lab, ZONE_A, "--set failback=none --set targets.rpo=0s", 10);
        let lacks = ended.lacks("primary-b");
        assert!(lacks > 0, "with 250 ms of replication lag some are lost");
        assert_eq!(ended.lost(), lacks);
        assert_eq!(
            ended.record["services"][0]["rpo"]["writes"]["acknowledged"],
            ended.acknowledged.len()
        );
    });
}

#[test]
fn without_the_zone_that_stands_by_nothing_is_acknowledged_until_that_is_decided() {
    undisturbed(|| {
        let ended = Ended::run(SYNCHRONOUS, ZONE_B, "", 0);
        assert!(!ended.did("promote", "dr") && !ended.did("promote", "primary-b"));
        assert!(ended.did("wait_for_standbys", "primary-a"));
        assert_eq!((ended.lost(), ended.lacks("primary-a")), (&Value::from(0), 0));
        assert_eq!(ended.lacks("primary-b"), 0, "it came back and was waited for");
        // From the fault to the decision no write was acknowledged: two rounds of 200 ms.
        let gap = ended.acknowledged_after_the_fault();
        assert!(gap >= Duration::from_millis(200), "{gap:?}");
    });
}

#[test]
fn both_zones_lost_are_a_lost_site() {
    undisturbed(|| {
        let ended = Ended::run(SYNCHRONOUS, SITE, "--set failback=none", 0);
        assert!(ended.did("promote", "dr"));
        let proof = ended.record["faults"][0]["proof"].as_str().unwrap();
        assert!(
            proof.contains("primary-a/service") && proof.contains("primary-b/service"),
            "{proof}"
        );
        assert_eq!(ended.lost(), ended.lacks("dr"));
    });
}

#[test]
fn a_hot_dr_site_loses_nothing_in_any_site_loss() {
    for round in 1..=number_of("DRDRILL_HOT").unwrap_or(2) {
        undisturbed(|| {
            let lab = "strategy: hot, replication_lag: 250ms";
            let ended = Ended::run(lab, SITE, "--set failback=none", 0);
            assert!(ended.acknowledged.len() > 20, "{}", ended.acknowledged.len());
            assert_eq!((ended.lost(), ended.lacks("dr")), (&Value::from(0), 0), "round {round}");
            eprintln!("site loss {round}: 0 of {} acknowledged lost", ended.acknowledged.len());
        });
    }
}

/// The sites cannot talk; clients and machinery reach both.
const PARTITION: &str = "network_partition: { on: primary, from: dr }";

#[test]
fn a_hot_primary_that_cannot_reach_the_dr_site_gives_way_to_it_and_nothing_is_lost() {
    undisturbed(|| {
        let ended = Ended::run("strategy: hot", PARTITION, "", 0);
        assert!(ended.did("fence", "primary") && ended.did("promote", "dr"));
        assert_eq!(ended.record["split_brain"], Value::Array(Vec::new()));
        assert_eq!(
            (ended.lost(), ended.lacks("primary"), ended.lacks("dr")),
            (&Value::from(0), 0, 0)
        );
    });
}

#[test]
fn a_hot_primary_goes_on_alone_when_the_dr_site_is_lost() {
    undisturbed(|| {
        let ended = Ended::run("strategy: hot", "site_loss: { on: dr }", "", 0);
        assert!(!ended.did("promote", "dr"));
        assert_eq!(
            (ended.lost(), ended.lacks("primary"), ended.lacks("dr")),
            (&Value::from(0), 0, 0)
        );
    });
}

#[test]
fn of_two_that_decide_a_hot_primary_acknowledges_nothing_and_a_warm_one_splits() {
    for strategy in ["hot", "warm"] {
        undisturbed(|| {
            let sandbox = Sandbox::new();
            let run = arguments(&sandbox, &format!("strategy: {strategy}"), PARTITION);
            let env = sandbox.path("env.yaml");
            let text = fs::read_to_string(&env).unwrap();
            // It stands at the DR site, cannot tell the primary anything, and half of the clients stay there.
            let careless = "machinery:\n  at: dr\n  fence: if_reached\n  redirect: 50%\n";
            fs::write(&env, text.replace("machinery:\n", careless)).unwrap();
            let options = "--set failback=none --set give_up_after=4s --format json";
            let outcome = sandbox.run(&format!("{run} {options}"));
            nothing_is_left(&sandbox);
            let record = record(&outcome.exits(10));
            let promoted = record["steps"].as_array().unwrap().iter().any(|step| {
                step["action"] == "promote" && step["site"] == "dr" && step["outcome"] == "done"
            });
            assert!(promoted, "{strategy}: {}", record["steps"]);
            let split = !record["split_brain"].as_array().unwrap().is_empty();
            assert_eq!(split, strategy == "warm", "{strategy}: {}", record["reasons"]);
            let lost = record["services"][0]["rpo"]["writes"]["lost"].as_u64().unwrap();
            assert_eq!(lost > 0, strategy == "warm", "{strategy}: {lost} lost");
        });
    }
}

#[test]
fn every_other_strategy_loses_what_an_independent_reader_misses() {
    for strategy in ["warm", "pilot_light", "cold"] {
        undisturbed(|| {
            let lab = format!("strategy: {strategy}, replication_lag: 250ms, log_interval: 1s");
            let ended = Ended::run(&lab, SITE, "--set failback=none", 0);
            assert_eq!(ended.lost(), ended.lacks("dr"), "{strategy}");
            if strategy != "cold" {
                assert!(ended.lacks("dr") > 0, "{strategy}: with 250 ms of lag some are lost");
            }
            assert_eq!(ended.did("restore", "dr"), strategy == "cold", "{strategy}");
        });
    }
}

#[test]
fn damaged_data_is_restored_where_the_backups_are_the_only_copy() {
    undisturbed(|| {
        let sandbox = Sandbox::new();
        let outcome = sandbox.run(
            "run accidental_deletion --set strategy=cold --set soak=1s --set sustained=1s --set keep_data=kept \
             --format json",
        );
        nothing_is_left(&sandbox);
        let record = record(&outcome.exits(0));
        let steps = record["steps"].as_array().unwrap();
        assert!(steps.iter().any(|step| step["action"] == "restore" && step["outcome"] == "done"));
        assert!(
            !steps.iter().any(|step| step["action"] == "rebuild"),
            "there is no copy to rebuild"
        );
    });
}

const BOTH: &str = "strategy: active_active, replication_lag: 250ms";

#[test]
fn where_both_sites_take_writes_either_may_be_lost_with_what_it_had_not_sent() {
    for (lost, survivor) in [(SITE, "dr"), ("site_loss: { on: dr }", "primary")] {
        undisturbed(|| {
            let ended = Ended::run(BOTH, lost, "--set failback=none", 0);
            assert!(ended.did("promote", survivor), "{survivor}");
            let lacks = ended.lacks(survivor);
            assert!(lacks > 0, "with 250 ms of lag some are lost");
            assert_eq!(ended.lost(), lacks, "{survivor}");
            // The other half was taken by the survivor: fewer are lost than within the lag at one site.
            let before = ended.acknowledged.len();
            assert!(lacks < before / 2, "{lacks} of {before}");
            assert_eq!(ended.record["split_brain"], Value::Array(Vec::new()), "{survivor}");
        });
    }
}

#[test]
fn where_both_sites_take_writes_both_have_the_same_after_the_way_back() {
    for lost in [SITE, "site_loss: { on: dr }"] {
        undisturbed(|| {
            let ended = Ended::run(BOTH, lost, "", 0);
            assert!(ended.did("pair", if lost == SITE { "dr" } else { "primary" }));
            assert_eq!(ended.record["services"][0]["rpo"]["failback_lost"], 0);
            assert_eq!(ended.record["split_brain"], Value::Array(Vec::new()));
            assert_eq!(ended.lost(), ended.lacks("primary"), "{lost}");
            assert_eq!(ended.lost(), ended.lacks("dr"), "{lost}");
        });
    }
}

#[test]
fn on_the_way_back_every_strategy_stands_by_as_before() {
    for (strategy, action, site) in [
        ("hot", "wait_for_standbys", "primary"),
        ("pilot_light", "stand_down", "dr"),
        ("cold", "stand_down", "dr"),
    ] {
        undisturbed(|| {
            let ended = Ended::run(&format!("strategy: {strategy}"), SITE, "", 0);
            assert!(ended.did(action, site), "{strategy}");
            assert_eq!(ended.record["services"][0]["rpo"]["failback_lost"], 0, "{strategy}");
            assert_eq!(ended.lost(), ended.lacks("primary"), "{strategy}");
            if strategy == "hot" {
                assert_eq!(ended.lacks("dr"), 0, "nothing is acknowledged without it");
            }
        });
    }
}

#[test]
fn what_does_not_run_in_stand_by_does_not_run() {
    let _alone = alone();
    for (strategy, runs) in [("cold", 0), ("pilot_light", 1), ("hot", 4)] {
        let sandbox = Sandbox::new();
        let mut drill = Drill::start(sandbox.command(&arguments(
            &sandbox,
            &format!("strategy: {strategy}"),
            SITE,
        )));
        drill.says("baseline: ");
        let theirs = processes(&sandbox.state);
        let nodes = theirs.iter().filter(|(_, what)| what.contains("lab-node")).count();
        // Those of the primary site, the gateways of both regions and the bystander.
        assert_eq!(nodes, 4 + 3 + runs, "{strategy}: {theirs:?}");
        drill.signal(Signal::SIGKILL);
        drill.end();
        nothing_is_left(&sandbox);
    }
}

#[test]
fn killed_in_the_middle_nothing_of_any_lab_is_left() {
    let _alone = alone();
    for (lab, lost) in [
        (SYNCHRONOUS, ZONE_A),
        (SYNCHRONOUS, ZONE_B),
        ("strategy: hot", SITE),
        ("strategy: cold", SITE),
        ("strategy: pilot_light", SITE),
        (BOTH, SITE),
    ] {
        for moment in ["  in effect: ", "promote", "failback"] {
            if lost == ZONE_B && moment == "promote" {
                // Nobody is.
                continue;
            }
            let sandbox = Sandbox::new();
            let mut drill = Drill::start(sandbox.command(&arguments(&sandbox, lab, lost)));
            drill.says(moment).signal(Signal::SIGKILL);
            drill.end();
            nothing_is_left(&sandbox);
        }
    }
}

#[test]
fn zones_and_strategies_are_named_where_they_are_wrong() {
    let sandbox = Sandbox::new();
    for (lab, lost, code, words) in [
        ("strategy: tepid", SITE, 14, "tepid"),
        (
            "zones: synchronous, strategy: hot",
            SITE,
            14,
            "must be `warm` where the primary site has `zones`",
        ),
        (
            "zones: synchronous",
            "zone_loss: { on: primary, zone: c }",
            14,
            "no zone of primary named `c`",
        ),
        ("zones: synchronous", "zone_loss: { on: dr, zone: a }", 14, "no zone of dr named `a`"),
        ("strategy: warm", ZONE_A, 14, "there are none (of those that are shipped `lab_zones` has"),
        (
            "zones: synchronous",
            "process_kill: { on: primary, component: service }",
            14,
            "no process of primary named `service`; known, the nearest first: a-service, b-service",
        ),
        (BOTH, PARTITION, 13, "cannot run on lab, which cannot: cut sites off"),
        (
            "zones: synchronous",
            "data_deletion: { on: primary, rows: 1 }",
            13,
            "cannot run on lab, which cannot: damage data",
        ),
    ] {
        let run = arguments(&sandbox, lab, lost);
        let outcome = sandbox.run(&run).exits(code);
        assert!(outcome.stderr.contains(words), "{lab}, {lost}: {}", outcome.stderr);
    }
    let run = arguments(&sandbox, "strategy: warm", SITE);
    let outcome = sandbox.run(&format!("{run} --set strategy=tepid")).exits(2);
    assert!(outcome.stderr.contains("`tepid` is no strategy; known"), "{}", outcome.stderr);
}
