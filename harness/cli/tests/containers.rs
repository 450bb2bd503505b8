//! Drills on containers: real PostgreSQL, HAProxy and the container engine, and what is left of them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support {
    pub(crate) mod among;
    pub(crate) mod docker;
    pub(crate) mod drill;
    pub(crate) mod engine_at;
    pub(crate) mod entries;
    pub(crate) mod number;
    pub(crate) mod record;
    pub(crate) mod sandbox;
    pub(crate) mod undisturbed;
    pub(crate) mod wait;
    pub(crate) mod world;
}

mod hosts {
    mod asked;
    mod attacks;
    mod beside;
    mod crash;
    mod engine;
    mod kills;
    mod loss;
    mod network;
    mod ranges;
    mod restored;
    mod returns;
    mod standby;
    mod storage;
}

use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

use support::docker::docker;
use support::entries::{events, writes};
use support::sandbox::{Outcome, Sandbox};
use support::world::{LEFT, nothing_is_left, processes, runs};

/// The engine has removed all containers, networks and volumes of a run so long after its end.
const REMOVED: Duration = Duration::from_secs(30);
/// What the engine was asked just before somebody was killed it has made after this time.
const LATE: Duration = Duration::from_secs(3);

/// A sandbox where the images are there.
fn ready() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.run("env build docker").exits(0);
    sandbox
}

/// The only run of a sandbox.
fn run_of(sandbox: &Sandbox) -> String {
    let runs = runs(&sandbox.state);
    assert_eq!(runs.len(), 1, "{runs:?}");
    runs.into_iter().next().unwrap()
}

/// What the engine has of a run.
fn of_engine(run: &str) -> Vec<String> {
    let label = format!("label=drdrill.run={run}");
    let mut all = Vec::new();
    for list in [&["ps", "-aq"][..], &["network", "ls", "-q"], &["volume", "ls", "-q"]] {
        let said = docker(&[list, &["--filter", &label]].concat());
        all.extend(said.lines().map(|line| format!("{} {line}", list[0])));
    }
    all
}

/// Waits until nothing is left after an orderly end, of the engine's and of anybody's.
#[track_caller]
fn all_is_gone(sandbox: &Sandbox, run: &str) {
    gone_for(Duration::ZERO, sandbox, run);
}

/// The same after somebody was killed: the engine may still make what it was asked for.
#[track_caller]
fn all_stays_gone(sandbox: &Sandbox, run: &str) {
    gone_for(LATE, sandbox, run);
}

#[track_caller]
fn gone_for(quiet: Duration, sandbox: &Sandbox, run: &str) {
    let began = Instant::now();
    let mut empty_since = None;
    while empty_since.is_none_or(|since: Instant| since.elapsed() < quiet) {
        let left = of_engine(run);
        assert!(
            left.is_empty() || began.elapsed() < REMOVED,
            "{LEFT} {REMOVED:?} after the end: {left:#?}"
        );
        empty_since = if left.is_empty() { empty_since.or(Some(Instant::now())) } else { None };
        thread::sleep(Duration::from_millis(50));
    }
    nothing_is_left(sandbox);
}

/// What PostgreSQL's own client says in the container of a host.
fn psql(run: &str, host: &str, sql: &str) -> String {
    let container = format!("drdrill-{run}-{host}");
    let psql = ["psql", "-h", "/tmp", "-U", "postgres", "-XAtc", sql, "store"];
    docker(&[&["exec", &container][..], &psql].concat())
}

/// Sequences of the drill's writes that a database has.
fn present(run: &str, host: &str) -> BTreeSet<u64> {
    let sql = "SELECT substr(id, 3) FROM entries WHERE id LIKE 'w-%'";
    psql(run, host, sql).lines().map(|line| line.parse().unwrap()).collect()
}

/// Sequences of the writes that were acknowledged before the fault.
fn acknowledged_before_the_fault(sandbox: &Sandbox) -> BTreeSet<u64> {
    let events = events(sandbox);
    let fault = events.iter().find_map(|line| line["event"]["fault_in_effect"]["at"].as_u64());
    let before = writes(&events).filter(|sample| sample["done"].as_u64().unwrap() < fault.unwrap());
    before.map(|sample| sample["sequence"].as_u64().unwrap()).collect()
}

/// The run of an environment that is up, by the mark that its processes carry.
fn marked(sandbox: &Sandbox) -> String {
    let mark_of = |pid: i32| {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).ok()?;
        let variables = environment.split(|&byte| byte == 0);
        let mut texts = variables.map(|variable| String::from_utf8_lossy(variable).into_owned());
        texts.find_map(|text| text.strip_prefix("DRDRILL_LAB=").map(str::to_owned))
    };
    processes(&sandbox.state).into_iter().find_map(|(pid, _)| mark_of(pid)).unwrap()
}

#[test]
fn what_cannot_run_is_said_before_anything_is_touched() {
    let sandbox = Sandbox::new();
    let mut command = sandbox.command("run complete_site_failure --env docker");
    command.env("DOCKER_HOST", "unix:///nonexistent/docker.sock");
    let outcome = Outcome::of(&command.output().unwrap()).exits(13);
    let words = "no container engine answers at unix:///nonexistent/docker.sock";
    assert!(outcome.stderr.contains(words), "{}", outcome.stderr);
    let outcome =
        sandbox.run("run complete_site_failure --env docker --set strategy=cold").exits(2);
    assert!(outcome.stderr.contains("containers stand by `warm` or `hot`"), "{}", outcome.stderr);
    let long = "run complete_site_failure --env docker --set replication_lag=251ms";
    let outcome = sandbox.run(long).exits(2);
    assert!(outcome.stderr.contains("at most 250ms on containers"), "{}", outcome.stderr);
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/../../environments/docker.yaml");
    let file = std::fs::read_to_string(shipped).unwrap();
    let cold = file.replace("  docker:\n", "  docker:\n    strategy: cold\n");
    std::fs::write(sandbox.path("cold.yaml"), cold).unwrap();
    let outcome = sandbox.run("run complete_site_failure --env cold.yaml").exits(14);
    assert!(outcome.stderr.contains("cold.yaml:4:3: "), "{}", outcome.stderr);
    let outcome = sandbox.run("run az_failure --env docker").exits(14);
    let words = "the environment has no zone of primary";
    assert!(outcome.stderr.contains(words), "{}", outcome.stderr);
    nothing_is_left(&sandbox);
}
