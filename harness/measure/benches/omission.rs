//! Coordinated omission: a server that stalls for two seconds under 1000 requests a second for 15 s. Latency counts
//! from when a request was due, no slot is dropped, and the quantiles are what arithmetic says.
//!
//! `cargo bench -p drdrill-measure --bench omission`. A share f = (length of the stall) / 15 s of the requests waits,
//! uniformly from 0 to that length, so quantile q is length × (1 − (1 − q) / f). Limit: within 3 %.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on stops")]

#[path = "../tests/support/mod.rs"]
mod support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use drdrill_clock::monotonic_nanos;
use drdrill_core::probe::Connection;
use drdrill_core::sample::Sample;
use drdrill_measure::{Sampler, StreamPlan};
use support::drill::{facts, probe};
use support::{HOLD, OK, Server, pass, serve_if_child, wait_quiet};

const SECONDS: u32 = 15;
const RATE: u32 = 1000;

fn main() -> std::process::ExitCode {
    serve_if_child();
    wait_quiet();
    let mut server = Server::start(Server::free_port(), &[]);
    let mut stream = facts(Duration::from_secs(1) / RATE, Duration::from_secs(5));
    stream.connection = Connection::Kept;
    let plan = StreamPlan { facts: stream, probe: probe(server.port, Connection::Kept) };
    let samples = Arc::new(Mutex::new(Vec::<Sample>::new()));
    let sink = Arc::clone(&samples);
    let slots = u64::from(SECONDS * RATE);
    let running = Sampler::start(monotonic_nanos(), vec![plan], Some(slots), move |sample| {
        sink.lock().unwrap().push(sample);
    });
    pass(Duration::from_secs(6));
    let from = server.mode(HOLD);
    pass(Duration::from_secs(2));
    let to = server.mode(OK);
    let report = running.unwrap().wait().unwrap();
    let samples = samples.lock().unwrap();
    let mut latencies: Vec<f64> =
        samples.iter().map(|sample| sample.done.since(sample.due).as_secs_f64()).collect();
    latencies.sort_by(f64::total_cmp);
    let stall = Duration::from_nanos(to.0 - from.1).as_secs_f64();
    let share = stall / f64::from(SECONDS);
    println!("stall of {stall:.4} s, {report:?}");
    let mut passed = latencies.len() as u64 == slots;
    println!("{} no slot dropped: {} of {slots}", word(passed), latencies.len());
    for quantile in [0.90, 0.95, 0.99] {
        let exact = stall * (1.0 - (1.0 - quantile) / share);
        let measured = rank(&latencies, quantile);
        let off = (measured / exact - 1.0) * 100.0;
        let good = off.abs() <= 3.0;
        passed &= good;
        println!(
            "{} p{:.0}: {measured:.4} s, exact {exact:.4} s, off {off:+.2} %; limit 3 %",
            word(good),
            quantile * 100.0
        );
    }
    std::process::ExitCode::from(u8::from(!passed))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a rank among some thousand values"
)]
fn rank(sorted: &[f64], quantile: f64) -> f64 {
    sorted[((sorted.len() as f64 * quantile) as usize).min(sorted.len() - 1)]
}

fn word(passed: bool) -> &'static str {
    if passed { "PASS" } else { "FAIL" }
}
