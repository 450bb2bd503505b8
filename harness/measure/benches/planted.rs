//! Exactness of the recovery time: planted outages of a real server, probed every millisecond, beside the usual
//! stopwatch, a serial loop that asks once a second.
//!
//! `cargo bench -p drdrill-measure --bench planted -- [outages]` (default 59: all contained is 95/95). Limits: all
//! intervals contain the truth; median width at most 2.5 probe intervals; median error of the middle at most 1/200
//! of the serial loop's.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on stops")]

#[path = "../tests/support/mod.rs"]
mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use drdrill_clock::monotonic_nanos;
use drdrill_core::probe::Connection;
use support::drill::{Drill, Truth, contains, facts, probe};
use support::{Server, pass, serve_if_child, wait_quiet};

const EVERY: Duration = Duration::from_millis(1);
const DEADLINE: Duration = Duration::from_millis(900);
const SUSTAINED: Duration = Duration::from_secs(1);

fn main() -> std::process::ExitCode {
    serve_if_child();
    wait_quiet();
    let outages = std::env::args().skip(1).find_map(|word| word.parse().ok()).unwrap_or(59);
    let mut contained = 0;
    let (mut widths, mut errors, mut serial) = (Vec::new(), Vec::new(), Vec::new());
    let mut missed = 0;
    for round in 0..outages {
        let (record, truth, stopwatch) = outage(round);
        match contains(&record, &truth) {
            Ok((at_least, at_most)) => {
                contained += 1;
                widths.push(at_most - at_least);
                errors.push((f64::midpoint(at_least, at_most) - truth.ms()).abs());
            }
            Err(why) => println!("outage {round}: NOT CONTAINED: {why}"),
        }
        match stopwatch {
            Some(ms) => serial.push((ms - truth.ms()).abs()),
            None => missed += 1,
        }
    }
    let (width, error, loop_error) =
        (median(&mut widths), median(&mut errors), median(&mut serial));
    let worst = widths.last().copied().unwrap_or(f64::NAN);
    println!("{outages} outages of 0.7 to 2.2 s, one attempt every {EVERY:?}");
    println!("width of the interval: median {width:.3} ms, worst {worst:.3} ms");
    println!("error of its middle: median {error:.3} ms; worst {:.3} ms", last(&errors));
    println!(
        "serial 1 s loop: median error {loop_error:.1} ms, worst {:.1} ms, missed {missed} of {outages}",
        last(&serial)
    );
    let ratio = loop_error / error;
    let passed = [
        check(
            "truth contained",
            contained == outages,
            &format!("{contained} of {outages}; limit all"),
        ),
        check("median width", width <= 2.5, &format!("{width:.2} intervals; limit 2.5")),
        check("error against the loop", ratio >= 200.0, &format!("1/{ratio:.0}; limit 1/200")),
    ];
    std::process::ExitCode::from(u8::from(passed.contains(&false)))
}

fn outage(round: u64) -> (drdrill_core::record::Record, Truth, Option<f64>) {
    let server = Server::start(Server::free_port(), &[]);
    let port = server.port;
    let stopwatch = Stopwatch::start(port);
    let stream = facts(EVERY, DEADLINE);
    let mut drill = Drill::start(stream, probe(port, Connection::Fresh), SUSTAINED);
    pass(Duration::from_millis(1_000 + (round * 379) % 1_000));
    let broken = server.kill();
    drill.fault(broken);
    pass(Duration::from_millis(700 + (round * 617) % 1_500));
    let server = Server::start(port, &[]);
    let truth = Truth { broken, back: server.up };
    drill.wait_restored(Duration::from_secs(30));
    pass(Duration::from_millis(300));
    let (record, _) = drill.finish();
    (record, truth, stopwatch.stop())
}

/// What blogs do: one attempt after the other, a second apart; from the first failure to the next success.
struct Stopwatch {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Option<f64>>,
}

impl Stopwatch {
    fn start(port: u16) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut failed = None;
            while !told.load(Ordering::Relaxed) || failed.is_some() {
                let now = monotonic_nanos();
                let works = ask(port);
                match failed {
                    Some(since) if works => {
                        return Some(Duration::from_nanos(now - since).as_secs_f64() * 1e3);
                    }
                    None if !works => failed = Some(now),
                    _ => {}
                }
                std::thread::sleep(Duration::from_secs(1));
            }
            None
        });
        Self { stop, thread }
    }

    fn stop(self) -> Option<f64> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

fn ask(port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return false };
    let _ = stream.set_read_timeout(Some(Duration::from_secs(1)));
    let request = b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let mut answer = String::new();
    stream.write_all(request).is_ok()
        && stream.read_to_string(&mut answer).is_ok()
        && answer.contains("200")
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn last(values: &[f64]) -> f64 {
    values.last().copied().unwrap_or(f64::NAN)
}

fn check(what: &str, passed: bool, figures: &str) -> bool {
    println!("{} {what}: {figures}", if passed { "PASS" } else { "FAIL" });
    passed
}
