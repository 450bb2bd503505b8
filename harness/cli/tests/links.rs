//! Sites that cannot talk to each other, and a standby that gets nothing any more: who decides, what is lost, and what is
//! there again afterwards.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support {
    pub(crate) mod drill;
    pub(crate) mod entries;
    pub(crate) mod patient;
    pub(crate) mod quick;
    pub(crate) mod record;
    pub(crate) mod sandbox;
    pub(crate) mod stored;
    pub(crate) mod undisturbed;
    pub(crate) mod wait;
    pub(crate) mod world;
}

use std::fs;

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use support::drill::Drill;
use support::entries::acknowledged;
use support::patient::patient;
use support::quick::{quick, quick_but};
use support::record::record;
use support::sandbox::Sandbox;
use support::stored::present;
use support::undisturbed::undisturbed;
use support::world::{nothing_is_left, runs};

const LOSS: &str = "site_loss: { on: primary }";

/// The quick drill with a partition, during which the machinery has to hold back.
fn partitioned(sandbox: &Sandbox, inject: &str) -> String {
    let arguments = quick(sandbox);
    patient(sandbox);
    let scenario = fs::read_to_string(sandbox.path("quick.yaml")).unwrap();
    let scenario = scenario
        .replace(LOSS, inject)
        .replace("failover: built_in", "failover: refrain")
        // Longer than the rounds after which the machinery would fail over.
        .replace("soak: 300ms\nfailback: { shift: [50%, 100%], hold: 300ms }\n", "soak: 3s\n");
    fs::write(sandbox.path("quick.yaml"), scenario).unwrap();
    format!("{arguments} --set keep_data=kept --format json")
}

/// The machinery of the quick drill stands at the DR site and moves half of the clients.
fn stands_at_dr(sandbox: &Sandbox) {
    let environment = fs::read_to_string(sandbox.path("env.yaml")).unwrap();
    let environment = environment
        .replace("  step_timeout: 10s\n", "  step_timeout: 10s\n  at: dr\n  redirect: 50%\n");
    assert!(environment.contains("at: dr"));
    fs::write(sandbox.path("env.yaml"), environment).unwrap();
    let scenario = fs::read_to_string(sandbox.path("quick.yaml")).unwrap();
    let (before, after) = scenario.split_once("verify: [").unwrap();
    let (_, after) = after.split_once('\n').unwrap();
    // With two primaries the other functions work only by chance. Each call over a link that is gone takes a second.
    let scenario = format!("{before}verify: [application_availability]\n{after}");
    let scenario = scenario.replace("soak: 3s", "soak: 9s");
    fs::write(sandbox.path("quick.yaml"), scenario).unwrap();
}

fn finding<'a>(record: &'a Value, checker: &str) -> &'a Value {
    let found = record["findings"].as_array().unwrap().iter();
    found.clone().find(|one| one["checker"] == checker).unwrap()
}

#[test]
fn sites_that_cannot_talk_are_no_reason_to_fail_over_and_the_standby_catches_up() {
    for way in ["", ", way: in", ", way: out"] {
        undisturbed(|| {
            let sandbox = Sandbox::new();
            let inject = format!("network_partition: {{ on: primary, from: dr{way} }}");
            let outcome = sandbox.run(&partitioned(&sandbox, &inject)).exits(0);
            let record = record(&outcome);
            let fault = &record["faults"][0];
            assert_eq!(fault["belts"], json!(["journal"]));
            let proof = fault["proof"].as_str().unwrap();
            assert!(proof.contains("clients still reach dr, primary"), "{proof}");
            // Where what is asked arrives and the answer does not, the end of the connection still does.
            let silent = ["no answer within", "closed without an answer"];
            let silent = silent.map(|words| proof.matches(words).count());
            assert_eq!(silent.iter().sum::<usize>(), 6, "{proof}");
            assert_eq!(record["phases"]["decided_ms"], Value::Null, "{}", record["phases"]);
            assert_eq!(record["split_brain"], json!([]));
            let writes = &record["services"][0]["rpo"]["writes"];
            assert_eq!(writes["lost"], 0);
            let said = finding(&record, "split_brain")["message"].as_str().unwrap();
            let all = format!(
                "store: one site decided at a time: primary in epoch 1 ({} writes)",
                writes["acknowledged"]
            );
            assert_eq!(said, all);
            let step = &record["steps"][0];
            assert_eq!((&step["site"], &step["outcome"]), (&json!("dr"), &json!("done")), "{step}");
            let acknowledged = acknowledged(&sandbox);
            for site in ["primary", "dr"] {
                let there = present(&sandbox.path("kept").join(site).join("site.db"));
                assert!(there.is_superset(&acknowledged), "{site} lacks some");
            }
            nothing_is_left(&sandbox);
        });
    }
}

#[test]
fn a_standby_that_cannot_fence_makes_two_primaries_and_the_time_of_both_is_told() {
    for way in ["", ", way: in"] {
        undisturbed(|| {
            let sandbox = Sandbox::new();
            let inject = format!("network_partition: {{ on: primary, from: dr{way} }}");
            let arguments = partitioned(&sandbox, &inject).replace(" --format json", "");
            stands_at_dr(&sandbox);
            let outcome =
                sandbox.run(&format!("{arguments} --set failover=built_in --format json"));
            let record = record(&outcome.exits(10));
            let split = &record["split_brain"][0];
            let detail = split["detail"].as_str().unwrap();
            assert!(detail.starts_with("store: primary (epoch 1) acknowledged "), "{detail}");
            assert!(detail.contains("after dr (epoch 2) had acknowledged one"), "{detail}");
            let (from, to) = (split["from_ms"].as_f64().unwrap(), split["to_ms"].as_f64().unwrap());
            let failed_over = record["phases"]["failed_over_ms"].as_f64().unwrap();
            // For as long as both were asked: from about the failover to the end of the soak of 9 s.
            assert!(to - from >= 8_000.0 && from < failed_over + 1_000.0, "{split}, {failed_over}");
            assert_eq!(finding(&record, "split_brain")["severity"], "critical");
            assert!(record["reasons"].to_string().contains(detail), "{}", record["reasons"]);
            let fence = &record["steps"][0];
            assert_eq!((&fence["action"], &fence["outcome"]), (&json!("fence"), &json!("skipped")));
            let run = runs(&sandbox.state).pop_first().unwrap();
            let report = sandbox.state.join("runs").join(run).join("report.md");
            let report = fs::read_to_string(report).unwrap();
            assert!(report.contains("acknowledged one, from"), "{report}");
            // Each site has acknowledged writes that the other one does not have.
            let acknowledged = acknowledged(&sandbox);
            let [primary, dr] = ["primary", "dr"].map(|site| {
                let there = present(&sandbox.path("kept").join(site).join("site.db"));
                acknowledged
                    .intersection(&there)
                    .copied()
                    .collect::<std::collections::BTreeSet<_>>()
            });
            assert!(primary.difference(&dr).count() > 10 && dr.difference(&primary).count() > 10);
            nothing_is_left(&sandbox);
        });
    }
}

#[test]
fn a_fence_that_is_required_and_cannot_be_told_leaves_one_primary() {
    undisturbed(|| {
        let sandbox = Sandbox::new();
        let arguments = partitioned(&sandbox, "network_partition: { on: primary, from: dr }");
        stands_at_dr(&sandbox);
        let outcome = sandbox.run(&format!("{arguments} --set fence=required")).exits(0);
        let record = record(&outcome);
        assert!(record["phases"]["decided_ms"].is_number(), "{}", record["phases"]);
        assert_eq!(record["phases"]["failed_over_ms"], Value::Null);
        assert_eq!(record["split_brain"], json!([]));
        let reach = &record["steps"][0];
        assert_eq!((&reach["action"], &reach["outcome"]), (&json!("reach"), &json!("failed")));
        assert_eq!(record["services"][0]["rpo"]["writes"]["lost"], 0);
        nothing_is_left(&sandbox);
    });
}

#[test]
fn a_failover_that_was_not_wanted_fails_the_drill() {
    undisturbed(|| {
        let sandbox = Sandbox::new();
        let arguments = partitioned(&sandbox, "network_partition: { on: primary, from: dr }");
        stands_at_dr(&sandbox);
        let outcome = sandbox.run(&arguments).exits(10);
        let record = record(&outcome);
        let message = finding(&record, "refrained")["message"].as_str().unwrap();
        assert!(message.contains("although it had to hold back"), "{message}");
        nothing_is_left(&sandbox);
    });
}

#[test]
fn what_was_acknowledged_since_replication_stalled_is_lost_and_no_more() {
    undisturbed(|| {
        let sandbox = Sandbox::new();
        let limit = "replication_stall: { on: dr, from: primary, limit: 1s } }";
        let stall = format!("{limit}\n  - at: 1s\n    inject: {{ {LOSS}");
        let arguments = quick_but(&sandbox, LOSS, &stall);
        patient(&sandbox);
        let arguments =
            format!("{arguments} --set keep_data=kept --set failback=none --format json");
        let record = record(&sandbox.run(&arguments).exits(0));
        let faults = record["faults"].as_array().unwrap();
        let at = |fault: usize, name: &str| faults[fault][name].as_f64().unwrap();
        assert_eq!(
            (&faults[0]["kind"], &faults[1]["kind"]),
            (&json!("replication_stall"), &json!("site_loss"))
        );
        let lag = record["replication_lag_ms"].as_f64().unwrap();
        let stalled = at(1, "in_effect_ms") - at(0, "applied_ms");
        assert!(lag >= 1_000.0, "the lag before the loss, not that before the stall: {lag}");
        let rpo = &record["services"][0]["rpo"];
        // The first lost write was acknowledged within one interval of the probes after the last replicated one.
        assert!(rpo["at_least_ms"].as_f64().unwrap() >= 1_000.0 - 250.0, "{rpo}");
        // No older than the stall, the lag of 50 ms, a heartbeat and an interval before it.
        assert!(rpo["at_most_ms"].as_f64().unwrap() <= stalled + 500.0, "{rpo}, {stalled}");
        assert_eq!(
            rpo["lost_after_fault"], 0,
            "the primary site decided rightly while replication stalled"
        );
        assert_eq!(record["split_brain"], json!([]));
        let there = present(&sandbox.path("kept/dr/site.db"));
        let lost = acknowledged(&sandbox).difference(&there).count();
        assert_eq!(rpo["writes"]["lost"], lost);
        assert!(lost >= 5, "{lost}");
        nothing_is_left(&sandbox);
    });
}

#[test]
fn a_stall_that_lasts_too_long_misses_the_recovery_point_and_nothing_else() {
    undisturbed(|| {
        let sandbox = Sandbox::new();
        quick(&sandbox);
        patient(&sandbox);
        let arguments =
            "run replication_stalls_too_long --env env.yaml --set every=100ms --format json";
        let record = record(&sandbox.run(arguments).exits(10));
        let service = &record["services"][0];
        assert_eq!(
            (&service["rpo"]["verdict"], &service["rto"]["verdict"]),
            (&json!("fail"), &json!("pass"))
        );
        assert!(service["rpo"]["at_least_ms"].as_f64().unwrap() >= 3_800.0, "{}", service["rpo"]);
        assert!(record["replication_lag_ms"].as_f64().unwrap() >= 4_000.0);
        let reasons = record["reasons"].as_array().unwrap();
        assert!(reasons[0].as_str().unwrap().contains("acknowledged writes lost"), "{reasons:?}");
        assert_eq!(record["split_brain"], json!([]));
        nothing_is_left(&sandbox);
    });
}

#[test]
fn a_partition_that_the_lab_cannot_make_is_refused() {
    let sandbox = Sandbox::new();
    for (inject, said) in [
        ("network_partition: { on: primary }", "say from which site"),
        ("network_partition: { on: primary, from: primary }", "cut off from itself"),
        ("network_partition: { on: primary, from: dr, ports: [80] }", "leave `ports` out"),
        ("network_partition: { on: primary, from: dr, via: iptables }", "leave `via` out"),
        ("replication_stall: { on: dr, from: dr, limit: 1s }", "does not follow itself"),
        ("packet_loss: { on: primary, from: dr, share: 10% }", "cannot: drop packets of nodes"),
    ] {
        let arguments = quick_but(&sandbox, LOSS, inject);
        let outcome = sandbox.run(&arguments).exits(13);
        assert!(outcome.stderr.contains(said), "{inject}: {outcome:#?}");
    }
    let explained =
        quick_but(&sandbox, LOSS, "network_partition: { on: primary, from: dr, way: in }")
            .replacen("run", "explain", 1);
    let explained = sandbox.run(&explained).exits(0);
    assert!(explained.stdout.contains("cut off from dr (nothing arrives)"), "{explained:?}");
    assert!(
        explained.stdout.contains("data passes the links again, by the ledger"),
        "{explained:?}"
    );
}

#[test]
fn when_the_harness_is_killed_the_sites_talk_again_or_are_gone() {
    undisturbed(|| {
        let sandbox = Sandbox::new();
        for signal in [Signal::SIGKILL, Signal::SIGINT] {
            let arguments = partitioned(&sandbox, "network_partition: { on: primary, from: dr }");
            let mut drill = Drill::start(sandbox.command(&arguments));
            drill.says("in effect").signal(signal);
            drill.end();
            nothing_is_left(&sandbox);
        }
    });
}
