//! Faults of daemons that are already there: seen, taken back, and started exactly once however drdrill ends.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support {
    pub(crate) mod daemon;
    pub(crate) mod drill;
    pub(crate) mod machine;
    pub(crate) mod quick;
    pub(crate) mod record;
    pub(crate) mod sandbox;
    pub(crate) mod undisturbed;
    pub(crate) mod wait;
    pub(crate) mod world;
}

use std::fs;
use std::process::Command;
use std::time::{Duration, SystemTime};

use drdrill_engine::ledger::{Ledger, Line};
use drdrill_engine::state::StateDir;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, getsid};
use support::daemon::Daemon;
use support::drill::Drill;
use support::machine::{entry, environment, scenario};
use support::quick::quick;
use support::record::record;
use support::sandbox::{Outcome, Sandbox};
use support::undisturbed::undisturbed;
use support::wait::until;
use support::world::{nothing_is_left, processes};

/// The keeper has put everything back so long after the harness is gone.
///
/// Source: undo-and-security goals, R1: 2 s.
const KEEPER: Duration = Duration::from_secs(2);
/// `recover` has put everything back so long after it was called. Source: the same, 5 s.
const RECOVER: Duration = Duration::from_secs(5);
/// How often the harness is killed, unless `DRDRILL_KILLS` says otherwise.
const KILLS: u64 = 4;

/// Two daemons, of which the first is struck and the other must not notice.
struct World {
    sandbox: Sandbox,
    db: Daemon,
    other: Daemon,
}

impl World {
    /// `host` is the last byte but one of the addresses: tests run side by side.
    fn new(host: u8, inject: &str) -> Self {
        Self::with(host, inject, "")
    }

    /// As [`Self::new`]; `first` is what the start script of the first daemon does first.
    fn with(host: u8, inject: &str, first: &str) -> Self {
        let address = |last: u8| format!("127.44.{host}.{last}:7000");
        let world = Self {
            sandbox: Sandbox::new(),
            db: Daemon::start_with(&address(1), first),
            other: Daemon::start(&address(2)),
        };
        fs::write(world.sandbox.path("end.yaml"), scenario(inject)).unwrap();
        let processes =
            [entry(&world.db, "db", "primary"), entry(&world.other, "web", "dr")].concat();
        world.environment(&processes);
        world
    }

    /// Writes the environment file with these processes.
    fn environment(&self, processes: &str) {
        let text = environment(&self.db, &self.other, processes);
        fs::write(self.sandbox.path("env.yaml"), text).unwrap();
    }

    fn command(&self) -> Command {
        self.sandbox.command("run end.yaml --env env.yaml --format json")
    }

    fn start(&self) -> Drill {
        Drill::start(self.command())
    }

    fn run(&self) -> Outcome {
        self.start().end()
    }

    /// Waits until the daemon is back; it runs once, and the other one never noticed.
    #[track_caller]
    fn is_back(&self, within: Duration, other: i32) -> i32 {
        until("the daemon is back", within, || self.db.listens().then_some(()));
        assert_eq!(self.other.pid(), other);
        self.db.pid()
    }
}

/// A field of a process's status.
fn status(pid: i32, field: &str) -> String {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
    line.trim_start_matches(':').trim().to_owned()
}

#[test]
fn a_killed_daemon_is_an_outage_until_it_is_started_again_as_nobodys_child() {
    undisturbed(|| {
        let world = World::new(1, "process_kill: { on: primary }");
        let (before, other) = (world.db.pid(), world.other.pid());
        let outcome = world.run().exits(10);
        let record = record(&outcome);
        let fault = &record["faults"][0];
        let proof = fault["proof"].as_str().unwrap();
        assert!(proof.contains(&format!("db (pid {before}, ")), "{proof}");
        assert!(proof.contains("is gone, and a connection to 127.44.1.1:7000 fails: "), "{proof}");
        assert!(proof.contains("still running: web"), "{proof}");
        assert_eq!(fault["belts"], serde_json::json!(["journal"]));
        assert!(fault["reverted_ms"].is_number(), "{fault}");
        let rto = &record["services"][0]["rto"];
        assert!(
            rto["at_most_ms"].is_null() && rto["at_least_ms"].as_f64().unwrap() >= 2_000.0,
            "{rto}"
        );
        assert_eq!(record["bystanders"][0]["samples"]["failed"], 0, "{}", record["bystanders"]);
        assert_eq!(record["leftovers"], serde_json::json!([]));
        let after = world.is_back(Duration::ZERO, other);
        assert_ne!(after, before);
        let session = getsid(Some(Pid::from_raw(after))).unwrap();
        assert_ne!(session, getsid(None).unwrap());
        let environment = fs::read_to_string(format!("/proc/{after}/environ")).unwrap();
        assert!(
            !environment.contains("DRDRILL_STATE") && environment.contains("PATH=/usr/local/sbin")
        );
        assert_eq!(
            fs::read_link(format!("/proc/{after}/fd/0")).unwrap().to_str(),
            Some("/dev/null")
        );
        assert_eq!(
            fs::read_dir(format!("/proc/{after}/fd"))
                .unwrap()
                .filter(|fd| {
                    let target = fs::read_link(fd.as_ref().unwrap().path()).unwrap_or_default();
                    target.starts_with(&world.sandbox.state)
                })
                .count(),
            0
        );
        nothing_is_left(&world.sandbox);
    });
}

#[test]
fn a_daemon_that_ends_when_asked_is_stopped_and_one_that_does_not_is_not() {
    undisturbed(|| {
        let stop = "process_stop: { on: primary, component: db, grace: 400ms }";
        let world = World::new(2, stop);
        let other = world.other.pid();
        let outcome = record(&world.run().exits(10));
        assert!(
            outcome["faults"][0]["proof"].as_str().unwrap().contains("is gone, and"),
            "{outcome}"
        );
        world.is_back(Duration::ZERO, other);

        let deaf = World::with(3, stop, "trap '' TERM");
        let (before, other) = (deaf.db.pid(), deaf.other.pid());
        let reasons = record(&deaf.run().exits(11))["reasons"].to_string();
        assert!(reasons.contains("still runs 0.4 s after it was asked to end"), "{reasons}");
        assert_eq!(deaf.is_back(Duration::ZERO, other), before);
        nothing_is_left(&deaf.sandbox);
    });
}

#[test]
fn a_restarted_daemon_is_away_for_as_long_as_it_takes() {
    undisturbed(|| {
        let world = World::with(4, "process_restart: { on: primary }", "sleep 0.5");
        let (before, other) = (world.db.pid(), world.other.pid());
        let record = record(&world.run().exits(0));
        let proof = record["faults"][0]["proof"].as_str().unwrap();
        assert!(
            proof.contains(&format!("db (pid {before}, ")) && proof.contains("is gone"),
            "{proof}"
        );
        let rto = record["services"][0]["rto"]["at_least_ms"].as_f64().unwrap();
        // Half a second, but for the time between two samples.
        assert!(rto >= 350.0, "{rto}");
        assert_ne!(world.is_back(Duration::ZERO, other), before);
        nothing_is_left(&world.sandbox);
    });
}

#[test]
fn a_daemon_that_somebody_else_starts_again_is_not_started_twice() {
    undisturbed(|| {
        let world = World::new(5, "process_kill: { on: primary }");
        let other = world.other.pid();
        let mut drill = world.start();
        drill.says("in effect");
        world.db.start_again();
        let theirs = world.db.pid();
        let record = record(&drill.end().exits(0));
        assert!(record["services"][0]["rto"]["at_most_ms"].is_number(), "{}", record["services"]);
        assert_eq!(world.is_back(Duration::ZERO, other), theirs);
        nothing_is_left(&world.sandbox);
    });
}

#[test]
fn when_the_harness_is_killed_the_keeper_starts_the_daemon_again() {
    undisturbed(|| {
        let world = World::new(6, "process_kill: { on: primary }");
        let other = world.other.pid();
        let kills = std::env::var("DRDRILL_KILLS").map_or(KILLS, |kills| kills.parse().unwrap());
        for turn in 0..kills {
            let mut drill = world.start();
            drill.says("in effect");
            assert!(!world.db.listens());
            std::thread::sleep(Duration::from_millis(turn * 137 % 500));
            drill.signal(Signal::SIGKILL);
            world.is_back(KEEPER, other);
            drill.end();
            nothing_is_left(&world.sandbox);
            assert_eq!(world.db.pids().len(), 1);
        }
    });
}

#[test]
fn when_the_keeper_is_killed_too_recover_starts_the_daemon_again_and_only_once() {
    undisturbed(|| {
        let world = World::new(7, "process_kill: { on: primary }");
        let other = world.other.pid();
        let mut drill = world.start();
        drill.says("in effect");
        let keepers = processes(&world.sandbox.state);
        let keepers = keepers.iter().filter(|(_, words)| words.contains(" keeper "));
        let keeper = keepers.map(|(pid, _)| Pid::from_raw(*pid)).next().unwrap();
        kill(keeper, Signal::SIGKILL).unwrap();
        drill.signal(Signal::SIGKILL);
        drill.end();
        std::thread::sleep(Duration::from_millis(300));
        assert!(!world.db.listens(), "somebody else has started it");
        let began = std::time::Instant::now();
        let outcome = world.sandbox.run("recover").exits(0);
        assert!(
            outcome.stdout.contains("taken back and seen to be gone: process_kill of primary"),
            "{outcome:#?}"
        );
        assert!(began.elapsed() < RECOVER, "{:?}", began.elapsed());
        let started = world.is_back(Duration::ZERO, other);
        let again = world.sandbox.run("recover").exits(0);
        assert!(again.stdout.starts_with("nothing is open"), "{again:#?}");
        assert_eq!(world.is_back(Duration::ZERO, other), started);
        assert_eq!(world.db.starts(), 2, "once before the drill, once after");
    });
}

#[test]
fn a_pid_file_that_names_nobody_is_refused_before_anything_is_touched() {
    undisturbed(|| {
        let world = World::new(8, "process_kill: { on: primary }");
        let (db, other) = (world.db.pid(), world.other.pid());
        let pid_file = world.db.pid_file();
        let true_text = fs::read_to_string(&pid_file).unwrap();
        let mut gone = Command::new("true").spawn().unwrap();
        gone.wait().unwrap();
        for (text, expected) in [
            (gone.id().to_string(), "is stale: it names process"),
            ("x".to_owned(), "no number of a process"),
        ] {
            fs::write(&pid_file, text).unwrap();
            let outcome = world.run().exits(13);
            assert!(outcome.stderr.contains(expected), "{outcome:#?}");
        }
        // An innocent process has the number: the file is older than it is.
        let mut innocent = Command::new("sleep").arg("60").spawn().unwrap();
        fs::write(&pid_file, innocent.id().to_string()).unwrap();
        let old = SystemTime::now() - Duration::from_hours(1);
        fs::File::options().write(true).open(&pid_file).unwrap().set_modified(old).unwrap();
        let outcome = world.run().exits(13);
        assert!(outcome.stderr.contains("another process was meant"), "{outcome:#?}");
        assert_eq!(innocent.try_wait().unwrap(), None);
        innocent.kill().unwrap();
        innocent.wait().unwrap();
        fs::remove_file(&pid_file).unwrap();
        let outcome = world.run().exits(13);
        assert!(outcome.stderr.contains("is not there"), "{outcome:#?}");
        fs::write(&pid_file, true_text).unwrap();
        assert_eq!(world.is_back(Duration::ZERO, other), db);
        assert!(!world.sandbox.state.join("undo").read_dir().unwrap().any(|_| true));
    });
}

#[test]
fn what_must_not_be_struck_is_refused_before_anything_is_touched() {
    undisturbed(|| {
        let world = World::new(9, "process_pause: { on: primary }");
        let numbered = |pid: u32| format!("      - {{ name: db, site: primary, pid: {pid} }}\n");
        world.environment(&numbered(std::process::id()));
        let outcome = world.run().exits(16);
        assert!(outcome.stderr.contains("is drdrill itself or what runs it"), "{outcome:#?}");
        world.environment(&numbered(1));
        assert!(world.run().exits(14).stderr.contains("pid"), "the first process");
        // A process of this very program: a keeper, or another drill.
        let mut keeper = world.sandbox.command("toxiproxy --listen 127.44.9.9:0").spawn().unwrap();
        world.environment(&numbered(keeper.id()));
        let outcome = world.run().exits(16);
        assert!(outcome.stderr.contains("is a drdrill"), "{outcome:#?}");
        keeper.kill().unwrap();
        keeper.wait().unwrap();
        let two =
            [entry(&world.db, "db", "primary"), entry(&world.other, "web", "primary")].concat();
        world.environment(&two);
        assert!(world.run().exits(16).stderr.contains("max_targets is 1"));
    });
}

#[test]
fn a_daemon_that_nobody_can_start_again_is_not_ended() {
    undisturbed(|| {
        let world = World::new(10, "process_kill: { on: primary }");
        let (db, pid_file) = (world.db.pid(), world.db.pid_file());
        let file = pid_file.display();
        for (rest, code, expected) in [
            (format!("pid: {db}"), 13, "does not say what starts it again"),
            (format!("pid_file: {file}"), 13, "does not say what starts it again"),
            (format!("pid: {db}, start: [/bin/true]"), 14, "needs `pid_file`"),
            (format!("pid_file: {file}, start: [true]"), 14, "absolute path of a program"),
            (format!("pid_file: {file}, start: []"), 14, "absolute path of a program"),
            (format!("pid_file: {file}, start: [/no/such/program]"), 13, "/no/such/program"),
            (format!("pid_file: {file}, start: [/etc/passwd]"), 13, "is no program"),
            (format!("pid: {db}, pid_file: {file}"), 14, "either `pid` or `pid_file`, not both"),
            (String::from("canary: \"127.0.0.1:1\""), 14, "either `pid` or `pid_file`"),
        ] {
            world.environment(&format!("      - {{ name: db, site: primary, {rest} }}\n"));
            let outcome = world.run().exits(code);
            assert!(outcome.stderr.contains(expected), "{rest}: {outcome:#?}");
        }
        assert_eq!(world.db.pid(), db);
    });
}

#[test]
fn a_daemon_can_be_paused_by_its_number() {
    undisturbed(|| {
        let world = World::new(11, "process_pause: { on: primary, component: db }");
        let db = world.db.pid();
        world.environment(&format!("      - {{ name: db, site: primary, pid: {db} }}\n"));
        let mut drill = world.start();
        drill.says("in effect");
        assert!(status(db, "State").starts_with('t'));
        drill.end();
        assert!(status(db, "State").starts_with('S'));
        nothing_is_left(&world.sandbox);
    });
}

#[test]
fn a_ledger_of_another_boot_starts_nothing() {
    let world = World::new(12, "process_kill: { on: primary }");
    let (db, other) = (world.db.pid(), world.other.pid());
    let undo = |pid: i32, script: &str| drdrill_core::action::Undo::Revert {
        kind: "process_end".to_owned(),
        node: "primary".to_owned(),
        params: serde_json::json!({
            "tag": "drdrill-forged-1", "site": "primary", "asked": false,
            "processes": [{
                "process": { "node": "db", "pid": pid, "start_time": 1 },
                "canary": null,
                "start": { "program": script, "arguments": [], "pid_file": "/no/such/file" },
            }],
        }),
    };
    let touched = world.sandbox.path("touched");
    let script = world.sandbox.path("touch");
    fs::write(&script, format!("#!/bin/sh\ntouch {}\n", touched.display())).unwrap();
    fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let state = StateDir::at(&world.sandbox.state);
    state.prepare().unwrap();
    let first = Line::Opened {
        run_id: "forged".to_owned(),
        environment: "machine".to_owned(),
        harness: drdrill_core::environment::ProcessIdentity {
            node: "harness".into(),
            pid: 0,
            start_time: 0,
        },
        boot_id: "7e0c8ad1-another-boot".to_owned(),
    };
    let mut ledger = Ledger::create(&state.ledger("forged"), first).unwrap();
    ledger.intend("process_kill", "primary", undo(4711, script.to_str().unwrap())).unwrap();
    drop(ledger);
    world.sandbox.run("recover").exits(0);
    assert!(!touched.exists());
    assert_eq!((world.db.pid(), world.other.pid()), (db, other));
}

#[test]
fn one_process_of_the_lab_is_killed_and_started_again_alone() {
    undisturbed(|| {
        let sandbox = Sandbox::new();
        let arguments = format!("{} --format json", quick(&sandbox));
        let kill = "process_kill: { on: primary, component: service }";
        let scenario = fs::read_to_string(sandbox.path("quick.yaml")).unwrap();
        fs::write(sandbox.path("quick.yaml"), scenario.replace("site_loss: { on: primary }", kill))
            .unwrap();
        let outcome = sandbox.run(&arguments).exits(0);
        let record = record(&outcome);
        let proof = record["faults"][0]["proof"].as_str().unwrap();
        assert!(
            proof.contains("primary/service (pid ") && proof.contains("Connection refused"),
            "{proof}"
        );
        assert!(
            proof.contains(
                "still running: primary/auth, primary/worker, primary/backup, dr/service"
            ),
            "{proof}"
        );
        assert!(record["phases"]["failed_over_ms"].is_number(), "{}", record["phases"]);
        assert_eq!(record["split_brain"], serde_json::json!([]));
        nothing_is_left(&sandbox);
        let unknown = scenario.replace(
            "site_loss: { on: primary }",
            "process_kill: { on: primary, component: servce }",
        );
        fs::write(sandbox.path("quick.yaml"), unknown).unwrap();
        let outcome = sandbox.run(&arguments).exits(14);
        assert!(outcome.stderr.contains("known, the nearest first: service, "), "{outcome:#?}");
    });
}
