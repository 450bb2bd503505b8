//! The open-loop schedule: 1000 requests a second for 15 s as the server sees them arrive, and the processor time
//! each costs, beside `oha` in the same run.
//!
//! `cargo bench -p drdrill-measure --bench schedule -- [rounds]` (default 3). The error of an arrival is its distance
//! from the even grid that fits all arrivals best; so both programs are measured in the same way, and neither's
//! constant delay counts. Limits: p50 of the error at most half of oha's, processor time at most half of oha's.
//! Without oha on the path, its figures of 2026-11 (0.30 ms, 132 us) stand in, and the output says so.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on stops")]

#[path = "../tests/support/mod.rs"]
mod support;

use std::process::{Command, Stdio};
use std::time::Duration;

use drdrill_clock::monotonic_nanos;
use drdrill_core::probe::Connection;
use drdrill_measure::{Sampler, StreamPlan};
use nix::sys::resource::{UsageWho, getrusage};
use support::drill::{facts, probe};
use support::{Server, serve_if_child, wait_quiet};

const SECONDS: u64 = 15;
const RATE: u64 = 1000;

/// What one program achieved: errors in milliseconds, processor time per request in microseconds.
#[derive(Clone, Copy, Debug)]
struct Figures {
    p50: f64,
    p99: f64,
    cpu: f64,
    requests: usize,
}

fn main() -> std::process::ExitCode {
    serve_if_child();
    wait_quiet();
    let rounds: u64 = std::env::args().skip(1).find_map(|word| word.parse().ok()).unwrap_or(3);
    let mut server = Server::start(Server::free_port(), &[]);
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        ours.push(drdrill(&mut server, RATE, SECONDS));
        theirs.extend(oha(&mut server));
    }
    let fast = drdrill(&mut server, 5000, 5);
    println!("{:8} {:>10} {:>10} {:>12} {:>9}", "", "p50 ms", "p99 ms", "CPU us/req", "requests");
    show("drdrill", &ours);
    show("oha", &theirs);
    show("5000/s", &[fast]);
    let reference = if theirs.is_empty() {
        println!(
            "oha is NOT on the path: its recorded figures stand in (cargo install oha --locked)"
        );
        Figures { p50: 0.30, p99: 2.9, cpu: 132.0, requests: 15_000 }
    } else {
        middle(&theirs)
    };
    let own = middle(&ours);
    let passed = [
        check("schedule error p50", own.p50 / reference.p50),
        check("processor time per request", own.cpu / reference.cpu),
    ];
    std::process::ExitCode::from(u8::from(passed.contains(&false)))
}

fn drdrill(server: &mut Server, rate: u64, seconds: u64) -> Figures {
    let mut stream = facts(Duration::from_nanos(1_000_000_000 / rate), Duration::from_secs(1));
    stream.connection = Connection::Kept;
    let plan = StreamPlan { facts: stream, probe: probe(server.port, Connection::Kept) };
    server.arrivals();
    let before = own_cpu();
    let limit = Some(rate * seconds);
    let sampler = Sampler::start(monotonic_nanos(), vec![plan], limit, |_| {}).unwrap();
    sampler.wait().unwrap();
    let cpu = own_cpu().saturating_sub(before);
    figures(&server.arrivals(), cpu, rate)
}

fn oha(server: &mut Server) -> Option<Figures> {
    server.arrivals();
    let before = children_cpu();
    let (rate, requests) = (RATE.to_string(), (RATE * SECONDS).to_string());
    let url = format!("http://127.0.0.1:{}/", server.port);
    let status = Command::new("oha")
        .args(["--no-tui", "-q", &rate, "-n", &requests, "-c", "50", "--latency-correction", &url])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .ok()?;
    assert!(status.success(), "oha failed: {status}");
    let cpu = children_cpu().saturating_sub(before);
    Some(figures(&server.arrivals(), cpu, RATE))
}

/// Of this whole process, the delivery of samples included.
fn own_cpu() -> Duration {
    cpu(UsageWho::RUSAGE_SELF)
}

/// Of children that have ended; the server has not.
fn children_cpu() -> Duration {
    cpu(UsageWho::RUSAGE_CHILDREN)
}

fn cpu(who: UsageWho) -> Duration {
    let usage = getrusage(who).unwrap();
    let time = |value: nix::sys::time::TimeVal| {
        Duration::from_secs(value.tv_sec().try_into().unwrap())
            + Duration::from_micros(value.tv_usec().try_into().unwrap())
    };
    time(usage.user_time()) + time(usage.system_time())
}

#[expect(clippy::cast_precision_loss, reason = "seconds in nanoseconds")]
fn figures(arrivals: &[u64], cpu: Duration, rate: u64) -> Figures {
    let every = 1e9 / rate as f64;
    let mut arrivals = arrivals.to_vec();
    arrivals.sort_unstable();
    let first = arrivals[0];
    let offsets: Vec<f64> = (0_u32..)
        .zip(&arrivals)
        .map(|(slot, at)| (at - first) as f64 - f64::from(slot) * every)
        .collect();
    let mut sorted = offsets.clone();
    sorted.sort_by(f64::total_cmp);
    let shift = sorted[sorted.len() / 2];
    let mut errors: Vec<f64> = offsets.iter().map(|offset| (offset - shift).abs() / 1e6).collect();
    errors.sort_by(f64::total_cmp);
    Figures {
        p50: errors[errors.len() / 2],
        p99: errors[errors.len() * 99 / 100],
        cpu: cpu.as_secs_f64() * 1e6 / arrivals.len() as f64,
        requests: arrivals.len(),
    }
}

/// The middle round of each figure.
fn middle(rounds: &[Figures]) -> Figures {
    let of = |figure: fn(&Figures) -> f64| {
        let mut values: Vec<f64> = rounds.iter().map(figure).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    Figures { p50: of(|f| f.p50), p99: of(|f| f.p99), cpu: of(|f| f.cpu), ..rounds[0] }
}

fn show(name: &str, rounds: &[Figures]) {
    for figures in rounds {
        let Figures { p50, p99, cpu, requests } = figures;
        println!("{name:8} {p50:10.3} {p99:10.3} {cpu:12.1} {requests:9}");
    }
}

fn check(what: &str, ratio: f64) -> bool {
    let passed = ratio <= 0.5;
    println!("{} {what}: {ratio:.2} of oha's; limit 0.50", if passed { "PASS" } else { "FAIL" });
    passed
}
