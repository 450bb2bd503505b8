//! Whoever interrupts a drill, and whenever: everything is put back, and the drill does not pass.

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
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use serde_json::Value;
use support::drill::Drill;
use support::quick::{quick, quick_but};
use support::sandbox::{Outcome, Sandbox};
use support::undisturbed::undisturbed;
use support::world::{nothing_is_left, runs};

/// An interrupted drill has put everything back so long after the signal.
///
/// Source: undo-and-security goals, R9.
const UNDONE: Duration = Duration::from_secs(5);

/// The record of the only run.
fn record(sandbox: &Sandbox) -> Value {
    let runs = runs(&sandbox.state);
    assert_eq!(runs.len(), 1, "{runs:?}");
    let dir = sandbox.state.join("runs").join(runs.first().unwrap());
    serde_json::from_slice(&fs::read(dir.join("record.json")).unwrap()).unwrap()
}

/// Starts a quick drill, does `interrupt` to it once it says `moment`, and waits for its end.
#[track_caller]
fn interrupted(sandbox: &Sandbox, moment: &str, interrupt: impl FnOnce(&mut Drill)) -> Outcome {
    let mut drill = Drill::start(sandbox.command(&quick(sandbox)));
    drill.says(moment);
    let began = Instant::now();
    interrupt(&mut drill);
    let outcome = drill.end().exits(15);
    let took = began.elapsed();
    assert!(took < UNDONE, "the end came {took:?} after the signal: {outcome:#?}");
    nothing_is_left(sandbox);
    outcome
}

/// The drill had begun, so there is evidence of it, sealed, and it is none of a pass.
#[track_caller]
fn evidence_of_an_abort(sandbox: &Sandbox, outcome: &Outcome) {
    let record = record(sandbox);
    assert_ne!(record["verdict"], "pass");
    assert_eq!(record["exit_code"], 15);
    let reasons = record["reasons"].to_string();
    assert!(reasons.contains("the drill was aborted: interrupted by the operator"), "{reasons}");
    assert!(outcome.stderr.contains("drdrill: interrupted: "), "{}", outcome.stderr);
    sandbox.run("verify last").exits(0);
    sandbox.run("check last").exits(15);
}

#[test]
fn an_interrupt_puts_everything_back_in_every_stage() {
    undisturbed(|| {
        for moment in [
            "baseline: ",
            "  in effect: ",
            "detected",
            "failover decided",
            "  failed over",
            "soak: ",
            "undo: ",
            "shift 50% of the traffic",
            "fence the DR site",
            "failed back",
        ] {
            let sandbox = Sandbox::new();
            let outcome = interrupted(&sandbox, moment, |drill| {
                drill.signal(Signal::SIGINT);
            });
            evidence_of_an_abort(&sandbox, &outcome);
        }
    });
}

#[test]
fn a_drill_that_is_interrupted_while_it_starts_has_not_begun() {
    undisturbed(|| {
        let sandbox = Sandbox::new();
        let outcome = interrupted(&sandbox, "  run ", |drill| {
            drill.signal(Signal::SIGINT);
        });
        assert!(outcome.stderr.contains("the drill did not begin, nothing was injected"));
        assert!(runs(&sandbox.state).is_empty(), "a run that never began has no directory");
    });
}

#[test]
fn sigterm_and_a_lost_terminal_are_interrupts_too() {
    undisturbed(|| {
        for signal in [Signal::SIGTERM, Signal::SIGHUP] {
            let sandbox = Sandbox::new();
            let outcome = interrupted(&sandbox, "  in effect: ", |drill| {
                drill.signal(signal);
            });
            evidence_of_an_abort(&sandbox, &outcome);
        }
    });
}

#[test]
fn ctrl_c_at_a_terminal_ends_the_drill_and_not_the_system_under_it() {
    undisturbed(|| {
        let sandbox = Sandbox::new();
        let outcome = interrupted(&sandbox, "  failed over", |drill| {
            killpg(drill.pid(), Signal::SIGINT).unwrap();
        });
        evidence_of_an_abort(&sandbox, &outcome);
        // A terminal signals the whole group. What is measured must not suffer from it.
        let record = record(&sandbox);
        assert_eq!(record["bystanders"][0]["samples"]["failed"], 0);
    });
}

#[test]
fn a_second_interrupt_leaves_at_once_and_the_keeper_puts_everything_back() {
    undisturbed(|| {
        let sandbox = Sandbox::new();
        // Two signals at once: of the same one, the kernel would keep one.
        let outcome = interrupted(&sandbox, "  in effect: ", |drill| {
            drill.signal(Signal::SIGINT).signal(Signal::SIGTERM);
        });
        assert!(outcome.stderr.contains("drdrill: leaving at once"), "{}", outcome.stderr);
        assert_eq!(outcome.stdout, "", "a drill that was left has no result");
        let history = sandbox.run("history").exits(0).stdout;
        assert!(history.contains("cut off"), "{history}");
    });
}

#[test]
fn ctrl_c_twice_leaves_nothing_either() {
    undisturbed(|| {
        let sandbox = Sandbox::new();
        interrupted(&sandbox, "  in effect: ", |drill| {
            drill.signal(Signal::SIGINT).says("drdrill: interrupted: ").signal(Signal::SIGINT);
        });
    });
}

#[test]
fn a_stop_condition_ends_the_drill_with_its_reason() {
    undisturbed(|| {
        let sandbox = Sandbox::new();
        let run = quick_but(
            &sandbox,
            "failback:",
            "stop_when: [{ probe: read, success_below: 99%, over: 1s }]\nfailback:",
        );
        let outcome = sandbox.run(&run).exits(15);
        assert!(outcome.stderr.contains("aborted: probe read: "), "{}", outcome.stderr);
        let record = record(&sandbox);
        assert_ne!(record["verdict"], "pass");
        let reasons = record["reasons"].to_string();
        assert!(reasons.contains("samples succeeded in 1s, which is below 99%"), "{reasons}");
        assert!(record["faults"][0]["reverted_ms"].is_number(), "{}", record["faults"]);
        nothing_is_left(&sandbox);
    });
}
