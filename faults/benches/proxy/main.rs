//! What the embedded Toxiproxy costs, against `haproxy` in TCP mode on the same CPU.
//!
//! Run with `cargo bench -p drdrill-faults --bench proxy`. Everything runs on one CPU, in processes of their
//! own; rounds alternate between the two proxies. Each figure is printed with its limit and PASS or FAIL.

#![expect(clippy::cast_precision_loss, reason = "figures for people")]

mod delays;
mod load;
mod processes;
mod report;
mod visibility;

use std::net::SocketAddr;

use drdrill_faults::toxiproxy::client::{Client, NewProxy};
use processes::{Haproxy, Helper};
use report::{Limit, Report, figure, median};

type Failure = Box<dyn std::error::Error>;

/// Rounds of each measurement; odd, so that there is a middle one.
const ROUNDS: usize = 7;
/// Round trips of a round.
const TRIPS: usize = 10_000;
/// Bytes sent, and echoed, in a round.
const BULK_BYTES: usize = 512 * 1024 * 1024;
/// What [`BULK_BYTES`] move through a proxy, in GiB: there and back.
const BULK_GIB: f64 = 1.0;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(role) = arguments.get(1).and_then(|word| word.strip_prefix("role=")) {
        return processes::play(role);
    }
    let cpu = processes::pin()?;
    println!("all processes on CPU {cpu}; {ROUNDS} rounds, alternating");

    let echo = Helper::start("echo")?;
    let ours = Helper::start("server")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let client = Client::new(format!("http://{}", ours.address))?;
    let wanted = NewProxy::new("bench", "127.0.0.1:0", echo.address.to_string());
    let proxy = runtime.block_on(client.create_proxy(&wanted))?;
    let through: SocketAddr = proxy.listen.parse()?;

    let mut report = Report::default();
    match Haproxy::start(echo.address)? {
        Some(haproxy) => {
            let peer = (haproxy.address, haproxy.pid());
            compare_trips(&mut report, echo.address, peer, (through, ours.pid()))?;
            compare_bulk(&mut report, peer, (through, ours.pid()))?;
        }
        None => report
            .missing("haproxy is not installed: nothing to compare with (apt install haproxy)"),
    }
    runtime.block_on(delays::accuracy(&mut report, &client, echo.address, through))?;
    runtime.block_on(visibility::of_every_kind(&mut report, &client, through))?;
    report.conclude()
}

type Measured = (SocketAddr, u32);

/// What a proxy adds to a small round trip.
fn compare_trips(
    report: &mut Report,
    direct: SocketAddr,
    peer: Measured,
    ours: Measured,
) -> Result<(), Failure> {
    let (mut added_peer, mut added_ours) = (Vec::new(), Vec::new());
    let (mut cpu_peer, mut cpu_ours) = (Vec::new(), Vec::new());
    let mut base = Vec::new();
    for _ in 0..ROUNDS {
        let floor = median(&load::round_trips(direct, TRIPS)?);
        base.push(floor);
        for ((address, pid), added, cpu) in
            [(peer, &mut added_peer, &mut cpu_peer), (ours, &mut added_ours, &mut cpu_ours)]
        {
            let before = processes::cpu_micros(pid)?;
            added.push(median(&load::round_trips(address, TRIPS)?) - floor);
            cpu.push((processes::cpu_micros(pid)? - before) / TRIPS as f64);
        }
    }
    figure("direct round trip p50", "us", &base);
    figure("added by haproxy p50", "us", &added_peer);
    figure("added by us p50", "us", &added_ours);
    figure("CPU of haproxy per round trip", "us", &cpu_peer);
    figure("CPU of ours per round trip", "us", &cpu_ours);
    report.judge(
        "added p50, ours / haproxy",
        median(&added_ours) / median(&added_peer),
        Limit::AtMost(1.1),
    );
    Ok(())
}

/// What it costs to move much data.
fn compare_bulk(report: &mut Report, peer: Measured, ours: Measured) -> Result<(), Failure> {
    let (mut cpu_peer, mut cpu_ours) = (Vec::new(), Vec::new());
    let (mut rate_peer, mut rate_ours) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        for ((address, pid), cpu, rate) in
            [(peer, &mut cpu_peer, &mut rate_peer), (ours, &mut cpu_ours, &mut rate_ours)]
        {
            let before = processes::cpu_micros(pid)?;
            rate.push(load::bulk(address, BULK_BYTES)?);
            cpu.push((processes::cpu_micros(pid)? - before) / 1_000.0 / BULK_GIB);
        }
    }
    figure("bulk echo through haproxy", "MiB/s", &rate_peer);
    figure("bulk echo through us", "MiB/s", &rate_ours);
    figure("CPU of haproxy per GiB moved", "ms", &cpu_peer);
    figure("CPU of ours per GiB moved", "ms", &cpu_ours);
    report.judge(
        "CPU per GiB, ours / haproxy",
        median(&cpu_ours) / median(&cpu_peer),
        Limit::AtMost(0.75),
    );
    Ok(())
}
