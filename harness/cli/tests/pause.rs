//! A site that stands still: noticed, failed over, and awake again however drdrill ends.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support {
    pub(crate) mod drill;
    pub(crate) mod quick;
    pub(crate) mod sandbox;
    pub(crate) mod undisturbed;
    pub(crate) mod wait;
    pub(crate) mod world;
}

use std::fs;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use support::drill::Drill;
use support::quick::quick;
use support::sandbox::Sandbox;
use support::undisturbed::undisturbed;
use support::wait::until;
use support::world::{nothing_is_left, processes};

/// The command line of the quick drill with the primary site paused instead of lost.
fn paused(sandbox: &Sandbox, max_targets: u32) -> String {
    let arguments = quick(sandbox);
    let scenario = fs::read_to_string(sandbox.path("quick.yaml")).unwrap();
    let pause = format!("process_pause: {{ on: primary, max_targets: {max_targets} }}");
    let scenario = scenario.replace("site_loss: { on: primary }", &pause);
    fs::write(sandbox.path("quick.yaml"), scenario).unwrap();
    arguments
}

/// The tracers of the lab's processes that are held.
fn tracers(sandbox: &Sandbox) -> Vec<Pid> {
    let status = |pid: i32| fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let all = processes(&sandbox.state).into_iter().map(|(pid, _)| status(pid));
    let held = all.filter(|status| status.contains("State:\tt"));
    let tracer = |status: String| {
        let line = status.lines().find_map(|line| line.strip_prefix("TracerPid:"));
        Pid::from_raw(line.unwrap().trim().parse().unwrap())
    };
    held.map(tracer).collect()
}

/// How many processes of the lab are held.
fn held(sandbox: &Sandbox) -> usize {
    tracers(sandbox).len()
}

#[test]
fn a_site_that_stands_still_is_failed_over_and_wakes_up_as_nobody() {
    undisturbed(|| {
        let sandbox = Sandbox::new();
        let arguments = format!("{} --format json", paused(&sandbox, 20));
        let outcome = sandbox.run(&arguments).exits(0);
        let record: Value = serde_json::from_str(&outcome.stdout).unwrap();
        let fault = &record["faults"][0];
        assert_eq!(fault["kind"], "process_pause");
        assert_eq!(fault["belts"], serde_json::json!(["kernel", "journal"]));
        assert!(fault["proof"].as_str().unwrap().contains("threads held"), "{fault}");
        assert!(record["phases"]["failed_over_ms"].is_number(), "{}", record["phases"]);
        assert_eq!(record["split_brain"], serde_json::json!([]));
        nothing_is_left(&sandbox);
    });
}

#[test]
fn more_processes_than_are_meant_are_left_alone() {
    undisturbed(|| {
        let sandbox = Sandbox::new();
        let arguments = format!("{} --format json", paused(&sandbox, 1));
        let outcome = sandbox.run(&arguments).exits(11);
        assert!(!outcome.stderr.contains("in effect"), "{}", outcome.stderr);
        let record: Value = serde_json::from_str(&outcome.stdout).unwrap();
        assert!(
            record["reasons"].to_string().contains("but max_targets is 1"),
            "{}",
            record["reasons"]
        );
        assert_eq!(record["services"][0]["samples"]["failed"], 0, "{}", record["services"]);
        nothing_is_left(&sandbox);
    });
}

#[test]
fn a_fault_that_ends_by_itself_proves_nothing() {
    undisturbed(|| {
        let sandbox = Sandbox::new();
        let arguments = format!("{} --format json", paused(&sandbox, 20));
        let mut drill = Drill::start(sandbox.command(&arguments));
        drill.says("works  application_availability");
        kill(tracers(&sandbox)[0], Signal::SIGKILL).unwrap();
        let outcome = drill.end().exits(11);
        let record: Value = serde_json::from_str(&outcome.stdout).unwrap();
        let reasons = record["reasons"].to_string();
        assert!(reasons.contains("ended before it was taken back"), "{reasons}");
        nothing_is_left(&sandbox);
    });
}

#[test]
fn when_the_harness_is_killed_what_it_held_runs_on() {
    undisturbed(|| {
        let sandbox = Sandbox::new();
        for pause in [0, 150, 400] {
            let mut drill = Drill::start(sandbox.command(&paused(&sandbox, 20)));
            drill.says("in effect");
            assert!(held(&sandbox) > 0);
            std::thread::sleep(Duration::from_millis(pause));
            drill.signal(Signal::SIGKILL);
            until("nothing is held", Duration::from_secs(2), || {
                (held(&sandbox) == 0).then_some(())
            });
            drill.end();
            nothing_is_left(&sandbox);
        }
    });
}
