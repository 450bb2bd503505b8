//! A lost site, as other clients than drdrill see it.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::drill::Drill;
use crate::support::entries::acknowledged;
use crate::support::number::number_of;
use crate::support::record::record;
use crate::support::undisturbed::undisturbed;
use crate::{acknowledged_before_the_fault, all_is_gone, present, ready, run_of};

/// Time between two attempts of clients.
const EVERY: Duration = Duration::from_millis(20);

/// A free address of this machine.
fn free_address() -> String {
    TcpListener::bind("127.46.0.1:0").unwrap().local_addr().unwrap().to_string()
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
fn a_lost_site_costs_what_others_see_and_after_the_way_back_both_databases_have_the_rest() {
    undisturbed(|| {
        let sandbox = ready();
        let listen = free_address();
        let run = format!("run complete_site_failure --env docker --set listen={listen}");
        let mut drill = Drill::start(sandbox.command(&format!("{run} --format json")));
        drill.says("baseline: ");
        let run = run_of(&sandbox);
        let done = AtomicBool::new(false);
        let (survivor, seen) = thread::scope(|scope| {
            let watcher = scope.spawn(|| watch(&listen, &done));
            drill.says("  soak: ");
            let survivor = present(&run, "dr-database");
            done.store(true, Ordering::Relaxed);
            (survivor, watcher.join().unwrap())
        });
        drill.says("  failback").says("  failed back");
        let both = ["primary-database", "dr-database"].map(|host| present(&run, host));
        let outcome = drill.end();
        all_is_gone(&sandbox, &run);
        let record = record(&outcome.exits(0));
        assert_eq!(record["environment"]["provider"], "docker");
        let before = acknowledged_before_the_fault(&sandbox);
        let missing = before.difference(&survivor).count();
        assert!(missing > 0, "with 250 ms of lag some are lost");
        let service = &record["services"][0];
        assert_eq!(service["rpo"]["writes"]["lost"], missing, "of {}", before.len());
        the_outage_is_what_was_seen(&service["outage"], seen);
        // What is under way while the two are read is left out: a second's worth.
        let until = both.iter().map(|present| *present.last().unwrap()).min().unwrap() - 50;
        let mut acknowledged = acknowledged(&sandbox);
        acknowledged.retain(|sequence| *sequence <= until);
        let lacks = |present: &BTreeSet<u64>| acknowledged.difference(present).count();
        assert_eq!(both.each_ref().map(lacks), [missing; 2]);
        assert_eq!(service["rpo"]["failback_lost"], 0);
        assert_eq!(record["split_brain"], Value::Array(Vec::new()));
        let functions = record["functionality"].as_array().unwrap();
        assert_eq!(functions.len(), 8, "four of them, after the recovery and after the way back");
        assert!(functions.iter().all(|function| function["outcome"] == "pass"), "{functions:?}");
    });
}

/// The outage of a service, and what an independent loop saw of it: at least, and at most.
#[track_caller]
fn the_outage_is_what_was_seen(outage: &Value, seen: (Duration, Duration)) {
    let millis = |bound: &str| outage[bound].as_f64().unwrap();
    let (at_least, at_most) = (millis("at_least_ms"), millis("at_most_ms"));
    let within = 2.0 * EVERY.as_secs_f64() * 1e3;
    let theirs = (seen.0.as_secs_f64() * 1e3, seen.1.as_secs_f64() * 1e3);
    assert!(
        theirs.0 <= at_most + within && at_least <= theirs.1 + within,
        "an independent loop saw an outage of {theirs:?} ms, drdrill of {at_least} to {at_most} ms"
    );
    eprintln!("outage: {at_least} to {at_most} ms; seen by another loop: {theirs:?} ms");
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
            let run = run_of(&sandbox);
            let present = present(&run, "dr-database");
            let outcome = drill.end();
            all_is_gone(&sandbox, &run);
            let record = record(&outcome.exits(0));
            let before = acknowledged_before_the_fault(&sandbox);
            assert!(before.len() > 50, "{}", before.len());
            assert_eq!(before.difference(&present).count(), 0, "round {round}");
            assert_eq!(record["services"][0]["rpo"]["writes"]["lost"], 0, "round {round}");
            eprintln!("site loss {round}: 0 of {} acknowledged lost", before.len());
        });
    }
}
