//! Each scenario in `scenarios/must_fail` ends in the failure that it states, for the reason that it states.
//!
//! Here those that take up to 15 s; all of them with `DRDRILL_MUST_FAIL=all`, or by `just must-fail`. Those on
//! containers are run by `drdrill run --must-fail --env docker`, one of them by the tests of containers.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support {
    pub(crate) mod record;
    pub(crate) mod sandbox;
    pub(crate) mod wait;
    pub(crate) mod world;
}

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use drdrill_core::units::Span;
use serde_json::Value;
use support::record::record;
use support::sandbox::Sandbox;
use support::wait::alone;
use support::world::nothing_is_left;

/// Longest of the scenarios that every run of the tests tries.
const SHORT: Duration = Duration::from_secs(15);

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scenarios/must_fail")
}

fn path_of(twin: &str) -> PathBuf {
    directory().join(format!("{twin}.yaml"))
}

/// The files, by name, as they stand on disk.
fn twins() -> Vec<(String, Value)> {
    let directory = directory();
    let mut paths: Vec<_> =
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(paths.len() >= 4, "{paths:?}");
    let read = |path: &Path| serde_saphyr::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let name = |path: &Path| path.file_stem().unwrap().to_str().unwrap().to_owned();
    paths.iter().map(|path| (name(path), read(path))).collect()
}

/// So long a twin takes when it fails as it should: nothing comes back before drdrill gives up.
fn longest(twin: &Value) -> Duration {
    let span =
        |text: &Value| text.as_str().map_or(Duration::ZERO, |t| t.parse::<Span>().unwrap().0);
    let faults = twin["faults"].as_array().unwrap().iter();
    let last = faults.map(|fault| span(&fault["at"])).max().unwrap_or_default();
    last + span(&twin["recovery"]["give_up_after"]) + span(&twin["soak"])
}

#[test]
fn every_twin_states_how_it_ends() {
    for (name, twin) in twins() {
        let expect = &twin["expect"];
        assert!(matches!(expect["exit"].as_u64(), Some(10 | 11)), "{name}: {expect}");
        assert!(
            expect["reason"].as_str().is_some_and(|reason| reason.len() > 5),
            "{name}: {expect}"
        );
    }
}

#[test]
fn every_twin_ends_in_the_stated_failure_for_the_stated_reason() {
    let all = std::env::var("DRDRILL_MUST_FAIL").is_ok_and(|which| which == "all");
    let mut tried = 0;
    for (name, twin) in twins().iter().filter(|(_, twin)| all || longest(twin) <= SHORT) {
        let environment = twin["expect"]["environment"].as_str().unwrap_or("lab");
        if environment == "docker" {
            continue;
        }
        let _alone = alone();
        let sandbox = Sandbox::new();
        // As it stands on disk, whatever is inside the program.
        fs::copy(path_of(name), sandbox.path("twin.yaml")).unwrap();
        let outcome = sandbox.run(&format!("run twin.yaml --env {environment} --format json"));
        let code = i32::try_from(twin["expect"]["exit"].as_u64().unwrap()).unwrap();
        assert_eq!(outcome.code, Some(code), "{name}: {outcome:#?}");
        let reasons = record(&outcome)["reasons"].as_array().unwrap().clone();
        let stated = twin["expect"]["reason"].as_str().unwrap();
        let said = reasons.iter().any(|reason| reason.as_str().unwrap().contains(stated));
        assert!(said, "{name}: nobody says {stated:?}: {reasons:#?}");
        nothing_is_left(&sandbox);
        tried += 1;
    }
    assert!(tried > 0, "none of them is short");
}

#[test]
fn the_command_compares_them_too() {
    let _alone = alone();
    let sandbox = Sandbox::new();
    let outcome = sandbox.run("run --must-fail --tag process --set give_up_after=3s").exits(0);
    assert!(outcome.stderr.contains("1 of 1: service_killed_"), "{}", outcome.stderr);
    let line = |word: &str| outcome.stdout.lines().find(|line| line.contains(word)).unwrap();
    let twin = line("service_killed_nobody_fails_over");
    assert!(twin.contains("✗ fail, as stated") && twin.trim_end().ends_with("10"), "{twin}");
    assert!(line("failed as stated").ends_with("0 did not, 0 not run"), "{}", outcome.stdout);
    // With an objective that is missed before drdrill gives up it fails too, but for another reason.
    let outcome = sandbox
        .run("run --must-fail --tag process --set give_up_after=3s --set targets.rto=1s")
        .exits(10);
    assert!(outcome.stdout.contains("NOT AS STATED"), "{}", outcome.stdout);
    assert!(outcome.stdout.contains("no reason says `store: never restored"), "{}", outcome.stdout);
    nothing_is_left(&sandbox);
}
