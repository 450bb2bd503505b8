//! Each toxic on real sockets: it does what it says, and not less.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::time::{Duration, Instant};

use drdrill_faults::toxiproxy::client::{NamedToxic, Stream, Toxic};
use support::{Bed, PATIENCE, assert_cut, behind, drain, echo, latency, round_trip};

/// More than a round trip without a toxic takes, even here.
const LOOSE: Duration = Duration::from_secs(2);

#[tokio::test]
async fn latency_delays_each_way_and_the_delays_add_up() {
    let bed = Bed::new(behind(echo)).await;
    let mut stream = bed.connect();
    round_trip(&mut stream).unwrap();
    bed.add(Stream::Downstream, latency(30)).await;
    let one_way = round_trip(&mut stream).unwrap();
    assert!((Duration::from_millis(30)..LOOSE).contains(&one_way), "{one_way:?}");
    let up = NamedToxic::new("up", Stream::Upstream, latency(20));
    bed.client.add_toxic("p", &up).await.unwrap();
    let both_ways = round_trip(&mut stream).unwrap();
    assert!((Duration::from_millis(50)..LOOSE).contains(&both_ways), "{both_ways:?}");
    let second = NamedToxic::new("second", Stream::Downstream, latency(40));
    bed.client.add_toxic("p", &second).await.unwrap();
    let chained = round_trip(&mut stream).unwrap();
    assert!((Duration::from_millis(90)..LOOSE).contains(&chained), "{chained:?}");
}

#[tokio::test]
async fn jitter_spreads_the_delays() {
    let bed = Bed::new(behind(echo)).await;
    let mut stream = bed.connect();
    let latency = Duration::from_millis(10);
    let jitter = Duration::from_millis(8);
    bed.add(Stream::Downstream, Toxic::Latency { latency, jitter }).await;
    let times: Vec<_> = (0..60).map(|_| round_trip(&mut stream).unwrap()).collect();
    assert!(times.iter().all(|time| *time + jitter >= latency));
    assert!(times.iter().any(|time| *time < latency));
    assert!(times.iter().any(|time| *time > latency));
}

#[tokio::test]
async fn bandwidth_limits_the_rate() {
    let bed = Bed::new(behind(echo)).await;
    let mut stream = bed.connect();
    bed.add(Stream::Upstream, Toxic::Bandwidth { kilobytes_per_second: 1_000 }).await;
    let data = vec![1; 200_000];
    let before = Instant::now();
    stream.write_all(&data).unwrap();
    let mut received = vec![0; data.len()];
    stream.read_exact(&mut received).unwrap();
    let took = before.elapsed();
    assert!((Duration::from_millis(200)..LOOSE).contains(&took), "{took:?}");
    assert_eq!(received, data);
}

#[tokio::test]
async fn slow_close_delays_the_end_but_no_data() {
    let bed = Bed::new(behind(|mut stream| stream.write_all(b"bye"))).await;
    bed.add(Stream::Downstream, Toxic::SlowClose { delay: Duration::from_millis(150) }).await;
    let before = Instant::now();
    let mut stream = bed.connect();
    let mut data = [0; 3];
    stream.read_exact(&mut data).unwrap();
    let first = before.elapsed();
    assert_eq!(drain(&mut stream).unwrap(), 0);
    let end = before.elapsed();
    assert!((Duration::from_millis(150)..PATIENCE).contains(&end), "{end:?}");
    assert!(first < end);
}

#[tokio::test]
async fn timeout_stops_data_and_then_closes() {
    let bed = Bed::new(behind(echo)).await;
    let mut stream = bed.connect();
    round_trip(&mut stream).unwrap();
    bed.add(Stream::Downstream, Toxic::Timeout { timeout: Duration::from_millis(100) }).await;
    let before = Instant::now();
    stream.write_all(b"lost").unwrap();
    assert_eq!(drain(&mut stream).unwrap(), 0);
    let took = before.elapsed();
    assert!((Duration::from_millis(100)..PATIENCE).contains(&took), "{took:?}");
}

#[tokio::test]
async fn removing_a_timeout_closes_what_it_held_and_new_connections_work() {
    let bed = Bed::new(behind(echo)).await;
    let mut stream = bed.connect();
    round_trip(&mut stream).unwrap();
    bed.add(Stream::Upstream, Toxic::Timeout { timeout: Duration::ZERO }).await;
    stream.write_all(b"lost").unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let waited = stream.read(&mut [0]).unwrap_err();
    assert_eq!(waited.kind(), ErrorKind::WouldBlock);
    bed.remove().await;
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_cut(&mut stream);
    round_trip(&mut bed.connect()).unwrap();
}

#[tokio::test]
async fn reset_peer_resets_old_and_new_connections() {
    let bed = Bed::new(behind(echo)).await;
    for way in [Stream::Upstream, Stream::Downstream] {
        let mut old = bed.connect();
        round_trip(&mut old).unwrap();
        bed.add(way, Toxic::ResetPeer { timeout: Duration::from_millis(20) }).await;
        for mut stream in [old, bed.connect()] {
            let before = Instant::now();
            stream.write_all(b"x").unwrap();
            let error = stream.read(&mut [0]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{way}");
            assert!(before.elapsed() >= Duration::from_millis(20));
        }
        bed.remove().await;
    }
}

#[tokio::test]
async fn slicer_cuts_data_into_pieces() {
    let bed = Bed::new(behind(echo)).await;
    let mut stream = bed.connect();
    let delay = Duration::from_millis(2);
    let slicer = Toxic::Slicer { average_bytes: 100, variation_bytes: 10, delay };
    bed.add(Stream::Downstream, slicer).await;
    let data: Vec<u8> = (0..1_600_u32).map(|n| (n % 251) as u8).collect();
    stream.write_all(&data).unwrap();
    let mut received = Vec::new();
    let mut reads = 0;
    let before = Instant::now();
    while received.len() < data.len() {
        let mut block = [0; 4_096];
        let length = stream.read(&mut block).unwrap();
        received.extend_from_slice(&block[..length]);
        reads += 1;
    }
    assert_eq!(received, data);
    // At least 1,600 / 110 pieces, the last without a pause after it.
    assert!(before.elapsed() >= delay * 13, "{:?}", before.elapsed());
    assert!(reads > 3, "{reads} reads");
}

#[tokio::test]
async fn limit_data_passes_exactly_so_much() {
    let bed = Bed::new(behind(echo)).await;
    for limit_bytes in [1, 100, 100_000] {
        bed.add(Stream::Downstream, Toxic::LimitData { limit_bytes }).await;
        let mut stream = bed.connect();
        let sending = stream.try_clone().unwrap();
        let writer = std::thread::spawn(move || {
            let mut sending = sending;
            // More than the limit; the connection may end while it is sent.
            drop(sending.write_all(&vec![1; 150_000]));
        });
        let mut received = 0;
        let mut block = vec![0; 64 * 1024];
        while let Ok(length @ 1..) = stream.read(&mut block) {
            received += length as u64;
        }
        assert_eq!(received, limit_bytes);
        writer.join().unwrap();
        bed.remove().await;
    }
}

#[tokio::test]
async fn toxicity_strikes_a_part_of_the_connections() {
    let bed = Bed::new(behind(echo)).await;
    let toxic = Toxic::LimitData { limit_bytes: 0 };
    let some = NamedToxic::new("t", Stream::Upstream, toxic).with_toxicity(0.5);
    bed.client.add_toxic("p", &some).await.unwrap();
    let spared = (0..200).filter(|_| round_trip(&mut bed.connect()).is_ok()).count();
    assert!((50..150).contains(&spared), "{spared} of 200 spared");
    bed.client.update_toxic("p", &some.clone().with_toxicity(0.0)).await.unwrap();
    assert!((0..50).all(|_| round_trip(&mut bed.connect()).is_ok()));
    bed.client.update_toxic("p", &some.with_toxicity(1.0)).await.unwrap();
    assert!((0..50).all(|_| round_trip(&mut bed.connect()).is_err()));
}

#[tokio::test]
async fn a_half_closed_connection_still_receives() {
    let bed = Bed::new(behind(|mut stream| {
        let total = drain(&mut stream)?;
        stream.write_all(format!("got {total}").as_bytes())
    }))
    .await;
    for toxic in [None, Some(latency(20))] {
        let delayed = toxic.is_some();
        if let Some(toxic) = toxic {
            bed.add(Stream::Downstream, toxic).await;
        }
        let mut stream = bed.connect();
        stream.write_all(&[1; 1_000]).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "got 1000", "delayed: {delayed}");
    }
}
