//! A change is in effect when the call has returned, and no change loses or spoils data.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::Duration;

use drdrill_faults::toxiproxy::client::{NamedToxic, NewProxy, ProxyChange, Stream, Toxic};
use sha2::{Digest, Sha256};
use support::{Bed, assert_cut, behind, echo, latency, round_trip};

const TIMES: usize = 200;

#[tokio::test]
async fn adding_and_removing_is_seen_by_the_first_round_trip() {
    let bed = Bed::new(behind(echo)).await;
    let mut stream = bed.connect();
    let delay = Duration::from_millis(10);
    let mut stale = 0;
    for round in 0..TIMES {
        let way = if round % 2 == 0 { Stream::Upstream } else { Stream::Downstream };
        bed.add(way, latency(10)).await;
        let delayed = round_trip(&mut stream).unwrap();
        assert!(delayed >= delay, "round {round}: {delayed:?} after adding");
        bed.remove().await;
        stale += usize::from(round_trip(&mut stream).unwrap() >= delay);
    }
    // Nothing but another program on this machine can make a round trip without a toxic so slow.
    assert!(stale <= TIMES / 20, "{stale} of {TIMES} still delayed after removing");
}

#[tokio::test]
async fn a_change_is_seen_by_the_first_round_trip() {
    let bed = Bed::new(behind(echo)).await;
    let mut stream = bed.connect();
    bed.add(Stream::Downstream, latency(0)).await;
    let with = |millis| NamedToxic::new("t", Stream::Downstream, latency(millis));
    let mut stale = 0;
    for _ in 0..TIMES {
        bed.client.update_toxic("p", &with(10)).await.unwrap();
        assert!(round_trip(&mut stream).unwrap() >= Duration::from_millis(10));
        bed.client.update_toxic("p", &with(0)).await.unwrap();
        stale += usize::from(round_trip(&mut stream).unwrap() >= Duration::from_millis(10));
    }
    assert!(stale <= TIMES / 20, "{stale} of {TIMES}");
}

#[tokio::test]
async fn removing_a_toxic_lets_go_what_it_held() {
    let bed = Bed::new(behind(echo)).await;
    for toxic in [
        latency(3_600_000),
        Toxic::Bandwidth { kilobytes_per_second: 0 },
        Toxic::ResetPeer { timeout: Duration::from_hours(1) },
    ] {
        let mut stream = bed.connect();
        round_trip(&mut stream).unwrap();
        bed.add(Stream::Upstream, toxic).await;
        stream.write_all(b"held").unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let waited = stream.read(&mut [0; 4]).unwrap_err();
        assert_eq!(waited.kind(), ErrorKind::WouldBlock);
        bed.remove().await;
        stream.set_read_timeout(Some(support::PATIENCE)).unwrap();
        let mut data = [0; 4];
        stream.read_exact(&mut data).unwrap();
        assert_eq!(&data, b"held");
    }
}

#[tokio::test]
async fn a_disabled_proxy_refuses_at_once_and_cuts_what_is_there() {
    let bed = Bed::new(behind(echo)).await;
    for _ in 0..TIMES {
        let mut stream = bed.connect();
        round_trip(&mut stream).unwrap();
        bed.client.update_proxy("p", &ProxyChange::enabled(false)).await.unwrap();
        let refused = TcpStream::connect(bed.listen).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        assert_cut(&mut stream);
        bed.client.update_proxy("p", &ProxyChange::enabled(true)).await.unwrap();
        round_trip(&mut bed.connect()).unwrap();
    }
}

#[tokio::test]
async fn a_deleted_proxy_and_a_stopped_server_leave_nothing_behind() {
    let bed = Bed::new(behind(echo)).await;
    let second = NewProxy::new("second", "127.0.0.1:0", behind(echo).to_string());
    let second = bed.client.create_proxy(&second).await.unwrap();
    let mut stream = bed.connect();
    round_trip(&mut stream).unwrap();
    bed.client.delete_proxy("p").await.unwrap();
    assert!(TcpStream::connect(bed.listen).is_err());
    assert_cut(&mut stream);
    let api = bed.server.api();
    bed.server.shutdown().await.unwrap();
    assert!(TcpStream::connect(&second.listen).is_err());
    assert!(TcpStream::connect(api).is_err());
}

#[tokio::test]
async fn a_new_address_cuts_connections_and_keeps_toxics() {
    let bed = Bed::new(behind(echo)).await;
    let other = behind(|mut stream| stream.write_all(b"other"));
    bed.add(Stream::Downstream, latency(30)).await;
    let mut old = bed.connect();
    round_trip(&mut old).unwrap();
    let change = ProxyChange { upstream: Some(other.to_string()), ..ProxyChange::default() };
    let proxy = bed.client.update_proxy("p", &change).await.unwrap();
    assert_eq!(proxy.listen, bed.listen.to_string());
    assert_cut(&mut old);
    let before = std::time::Instant::now();
    let mut answer = String::new();
    bed.connect().read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "other");
    assert!(before.elapsed() >= Duration::from_millis(30));
}

/// Sends `data` and its end, and returns the digest of what comes back.
fn reflect(mut stream: TcpStream, data: Vec<u8>) -> Vec<u8> {
    let mut sending = stream.try_clone().unwrap();
    let writer = thread::spawn(move || {
        sending.write_all(&data).unwrap();
        sending.shutdown(Shutdown::Write).unwrap();
    });
    let mut digest = Sha256::new();
    let mut block = vec![0; 64 * 1024];
    loop {
        match stream.read(&mut block).unwrap() {
            0 => break,
            length => digest.update(&block[..length]),
        }
    }
    writer.join().unwrap();
    digest.finalize().to_vec()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn much_data_arrives_unspoiled_while_toxics_come_and_go() {
    let bed = Bed::new(behind(echo)).await;
    let data: Vec<u8> =
        (0..48 * 1024 * 1024_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let expected = Sha256::digest(&data).to_vec();
    let stream = bed.connect();
    let transfer = thread::spawn(move || reflect(stream, data));
    let delay = Duration::from_micros(10);
    let mut changes = 0;
    while !transfer.is_finished() {
        for (way, toxic) in [
            (Stream::Upstream, latency(2)),
            (Stream::Downstream, Toxic::Bandwidth { kilobytes_per_second: 500_000 }),
            (
                Stream::Downstream,
                Toxic::Slicer { average_bytes: 9_000, variation_bytes: 500, delay },
            ),
            (Stream::Upstream, Toxic::SlowClose { delay: Duration::from_millis(1) }),
            (Stream::Downstream, Toxic::LimitData { limit_bytes: 1 << 40 }),
            (Stream::Upstream, Toxic::Noop),
        ] {
            bed.add(way, toxic).await;
            tokio::time::sleep(Duration::from_millis(2)).await;
            bed.remove().await;
            tokio::time::sleep(Duration::from_millis(2)).await;
            changes += 2;
        }
    }
    assert_eq!(transfer.join().unwrap(), expected);
    assert!(changes >= 12, "{changes} changes");
}
