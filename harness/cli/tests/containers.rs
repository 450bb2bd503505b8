//! Drills on containers: real PostgreSQL, HAProxy and the container engine, and what is left of them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support {
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
    mod attacks;
    mod crash;
    mod engine;
    mod network;
    mod ranges;
}

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use support::docker::docker;
use support::drill::Drill;
use support::engine_at::EngineAt;
use support::entries::{acknowledged, events, writes};
use support::number::number_of;
use support::record::record;
use support::sandbox::{Outcome, Sandbox};
use support::undisturbed::undisturbed;
use support::wait::{alone, until};
use support::world::{LEFT, nothing_is_left, processes, runs};

/// The engine has removed all containers, networks and volumes of a run so long after its end.
const REMOVED: Duration = Duration::from_secs(30);
/// What the engine was asked just before somebody was killed it has made after this time.
const LATE: Duration = Duration::from_secs(3);
/// Time between two attempts of clients.
const EVERY: Duration = Duration::from_millis(20);

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

/// What the engine has of the runs of a sandbox.
fn of_engine(sandbox: &Sandbox) -> Vec<String> {
    let mut all = Vec::new();
    for run in runs(&sandbox.state) {
        let label = format!("label=drdrill.run={run}");
        for list in [&["ps", "-aq"][..], &["network", "ls", "-q"], &["volume", "ls", "-q"]] {
            let said = docker(&[list, &["--filter", &label]].concat());
            all.extend(said.lines().map(|line| format!("{} {line}", list[0])));
        }
    }
    all
}

/// Waits until nothing is left, of the engine's and of anybody's.
#[track_caller]
fn all_is_gone(sandbox: &Sandbox) {
    let began = Instant::now();
    let mut empty_since = None;
    // The engine may still make what it was asked for.
    while empty_since.is_none_or(|since: Instant| since.elapsed() < LATE) {
        let left = of_engine(sandbox);
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

/// A free address of this machine.
fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

/// One request as a client makes it that knows nothing of drdrill.
fn is_healthy(address: &str) -> bool {
    let ask = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_millis(900)))?;
        stream.write_all(b"GET /health HTTP/1.1\r\nHost: drill\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    ask().is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
}

/// The longest time without service as an independent loop saw it: at least, and at most.
fn watch(address: &str, done: &AtomicBool) -> (Duration, Duration) {
    let mut seen = Vec::new();
    thread::scope(|scope| {
        let mut attempts = Vec::new();
        while !done.load(Ordering::Relaxed) {
            let began = Instant::now();
            let attempt = move || (began, Instant::now, is_healthy(address));
            attempts.push(scope.spawn(move || {
                let (began, now, healthy) = attempt();
                (began, now(), healthy)
            }));
            thread::sleep(EVERY.saturating_sub(began.elapsed()));
        }
        seen.extend(attempts.into_iter().map(|attempt| attempt.join().unwrap()));
    });
    seen.sort_by_key(|(began, _, _)| *began);
    let mut longest = (Duration::ZERO, Duration::ZERO);
    let first = seen.iter().position(|(_, _, healthy)| *healthy).unwrap();
    let mut last_good = seen[first];
    let mut bad: Option<(Instant, Instant)> = None;
    for &(began, ended, healthy) in &seen[first..] {
        if !healthy {
            bad = Some(bad.map_or((ended, began), |(from, _)| (from.min(ended), began)));
            continue;
        }
        if let Some((from, to)) = bad.take() {
            let at_least = to.saturating_duration_since(from);
            longest = longest.max((at_least, ended.saturating_duration_since(last_good.0)));
        }
        last_good = (began, ended, healthy);
    }
    longest
}

#[test]
fn a_lost_site_costs_what_a_select_on_the_survivor_misses_and_as_long_as_another_client_sees() {
    undisturbed(|| {
        let sandbox = ready();
        let listen = free_address();
        let mut drill = Drill::start(sandbox.command(&format!(
            "run complete_site_failure --env docker --set failback=none --set listen={listen} --format json"
        )));
        drill.says("baseline: ");
        let run = run_of(&sandbox);
        let done = AtomicBool::new(false);
        let (present, outage) = thread::scope(|scope| {
            let watcher = scope.spawn(|| watch(&listen, &done));
            drill.says("  soak: ");
            let present = present(&run, "dr-database");
            done.store(true, Ordering::Relaxed);
            (present, watcher.join().unwrap())
        });
        let outcome = drill.end();
        all_is_gone(&sandbox);
        let record = record(&outcome.exits(0));
        let service = &record["services"][0];
        let before = acknowledged_before_the_fault(&sandbox);
        let missing = before.difference(&present).count();
        assert!(missing > 0, "with 250 ms of lag some are lost");
        assert_eq!(service["rpo"]["writes"]["lost"], missing, "of {}", before.len());
        let millis = |bound: &str| service["outage"][bound].as_f64().unwrap();
        let (at_least, at_most) = (millis("at_least_ms"), millis("at_most_ms"));
        let within = 2.0 * EVERY.as_secs_f64() * 1e3;
        let theirs = (outage.0.as_secs_f64() * 1e3, outage.1.as_secs_f64() * 1e3);
        assert!(
            theirs.0 <= at_most + within && at_least <= theirs.1 + within,
            "an independent loop saw an outage of {theirs:?} ms, drdrill of {at_least} to {at_most} ms"
        );
        eprintln!("outage: {at_least} to {at_most} ms; seen by another loop: {theirs:?} ms");
        assert_eq!(record["environment"]["provider"], "docker");
    });
}

#[test]
fn after_the_way_back_both_databases_have_what_was_acknowledged() {
    undisturbed(|| {
        let sandbox = ready();
        let mut drill =
            Drill::start(sandbox.command("run complete_site_failure --env docker --format json"));
        drill.says("baseline: ").says("  soak: ").says("  failback").says("  failed back");
        let run = run_of(&sandbox);
        let [primary, dr] = ["primary-database", "dr-database"].map(|host| present(&run, host));
        let outcome = drill.end();
        all_is_gone(&sandbox);
        let record = record(&outcome.exits(0));
        let lost = record["services"][0]["rpo"]["writes"]["lost"].as_u64().unwrap();
        // What is under way while the two are read is left out: a second's worth.
        let until = dr.last().unwrap() - 50;
        let mut acknowledged = acknowledged(&sandbox);
        acknowledged.retain(|sequence| *sequence <= until);
        let lacks = |present| acknowledged.difference(present).count() as u64;
        assert_eq!((lacks(&primary), lacks(&dr)), (lost, lost));
        assert_eq!(record["services"][0]["rpo"]["failback_lost"], 0);
        assert_eq!(record["split_brain"], Value::Array(Vec::new()));
        let functions = record["functionality"].as_array().unwrap();
        assert_eq!(functions.len(), 8, "four of them, after the recovery and after the way back");
        assert!(functions.iter().all(|function| function["outcome"] == "pass"), "{functions:?}");
    });
}

#[test]
fn a_synchronous_dr_site_loses_nothing() {
    for round in 1..=number_of("DRDRILL_HOT").unwrap_or(1) {
        undisturbed(|| {
            let sandbox = ready();
            let mut drill = Drill::start(sandbox.command(
                "run complete_site_failure --env docker --set strategy=hot --set failback=none --format json",
            ));
            drill.says("  soak: ");
            let present = present(&run_of(&sandbox), "dr-database");
            let outcome = drill.end();
            all_is_gone(&sandbox);
            let record = record(&outcome.exits(0));
            let before = acknowledged_before_the_fault(&sandbox);
            assert!(before.len() > 50, "{}", before.len());
            assert_eq!(before.difference(&present).count(), 0, "round {round}");
            assert_eq!(record["services"][0]["rpo"]["writes"]["lost"], 0, "round {round}");
            eprintln!("site loss {round}: 0 of {} acknowledged lost", before.len());
        });
    }
}

#[test]
fn a_primary_that_returns_can_be_read_and_not_written() {
    let _alone = alone();
    let sandbox = ready();
    let mut host = Drill::start(sandbox.command("env up docker"));
    host.says("docker is up; clients come to http://");
    let marked = processes(&sandbox.state).into_iter().find_map(|(pid, _)| mark_of(pid));
    let run = marked.unwrap();
    let database = format!("drdrill-{run}-primary-database");
    docker(&["kill", &database]);
    sandbox.run("failover --env docker").exits(0);
    docker(&["start", &database]);
    let status = || -> Outcome { sandbox.run("env status docker --format json") };
    let fenced = until("the old primary is back", REMOVED, || {
        let status: Value = serde_json::from_str(&status().stdout).ok()?;
        let sites = status["sites"].as_array()?;
        let primary = sites.iter().find(|site| site["site"] == "primary")?;
        Some((primary["role"].as_str()?.to_owned(), primary["fenced"].as_bool()?))
    });
    assert_eq!(fenced, ("primary".to_owned(), true));
    // By the very client that the application is.
    let read = "import json, psycopg2, sys; c = json.load(open('/etc/drdrill.json')); \
                k = psycopg2.connect(c[sys.argv[1]]).cursor(); k.execute(sys.argv[2]); print(k.fetchall())";
    let service = format!("drdrill-{run}-primary-service");
    let python = |role: &str, sql: &str| {
        let words = ["exec", &service, "python3", "-c", read, role, sql];
        Command::new("docker").args(words).output().unwrap()
    };
    let reads = python("reads", "SELECT count(*) FROM entries");
    assert!(reads.status.success(), "{reads:?}");
    let writes = python("writes", "SELECT beat(1)");
    let why = String::from_utf8_lossy(&writes.stderr).into_owned();
    assert!(!writes.status.success() && why.contains("pg_hba.conf rejects"), "{why}");
    sandbox.run("env down docker").exits(0);
    assert_eq!(host.end().code, Some(0));
    let label = format!("label=drdrill.run={run}");
    for list in [&["ps", "-aq"][..], &["network", "ls", "-q"], &["volume", "ls", "-q"]] {
        assert_eq!(docker(&[list, &["--filter", &label]].concat()), "");
    }
    nothing_is_left(&sandbox);
}

/// The run whose mark a process carries.
fn mark_of(pid: i32) -> Option<String> {
    let environment = std::fs::read(format!("/proc/{pid}/environ")).ok()?;
    let variables = environment.split(|&byte| byte == 0);
    let mut texts = variables.map(|variable| String::from_utf8_lossy(variable).into_owned());
    texts.find_map(|text| text.strip_prefix("DRDRILL_LAB=").map(str::to_owned))
}

/// Writes of eight clients at once for two seconds, at the primary site; prints how often each status came.
const WRITERS: &str = r"
import sys; sys.path.insert(0, '/usr/local/lib/drdrill')
import collections, hashlib, http.client, json, threading, time, web
token = web.issue(json.load(open('/etc/drdrill.json'))['token_secret'], 'drill', 60000)
count, end = collections.Counter(), time.time() + 2
def write(client):
    number = 0
    while time.time() < end:
        number += 1
        value = f'{client}-{number}'
        body = {'sequence': number, 'value': value, 'checksum': hashlib.sha256(value.encode()).hexdigest()}
        connection = http.client.HTTPConnection('127.0.0.1:8000')
        connection.request('PUT', f'/entries/x-{sys.argv[1]}-{value}', json.dumps(body), {'Authorization': f'Bearer {token}'})
        count[connection.getresponse().status] += 1
threads = [threading.Thread(target=write, args=(client,)) for client in range(8)]
[one.start() for one in threads]; [one.join() for one in threads]
print(json.dumps(count))
";

#[test]
fn what_the_standby_may_not_have_is_acknowledged_to_nobody() {
    let _alone = alone();
    let sandbox = ready();
    let mut host = Drill::start(sandbox.command("env up docker --set strategy=hot"));
    host.says("docker is up; clients come to http://");
    let run = processes(&sandbox.state).into_iter().find_map(|(pid, _)| mark_of(pid)).unwrap();
    let write = |round: &str| -> Value {
        let service = format!("drdrill-{run}-primary-service");
        let said = docker(&["exec", &service, "python3", "-c", WRITERS, round]);
        serde_json::from_str(&said).unwrap()
    };
    let standby = format!("drdrill-{run}-dr-database");
    let acknowledged = |count: &Value| count["201"].as_u64().unwrap_or(0);
    assert!(acknowledged(&write("before")) > 20);
    docker(&["pause", &standby]);
    let during = write("during");
    docker(&["unpause", &standby]);
    assert!(during["504"].as_u64().unwrap() >= 8, "{during}");
    assert_eq!(acknowledged(&during), 0, "{during}");
    // Each of them is at the primary all the same: nobody could tell.
    let kept =
        psql(&run, "primary-database", "SELECT count(*) FROM entries WHERE id LIKE 'x-during-%'");
    assert_eq!(kept.trim().parse::<u64>().unwrap(), during["504"].as_u64().unwrap());
    assert!(acknowledged(&write("after")) > 20);
    sandbox.run("env down docker").exits(0);
    assert_eq!(host.end().code, Some(0));
    nothing_is_left(&sandbox);
}

#[test]
fn killed_at_any_moment_no_container_network_or_volume_is_left() {
    let _alone = alone();
    // The first is while networks and the first containers are made. The keeper alone after a fault: `hosts::network`.
    for (moment, after, signal, keeper_too) in [
        ("drdrill 0", 0, Signal::SIGKILL, false),
        ("drdrill 0", 700, Signal::SIGKILL, true),
        ("drdrill 0", 1300, Signal::SIGINT, false),
        ("drdrill 0", 1900, Signal::SIGINT, false),
        ("  in effect: ", 0, Signal::SIGKILL, true),
        ("  closing", 300, Signal::SIGKILL, false),
        // While one volume is changed for another.
        ("  done  check what was restored", 500, Signal::SIGKILL, true),
        // While the containers of a site are being removed.
        ("  in effect: gone: dr/", 300, Signal::SIGKILL, true),
    ] {
        let sandbox = ready();
        // Whoever comes afterwards has nothing but the ledger to tell them where the engine is.
        let engine = EngineAt::new(&sandbox.path("engine.sock"));
        let restores = moment.contains(" done ");
        let mut command = sandbox.command(if restores {
            "run accidental_deletion --env docker --set every=100ms"
        } else if moment.contains(" gone: ") {
            "run complete_infrastructure_loss --env docker --set every=100ms"
        } else {
            "run complete_site_failure --env docker --set soak=1s --set failback=none"
        });
        command.env("DOCKER_HOST", engine.address());
        let mut drill = Drill::start(command);
        let asked_by = drill.pid().as_raw();
        if moment == "  closing" || restores {
            drill.says("  in effect: ");
        }
        drill.says(moment);
        let run = run_of(&sandbox);
        // Something is there that has to go.
        until("something of the run is there", REMOVED, || {
            (!of_engine(&sandbox).is_empty()).then_some(())
        });
        // Not a wait for anything: so long after the moment it is struck.
        thread::sleep(Duration::from_millis(after));
        if keeper_too {
            let found = processes(&sandbox.state);
            let keepers = found.iter().filter(|(_, what)| what.contains(" keeper "));
            for (pid, _) in keepers {
                kill(Pid::from_raw(*pid), Signal::SIGKILL).unwrap();
            }
        }
        drill.signal(signal);
        drill.end();
        if keeper_too {
            let outcome = sandbox.run("recover");
            assert_eq!(outcome.code, Some(0), "{LEFT} of {run} at {moment}: {outcome:#?}");
        }
        all_is_gone(&sandbox);
        let others = engine.clients().into_iter().filter(|&client| client != asked_by).count();
        assert!(
            signal != Signal::SIGKILL || others > 0,
            "{moment}: it was another engine that was asked"
        );
    }
}

#[test]
fn hosts_that_are_asked_to_end_do_and_come_back() {
    undisturbed(|| {
        let sandbox = ready();
        let text = "\
scenario: asked
title: The hosts of the primary site are asked to end
kind: simulated
targets: { rto: 1h }
probes: { every: 50ms, deadline: 900ms }
faults:
  - at: 1s
    inject: { process_stop: { on: primary, max_targets: 5 } }
recovery: { failover: none, give_up_after: 1s }
soak: 200ms
";
        std::fs::write(sandbox.path("asked.yaml"), text).unwrap();
        let outcome = sandbox.run("run asked.yaml --env docker --format json");
        all_is_gone(&sandbox);
        let record = record(&outcome);
        let faults = record["faults"].as_array().unwrap();
        assert!(faults.len() == 1 && faults[0]["in_effect_ms"].is_number(), "{record:#}");
        assert!(faults[0]["reverted_ms"].is_number(), "{record:#}");
    });
}

#[test]
fn a_drill_does_not_notice_that_another_one_loses_a_site() {
    undisturbed(|| {
        let (loses, watches) = (ready(), ready());
        let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scenarios/no_op.yaml");
        let text = std::fs::read_to_string(shipped).unwrap();
        let longer = text.replace("samples: 1 }", "samples: 300 }");
        assert_ne!(text, longer);
        std::fs::write(watches.path("watch.yaml"), longer).unwrap();
        // Two environments that are asked 200 times a second are more than two processors have time for.
        let run = "run complete_site_failure --env docker --set failback=none --set soak=1s --set every=100ms";
        let mut losing = Drill::start(loses.command(run));
        let watch = "run watch.yaml --env docker --set every=100ms";
        let mut watching = Drill::start(watches.command(watch));
        watching.says("baseline: ");
        losing.says("  in effect: ");
        let codes = [losing.end().code, watching.end().code];
        for sandbox in [&loses, &watches] {
            all_is_gone(sandbox);
        }
        assert_eq!(codes, [Some(0), Some(0)]);
    });
}

/// Rows of a database that are not what was written.
const CHANGED: &str = "SELECT count(*) FROM entries WHERE encode(sha256(convert_to(value, 'UTF8')), 'hex') <> checksum";
/// The databases of both sites.
const DATABASES: [&str; 2] = ["primary-database", "dr-database"];

/// Runs a drill that restores, asks both databases while the fault is in effect and again when its end is near; returns the
/// record, and the writes that both have at the end.
fn restored(
    command: &str,
    asked: &str,
    struck: &str,
    well: &str,
) -> (Value, Sandbox, [BTreeSet<u64>; 2]) {
    let sandbox = ready();
    let mut drill = Drill::start(sandbox.command(command));
    drill.says("baseline: ").says("  in effect: ");
    let run = run_of(&sandbox);
    for host in DATABASES {
        assert_eq!(psql(&run, host, asked).trim(), struck, "{host}");
    }
    drill.says("  done  hold the backups").says("  done  verify the backups");
    drill.says("  done  serve what was restored").says("  done  rebuild the copy").says("  soak: ");
    // In one question: the drill does not wait for who asks. The standby last: it has what the other has had.
    let all = format!(
        "SELECT ({asked}), (SELECT timeline_id FROM pg_control_checkpoint()), \
         (SELECT string_agg(substr(id, 3), ' ') FROM entries WHERE id LIKE 'w-%')"
    );
    let said = DATABASES.map(|host| psql(&run, host, &all));
    let volumes = ["inspect", "-f", "{{range .Mounts}}{{.Name}} {{end}}"];
    let mounted = docker(&[&volumes[..], &[&format!("drdrill-{run}-primary-database")]].concat());
    assert!(mounted.contains(&format!("drdrill-{run}-primary-1-data ")), "{mounted}");
    let present = said.map(|said| {
        let mut words = said.trim().split('|');
        assert_eq!(words.next(), Some(well), "{said}");
        // A recovery from the archive ends on a history of its own.
        assert!(words.next().unwrap().parse::<u32>().unwrap() > 1, "{said}");
        words.next().unwrap().split(' ').map(|sequence| sequence.parse().unwrap()).collect()
    });
    let outcome = drill.end();
    all_is_gone(&sandbox);
    (record(&outcome.exits(0)), sandbox, present)
}

/// Every write that was acknowledged is in both databases, and so says the record; only what was under way while they were
/// asked is left out.
#[track_caller]
fn nothing_is_lost(record: &Value, sandbox: &Sandbox, present: &[BTreeSet<u64>; 2]) {
    let until = present[0].last().unwrap() - 10;
    let mut acknowledged = acknowledged(sandbox);
    acknowledged.retain(|sequence| *sequence <= until);
    let missing = present.each_ref().map(|present| acknowledged.difference(present).count() as u64);
    let writes = &record["services"][0]["rpo"]["writes"];
    let lost = writes["lost"].as_u64().unwrap();
    assert_eq!((missing, lost), ([0, 0], 0), "of {}", acknowledged.len());
    assert_eq!(writes["corrupt"], 0);
    assert_eq!(record["leftovers"], Value::Array(Vec::new()));
    assert_eq!(record["split_brain"], Value::Array(Vec::new()));
}

/// What a step of the record says.
fn detail(record: &Value, name: &str) -> String {
    let steps = record["steps"].as_array().unwrap();
    let step = steps.iter().find(|step| step["name"] == name).unwrap();
    step["detail"].as_str().unwrap().to_owned()
}

#[test]
fn a_table_that_was_dropped_is_there_again_with_every_row_as_a_select_says() {
    undisturbed(|| {
        let command =
            "run accidental_deletion --env docker --set every=100ms --set soak=8s --format json";
        let gone = "SELECT to_regclass('entries') IS NULL";
        let (record, sandbox, present) = restored(command, gone, "t", "f");
        let before = acknowledged_before_the_fault(&sandbox);
        assert!(before.len() > 20, "{}", before.len());
        assert_eq!(before.difference(&present[0]).count(), 0);
        nothing_is_lost(&record, &sandbox, &present);
        let restore = detail(&record, "restore");
        assert!(restore.contains(" drops entries; 0 entries of later ones"), "{restore}");
    });
}

#[test]
fn rows_that_were_changed_are_as_they_were_written_and_so_are_those_that_came_later() {
    undisturbed(|| {
        let command =
            "run data_corruption --env docker --set every=100ms --set soak=8s --format json";
        let (record, sandbox, present) = restored(command, CHANGED, "20", "0");
        nothing_is_lost(&record, &sandbox, &present);
        // Clients went on writing until somebody had looked twice.
        let walked = detail(&record, "verify the backups");
        let (_, later) = walked.split_once(" changes or removes rows of entries; ").unwrap();
        let carried: u64 = later.split(' ').next().unwrap().parse().unwrap();
        assert!(carried > 10, "{walked}");
    });
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
