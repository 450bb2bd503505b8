//! Parts of a site that fail while the rest of it works: storage that takes no writes, logins that nobody checks.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support {
    pub(crate) mod drill;
    pub(crate) mod patient;
    pub(crate) mod quick;
    pub(crate) mod record;
    pub(crate) mod sandbox;
    pub(crate) mod undisturbed;
    pub(crate) mod wait;
    pub(crate) mod world;
}

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use support::drill::Drill;
use support::patient::patient;
use support::quick::{quick, quick_but};
use support::record::record;
use support::sandbox::Sandbox;
use support::undisturbed::undisturbed;
use support::wait::until;
use support::world::{nothing_is_left, processes, runs};

const LOSS: &str = "site_loss: { on: primary }";
const READ_ONLY: &str = "storage_read_only: { on: primary, component: service }";

/// Kinds of health checks that failed in the only run.
fn failed_kinds(sandbox: &Sandbox) -> BTreeSet<String> {
    let run = runs(&sandbox.state).pop_first().unwrap();
    let history = sandbox.state.join("runs").join(run).join("events.jsonl");
    let text = fs::read_to_string(history).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines
        .map(|line| line["event"]["health_check_failed"].clone())
        // On a busy machine any look may be late.
        .filter(|failed| failed.is_object() && failed["detail"] != "no answer in time")
        .map(|failed| failed["kind"].as_str().unwrap().to_owned())
        .collect()
}

/// The stream of that name.
fn stream<'a>(record: &'a Value, name: &str) -> &'a Value {
    let streams = record["services"][0]["streams"].as_array().unwrap();
    streams.iter().find(|stream| stream["name"] == name).unwrap()
}

/// Clients could not be served before the third round of health checks, a second after the first one that failed.
#[track_caller]
fn the_outage_lasted_until_it_was_decided(record: &Value) {
    let at = |name: &str| record["phases"][name].as_f64().unwrap();
    let decided = at("decided_ms") - at("fault_ms");
    assert!(decided >= 900.0, "{}", record["phases"]);
    let rto = &record["services"][0]["rto"];
    assert!(rto["at_most_ms"].as_f64().unwrap() >= decided, "{rto}");
}

#[test]
fn storage_that_takes_no_writes_is_noticed_and_failed_over_while_reads_go_on() {
    undisturbed(|| {
        let sandbox = Sandbox::new();
        let arguments = format!("{} --format json", quick_but(&sandbox, LOSS, READ_ONLY));
        patient(&sandbox);
        let record = record(&sandbox.run(&arguments).exits(0));
        let proof = record["faults"][0]["proof"].as_str().unwrap();
        assert!(
            proof.contains("primary/service (pid ") && proof.contains("its database: "),
            "{proof}"
        );
        let kinds = failed_kinds(&sandbox);
        assert_eq!(kinds, ["database", "service"].map(str::to_owned).into(), "{kinds:?}");
        assert!(record["phases"]["failed_over_ms"].is_number(), "{}", record["phases"]);
        assert!(stream(&record, "write")["outage"].is_object(), "{}", record["services"]);
        the_outage_lasted_until_it_was_decided(&record);
        assert_eq!(record["split_brain"], json!([]));
        nothing_is_left(&sandbox);
    });
}

#[test]
fn logins_that_nobody_checks_are_noticed_and_failed_over_while_data_access_goes_on() {
    undisturbed(|| {
        let sandbox = Sandbox::new();
        let kill = "process_kill: { on: primary, component: auth }";
        let arguments = format!("{} --format json", quick(&sandbox));
        patient(&sandbox);
        let scenario = fs::read_to_string(sandbox.path("quick.yaml")).unwrap();
        let scenario =
            scenario.replace("every: 100ms", "every: 100ms, also: [login]").replace(LOSS, kill);
        fs::write(sandbox.path("quick.yaml"), scenario).unwrap();
        let record = record(&sandbox.run(&arguments).exits(0));
        let kinds = failed_kinds(&sandbox);
        assert_eq!(kinds, ["login", "service"].map(str::to_owned).into(), "{kinds:?}");
        assert!(record["phases"]["failed_over_ms"].is_number(), "{}", record["phases"]);
        assert!(stream(&record, "login")["outage"].is_object(), "{}", record["services"]);
        the_outage_lasted_until_it_was_decided(&record);
        let proof = record["faults"][0]["proof"].as_str().unwrap();
        assert!(
            proof.contains("primary/auth (pid ") && proof.contains("Connection refused"),
            "{proof}"
        );
        assert!(proof.contains("still running: primary/service"), "{proof}");
        nothing_is_left(&sandbox);
    });
}

#[test]
fn what_works_all_along_is_no_recovery_of_what_does_not() {
    for (arguments, broken) in
        [("storage_read_only_nobody_fails_over", "write"), ("auth_down_nobody_fails_over", "login")]
    {
        undisturbed(|| {
            let sandbox = Sandbox::new();
            let arguments =
                format!("run {arguments} --set give_up_after=3s --set every=100ms --format json");
            let record = record(&sandbox.run(&arguments).exits(10));
            let rto = &record["services"][0]["rto"];
            assert_eq!(
                (&rto["verdict"], &rto["at_most_ms"]),
                (&json!("fail"), &Value::Null),
                "{rto}"
            );
            assert!(rto["at_least_ms"].as_f64().unwrap() >= 2_900.0, "{rto}");
            assert_eq!(stream(&record, broken)["outage"]["at_most_ms"], Value::Null);
            assert_eq!(stream(&record, "read")["outage"], Value::Null, "reads go on");
            nothing_is_left(&sandbox);
        });
    }
}

#[test]
fn a_stream_that_is_not_offered_is_answered_with_those_that_are() {
    let sandbox = Sandbox::new();
    quick_but(&sandbox, "every: 50ms", "every: 50ms, also: [logins]");
    let outcome = sandbox.run("run quick.yaml --env env.yaml").exits(14);
    assert!(
        outcome.stderr.contains("no optional probe `logins`; known, the nearest first: login"),
        "{outcome:?}"
    );
}

/// The limits of file sizes of the services of labs, as the kernel tells them.
fn limits(sandbox: &Sandbox) -> Vec<String> {
    let services =
        processes(&sandbox.state).into_iter().filter(|(_, what)| what.contains("lab-node service"));
    let limits =
        services.filter_map(|(pid, _)| fs::read_to_string(format!("/proc/{pid}/limits")).ok());
    let line = |limits: String| {
        let line = limits.lines().find_map(|line| line.strip_prefix("Max file size"));
        line.unwrap().split_whitespace().next().unwrap().to_owned()
    };
    limits.map(line).collect()
}

#[test]
fn an_interrupted_drill_lets_write_again_before_it_ends() {
    undisturbed(|| {
        let sandbox = Sandbox::new();
        for signal in [Signal::SIGINT, Signal::SIGKILL] {
            let mut drill = Drill::start(sandbox.command(&quick_but(&sandbox, LOSS, READ_ONLY)));
            drill.says("in effect");
            assert_eq!(limits(&sandbox).iter().filter(|limit| *limit == "0").count(), 1);
            drill.signal(signal);
            until("nobody is limited", Duration::from_secs(10), || {
                limits(&sandbox).iter().all(|limit| limit != "0").then_some(())
            });
            drill.end();
            nothing_is_left(&sandbox);
        }
    });
}
