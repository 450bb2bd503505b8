//! How exact delays are.

use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use drdrill_faults::toxiproxy::client::{Client, NamedToxic, Stream, Toxic};

use crate::load;
use crate::report::{Limit, Report, figure, median, quantile};
use crate::{Failure, TRIPS};

/// Delays, in milliseconds, and how many round trips each is measured with.
const DELAYS: [(u64, usize); 4] = [(1, 1_000), (5, 400), (20, 200), (100, 100)];

/// More than this at p99 of direct round trips, and the machine is too busy to judge others by it.
const QUIET_MILLIS: f64 = 0.5;

/// The excess of a delayed round trip over the delay and a direct round trip.
///
/// A processor that has slept is slow at first, for anybody. So the direct round trips are as seldom as the
/// delayed ones; against direct round trips without a pause, the excess is shown as well.
pub(crate) async fn accuracy(
    report: &mut Report,
    client: &Client,
    direct: SocketAddr,
    through: SocketAddr,
) -> Result<(), Failure> {
    let busy = median(&load::round_trips(direct, TRIPS)?);
    let mut stream = load::connect(through)?;
    let mut base = load::connect(direct)?;
    for (millis, count) in DELAYS {
        client.add_toxic("bench", &latency(millis)).await?;
        load::round_trip(&mut stream)?;
        let (mut seldom, mut over) = (Vec::new(), Vec::new());
        for _ in 0..count {
            thread::sleep(Duration::from_millis(millis));
            seldom.push(load::round_trip(&mut base)?);
            over.push(load::round_trip(&mut stream)? - millis as f64 * 1e3);
        }
        client.remove_toxic("bench", "delay").await?;
        let excess = |base: f64| over.iter().map(|over| (over - base) / 1e3).collect::<Vec<_>>();
        figure(&format!("direct, one in {millis} ms"), "us", &seldom);
        figure(&format!("{millis} ms: excess over busy direct"), "ms", &excess(busy));
        let excess = excess(median(&seldom));
        let name = format!("excess over a delay of {millis} ms");
        figure(&name, "ms", &excess);
        report.judge(&format!("{name}, p50 in ms"), median(&excess), Limit::AtMost(0.15));
        let late = quantile(&excess, 0.99);
        let floor = quantile(&seldom, 0.99) / 1e3;
        if floor > QUIET_MILLIS {
            let what = format!(
                "{name}, p99: {late:.3} ms, but {floor:.3} ms without a proxy: too noisy here"
            );
            report.missing(&what);
        } else {
            report.judge(&format!("{name}, p99 in ms"), late, Limit::AtMost(1.0));
        }
    }
    Ok(())
}

fn latency(millis: u64) -> NamedToxic {
    let latency = Duration::from_millis(millis);
    let jitter = Duration::ZERO;
    NamedToxic::new("delay", Stream::Downstream, Toxic::Latency { latency, jitter })
}
