//! A whole drill on a disk that fails: never a pass, no panic, nothing left, and what was acknowledged before is still
//! there.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::support::drill::Drill;
use crate::support::place::Place;
use crate::support::sandbox::Outcome;
use crate::support::strace::{Point, Trace, spread, strace, under};
use crate::support::wait::{alone, until};

/// Calls by which evidence and the undo ledger come to the disk.
const CALLS: [&str; 11] = [
    "write",
    "pwrite64",
    "fsync",
    "fdatasync",
    "openat",
    "rename",
    "mkdir",
    "unlink",
    "ftruncate",
    "fallocate",
    "flock",
];
/// The errors, in turn.
const ERRORS: [&str; 5] = ["ENOSPC", "EIO", "EROFS", "EMFILE", "EPIPE"];

/// Neither a pass nor a bug.
#[track_caller]
fn no_pass_and_no_panic(outcome: &Outcome, what: &str) {
    assert!(!matches!(outcome.code, None | Some(0 | 1 | 101)), "{what}: {outcome:#?}");
    assert!(!outcome.stderr.contains("panicked"), "{what}: {outcome:#?}");
    assert!(!outcome.stdout.contains("PASSED"), "{what}: {outcome:#?}");
}

/// The record on disk, where there is one, does not say that the drill passed.
#[track_caller]
fn the_record_is_no_pass(place: &Place, what: &str) {
    let record = place.run_dir().and_then(|dir| fs::read_to_string(dir.join("record.json")).ok());
    let Some(record) = record else { return };
    // Half a record is none.
    let Ok(record) = serde_json::from_str::<serde_json::Value>(&record) else { return };
    assert_ne!(record["verdict"], "pass", "{what}");
    assert_ne!(record["exit_code"], 0, "{what}");
}

/// What may fail without harm: a file that nobody reads stays, a lock ends with its file, the name in the file of a
/// lock is that of one who has let it go, and the index of the runs is a cache.
fn is_harmless(call: &str) -> bool {
    // SQLite makes the directory of a file durable too; nobody else does that to the state directory itself.
    let of_its_directory = call.starts_with("fsync(") && call.contains("/state>)");
    call.contains("/history.db")
        || of_its_directory
        || call.contains("/state\", O_RDONLY")
        || call.contains("/.writable-") && call.starts_with("unlink(")
        || call.contains("LOCK_UN")
        || call.contains("/locks/") && call.starts_with("ftruncate(")
}

#[test]
fn a_call_of_the_main_thread_that_fails_is_no_pass() {
    let _alone = alone();
    let place = Place::new();
    let log = place.sandbox.path("strace.log");
    let (outcome, trace) = strace(&place.hub(), &["-y"], &place.run(), &[], &log);
    let outcome = outcome.exits(0);
    assert!(outcome.stdout.contains("PASSED"), "{outcome:#?}");
    let state = place.sandbox.state.display().to_string();
    let all: Vec<(Point, String)> = trace
        .points()
        .into_iter()
        .filter(|(point, text)| CALLS.contains(&&*point.call) && text.contains(&state))
        .collect();
    place.nothing_is_left("without an error");
    let all: Vec<_> = all.iter().zip(ERRORS.iter().cycle()).collect();
    let mut tried = spread(&all, 1);
    // Always: the undo is seen, but cannot be written down.
    let undo = all.iter().find(|((_, text), _)| text.contains("reverted")).unwrap();
    if !tried.contains(undo) {
        tried.push(*undo);
    }
    let (mut hit, mut codes) = (0, BTreeMap::<_, u32>::new());
    for ((Point { call, nth }, text), error) in &tried {
        let place = Place::new();
        let inject = format!("{call}:error={error}:when={nth}");
        let what = format!("{inject}: {text}");
        let log = place.sandbox.path("strace.log");
        let (outcome, trace) = strace(&place.hub(), &["-y"], &place.run(), &[inject], &log);
        let injected = trace.injected();
        // The counter by which threads wake each other is no file: no kernel fails a write to it.
        if injected.iter().all(|call| !call.contains("anon_inode")) {
            assert!(
                outcome.code.is_some_and(|code| code != 101),
                "{what}: {injected:?} {outcome:#?}"
            );
        }
        // The number of calls that wake other threads varies, so another file may have been hit, or none.
        if let Some(call) = injected.iter().find(|call| call.contains("/state"))
            && !is_harmless(call)
        {
            hit += 1;
            let what = format!("{what}, which hit {call}");
            no_pass_and_no_panic(&outcome, &what);
            the_record_is_no_pass(&place, &what);
        }
        *codes.entry(outcome.code).or_default() += 1;
        place.nothing_is_left(&what);
    }
    println!(
        "main thread: {} of {} calls tried, hit {hit}, exit codes {codes:?}",
        tried.len(),
        all.len()
    );
}

/// strace on a program that runs already.
struct Attached(Child);

impl Attached {
    /// Waits until it is attached. Calls on other files are neither counted nor harmed.
    fn to(drill: &Drill, file: &Path, inject: Option<&str>, log: &Path) -> Self {
        let mut command = Command::new("strace");
        command.args(["-f", "-y", "-ttt", "-s", "64", "-p", &drill.pid().to_string(), "-o"]);
        command.arg(log).arg("-P").arg(file);
        if let Some(inject) = inject {
            command.arg("-e").arg(format!("inject={inject}"));
        }
        let child = command.stderr(Stdio::null()).spawn().unwrap();
        let status = format!("/proc/{}/status", drill.pid());
        until("strace is attached", Duration::from_secs(5), || {
            let status = fs::read_to_string(&status).ok()?;
            (!status.contains("TracerPid:\t0\n")).then_some(())
        });
        Self(child)
    }

    fn end(mut self) {
        self.0.wait().unwrap();
    }
}

/// A drill whose calls on its history are watched, and one of them made to fail; `meanwhile`
/// something else happens to it. Also tells how many bytes of the history
/// had been acknowledged by then.
fn with_history(
    inject: Option<&str>,
    meanwhile: impl FnOnce(&mut Drill),
) -> (Place, Outcome, Trace, u64) {
    let place = Place::new();
    let log = place.sandbox.path("strace.log");
    let mut drill = Drill::start(under(&place.hub(), &place.run()));
    drill.says("baseline");
    let events = place.run_dir().unwrap().join("events.jsonl");
    let before = fs::metadata(&events).unwrap().len();
    let attached = Attached::to(&drill, &events, inject, &log);
    meanwhile(&mut drill);
    let outcome = drill.end();
    attached.end();
    let trace = Trace::read(&log);
    let acknowledged = trace.acknowledged(before);
    (place, outcome, trace, acknowledged)
}

#[test]
fn a_history_that_cannot_be_written_is_no_pass_and_keeps_what_it_had() {
    let _alone = alone();
    let (_, outcome, trace, _) = with_history(None, |_| ());
    outcome.exits(0);
    let all: Vec<Point> = trace.points().into_iter().map(|(point, _)| point).collect();
    let all: Vec<Point> =
        all.into_iter().filter(|point| ["write", "fdatasync"].contains(&&*point.call)).collect();
    assert!(all.len() > 6, "{all:?}");
    let tried = spread(&all.iter().zip(ERRORS.iter().cycle()).collect::<Vec<_>>(), 2);
    let (mut hit, mut kept) = (0, Vec::new());
    for (Point { call, nth }, error) in &tried {
        let what = format!("{call}:error={error}:when={nth}");
        let (place, outcome, trace, acknowledged) = with_history(Some(&what), |_| ());
        if trace.injected().is_empty() {
            continue;
        }
        hit += 1;
        no_pass_and_no_panic(&outcome, &what);
        the_record_is_no_pass(&place, &what);
        let said = "drdrill: the history of this drill cannot be written: ";
        assert!(outcome.stderr.contains(said), "{what}: {outcome:#?}");
        place.history_holds(acknowledged, &what);
        kept.push(acknowledged);
        place.nothing_is_left(&what);
    }
    println!(
        "history: {} of {} calls tried, hit {hit}, acknowledged bytes {kept:?}",
        tried.len(),
        all.len()
    );
}

#[test]
fn an_interrupt_of_a_drill_whose_disk_is_full_is_no_pass_either() {
    let _alone = alone();
    let said = "the history of this drill cannot be written";
    let (place, outcome, ..) = with_history(Some("fdatasync:error=ENOSPC:when=1+"), |drill| {
        drill.says(said).signal(Signal::SIGINT);
    });
    no_pass_and_no_panic(&outcome, said);
    the_record_is_no_pass(&place, said);
    place.nothing_is_left(said);
}
