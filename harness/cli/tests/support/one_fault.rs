//! Runs of the vehicle `one_fault`, and what must be true after each.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::sandbox::{Outcome, Sandbox};
use super::strace::{Point, Trace, strace, under};
use super::struck::Struck;

/// drdrill itself.
pub(crate) const DRDRILL: &str = env!("CARGO_BIN_EXE_drdrill");

/// Files below a directory, with their contents.
fn contents(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(directory).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(contents(&path));
        } else {
            found.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
    found
}

/// One run of the vehicle under strace.
pub(crate) struct Run {
    pub(crate) sandbox: Sandbox,
    pub(crate) outcome: Outcome,
    pub(crate) trace: Trace,
}

impl Run {
    pub(crate) fn of(struck: &Struck, inject: &[String]) -> Self {
        Self::with_pauser(struck, inject, Path::new(DRDRILL))
    }

    pub(crate) fn with_pauser(struck: &Struck, inject: &[String], pauser: &Path) -> Self {
        let sandbox = Sandbox::new();
        let command = struck.vehicle(&sandbox, pauser);
        let log = sandbox.path("strace.log");
        // Threads are followed, programs that it starts are not.
        let options = ["-f", "-b", "execve", "-y"];
        let (outcome, trace) = strace(&struck.starter(), &options, &command, inject, &log);
        Self { sandbox, outcome, trace }
    }

    /// Nothing was done to the world before its undo was durable.
    #[track_caller]
    pub(crate) fn the_undo_came_first(&self, struck: &Struck, what: &str) {
        let durable = self.trace.durable_before(|line| struck.is_effect(line));
        assert!(
            durable.is_none_or(|lines| lines >= struck.intents()),
            "{what}: the effect came after {durable:?} durable lines: {:#?}",
            self.outcome
        );
    }

    /// After `recover` nothing is left. Returns whether there was anything.
    #[track_caller]
    pub(crate) fn recovers(&self, struck: &Struck, what: &str) -> bool {
        recovers(struck, &self.sandbox, &format!("{what}: {:#?}", self.outcome))
    }
}

/// After `recover` nothing is left, and a second one finds nothing to do. Returns whether there was anything.
#[track_caller]
pub(crate) fn recovers(struck: &Struck, sandbox: &Sandbox, what: &str) -> bool {
    let recovered = sandbox.run("recover");
    assert_eq!(recovered.code, Some(0), "{what}: {recovered:#?}");
    let left = struck.changed(sandbox);
    assert!(left.is_empty(), "{what}: left after recover: {left:#?}, which said {recovered:#?}");
    let before = contents(&sandbox.state);
    let again = sandbox.run("recover");
    assert!(again.stdout.starts_with("nothing is open: "), "{what}: {again:#?}");
    assert!(contents(&sandbox.state) == before, "{what}: a second recover changed something");
    recovered.stdout.contains("taken back")
}

/// Runs the vehicle until its fault is in effect, and kills it there.
#[track_caller]
pub(crate) fn held_until_killed(struck: &Struck, sandbox: &Sandbox) {
    let mut vehicle = struck.vehicle(sandbox, Path::new(DRDRILL));
    vehicle.env("ONE_FAULT_HOLDS", "1");
    let mut vehicle = under(&struck.starter(), &vehicle).stdout(Stdio::piped()).spawn().unwrap();
    let mut said = String::new();
    BufReader::new(vehicle.stdout.take().unwrap()).read_line(&mut said).unwrap();
    vehicle.kill().unwrap();
    let ended = vehicle.wait().unwrap();
    assert_eq!(said, "in effect\n", "{}: {ended}", struck.kind);
}

/// The calls of an undisturbed run, which must be a good one.
#[track_caller]
pub(crate) fn calls(struck: &Struck) -> Vec<(Point, String)> {
    let run = Run::of(struck, &[]);
    assert_eq!(run.outcome.code, Some(0), "{}: {:#?}", struck.kind, run.outcome);
    let effect = run.trace.durable_before(|line| struck.is_effect(line));
    assert_eq!(
        effect,
        Some(struck.intents()),
        "{}: the effect is not seen in the trace",
        struck.kind
    );
    run.the_undo_came_first(struck, struck.kind);
    assert!(!run.recovers(struck, struck.kind), "{}: it leaves nothing", struck.kind);
    let mut points = run.trace.points();
    // Thousands of datagrams prove a limit, one as harmless as the other.
    let datagrams = ["sendto", "recvfrom", "clock_nanosleep"];
    points.retain(|(Point { call, nth }, text)| {
        *nth <= 8 || nth % 100 == 0 || !datagrams.contains(&&**call) || text.contains("nlmsg")
    });
    points
}

/// Points tried of a kind in the short form. A loss or a cut of the network takes half a second to prove, a limit three.
pub(crate) fn sample(kind: &str) -> usize {
    match kind {
        "rate_limit" => 2,
        "network_partition" | "site_partition" | "packet_loss" | "iptables" | "network_delay" => 3,
        _ => 6,
    }
}

/// Waits until the kernel has taken its fault back; returns how long that took.
#[track_caller]
pub(crate) fn gone(struck: &Struck, run: &Run, killed: Duration, what: &str) -> Duration {
    let give_up = Instant::now() + Duration::from_secs(5);
    loop {
        let looked = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let left = struck.changed(&run.sandbox);
        if left.is_empty() {
            return looked.saturating_sub(killed);
        }
        assert!(Instant::now() < give_up, "{what}: still there: {left:#?}");
        thread::sleep(Duration::from_millis(1));
    }
}
