//! When a change is in effect: the first round trip after the call shows it, for every kind of toxic.

use std::io::{self, Read};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use drdrill_faults::toxiproxy::client::{Client, NamedToxic, ProxyChange, Stream, Toxic};

use crate::Failure;
use crate::load;
use crate::report::{Limit, Report};

/// Changes of each kind.
const CHANGES: usize = 1_000;
/// What a delaying toxic delays at least.
const DELAY: Duration = Duration::from_millis(10);

/// How a toxic shows itself.
#[derive(Clone, Copy)]
enum Shows {
    /// A round trip takes longer.
    Delay,
    /// The end of the connection takes longer.
    LateEnd,
    /// The connection is closed or reset.
    Death,
}

pub(crate) async fn of_every_kind(
    report: &mut Report,
    client: &Client,
    through: SocketAddr,
) -> Result<(), Failure> {
    let jitter = Duration::ZERO;
    let instant = Duration::from_millis(1);
    let piece = Duration::from_micros(2_500);
    for (stream, toxic, shows) in [
        (Stream::Upstream, Toxic::Latency { latency: DELAY, jitter }, Shows::Delay),
        (Stream::Downstream, Toxic::Latency { latency: DELAY, jitter }, Shows::Delay),
        // 64 bytes, 6 of them each millisecond.
        (Stream::Upstream, Toxic::Bandwidth { kilobytes_per_second: 6 }, Shows::Delay),
        // 64 bytes in eight pieces, seven pauses between them.
        (
            Stream::Downstream,
            Toxic::Slicer { average_bytes: 8, variation_bytes: 0, delay: piece },
            Shows::Delay,
        ),
        (Stream::Downstream, Toxic::SlowClose { delay: DELAY }, Shows::LateEnd),
        (Stream::Downstream, Toxic::Timeout { timeout: instant }, Shows::Death),
        (Stream::Upstream, Toxic::ResetPeer { timeout: jitter }, Shows::Death),
        (Stream::Downstream, Toxic::LimitData { limit_bytes: 63 }, Shows::Death),
    ] {
        let kind = format!("{} {stream}", toxic.kind());
        let named = NamedToxic::new("seen", stream, toxic);
        let (mut spared, mut stale) = (0, 0);
        let mut connection = load::connect(through)?;
        for _ in 0..CHANGES {
            load::round_trip(&mut connection)?;
            client.add_toxic("bench", &named).await?;
            spared += usize::from(!is_seen(&mut connection, shows));
            if !matches!(shows, Shows::Delay) {
                connection = load::connect(through)?;
            }
            client.remove_toxic("bench", "seen").await?;
            // Taking a timeout away closes what it held.
            if matches!(shows, Shows::Death) {
                connection = load::connect(through)?;
            }
            stale += usize::from(is_seen(&mut connection, shows));
            if matches!(shows, Shows::LateEnd) {
                connection = load::connect(through)?;
            }
        }
        judge(report, &kind, spared, stale);
    }
    disabling(report, client, through).await
}

async fn disabling(
    report: &mut Report,
    client: &Client,
    through: SocketAddr,
) -> Result<(), Failure> {
    let (mut spared, mut stale) = (0, 0);
    for _ in 0..CHANGES {
        client.update_proxy("bench", &ProxyChange::enabled(false)).await?;
        spared += usize::from(TcpStream::connect(through).is_ok());
        client.update_proxy("bench", &ProxyChange::enabled(true)).await?;
        let served = load::connect(through).and_then(|mut stream| load::round_trip(&mut stream));
        stale += usize::from(served.is_err());
    }
    judge(report, "disabled", spared, stale);
    Ok(())
}

fn judge(report: &mut Report, kind: &str, spared: usize, stale: usize) {
    let none = Limit::Exactly(0.0);
    report.judge(&format!("{kind}: not in effect, of {CHANGES}"), spared as f64, none);
    report.judge(&format!("{kind}: still in effect, of {CHANGES}"), stale as f64, none);
}

fn is_seen(connection: &mut TcpStream, shows: Shows) -> bool {
    match shows {
        Shows::Delay => {
            load::round_trip(connection).is_ok_and(|micros| micros >= DELAY.as_secs_f64() * 1e6)
        }
        Shows::LateEnd => end(connection).is_ok_and(|took| took >= DELAY),
        Shows::Death => load::round_trip(connection).is_err(),
    }
}

/// How long the end takes to come back.
fn end(connection: &mut TcpStream) -> io::Result<Duration> {
    let before = Instant::now();
    connection.shutdown(Shutdown::Write)?;
    connection.read_to_end(&mut Vec::new())?;
    Ok(before.elapsed())
}
