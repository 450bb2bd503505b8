//! What is struck, and what is not.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use drdrill_core::network::Way;
use drdrill_core::units::{Rate, Share};
use drdrill_faults::nft::{Rules, Strike, Table};

use crate::world::{LONG, PATIENCE, Stream, World, address, rules, until};

/// Kind of traffic: way, IPv6, link of the neighbour, port of the node.
type Kind = (Way, bool, u8, u16);

/// A cut, and which kinds of traffic it strikes.
type Case = (Rules, fn(Kind) -> bool);

fn cases() -> Vec<Case> {
    let cut = |way| rules(Strike::Drop, way);
    let near = vec![address(false, 1, 2), address(true, 1, 2)];
    vec![
        (cut(Way::Both), |_| true),
        (cut(Way::In), |it| it.0 == Way::In),
        (cut(Way::Out), |it| it.0 == Way::Out),
        (Rules { peers: near[..1].to_vec(), ..cut(Way::Both) }, |it| !it.1 && it.2 == 1),
        (Rules { peers: near.clone(), ..cut(Way::Both) }, |it| it.2 == 1),
        (Rules { ports: vec![80], ..cut(Way::Both) }, |it| it.3 == 80),
        (Rules { peers: near[1..].to_vec(), ports: vec![80, 7], ..cut(Way::In) }, |it| {
            it == (Way::In, true, 1, 80)
        }),
    ]
}

fn places() -> impl Iterator<Item = (bool, u8, u16)> {
    (0..8).map(|bits| {
        (bits & 1 > 0, if bits & 2 > 0 { 1 } else { 2 }, if bits & 4 > 0 { 80 } else { 81 })
    })
}

/// Also run by `privileges`, as nobody.
#[test]
fn a_cut_strikes_exactly_what_it_should() {
    let world = World::new();
    let mut streams: Vec<(Kind, Stream)> = places()
        .flat_map(|(six, link, port)| {
            Stream::both(&world, six, link, port).map(|it| ((it.way, six, link, port), it))
        })
        .collect();
    let listeners: Vec<_> = places()
        .map(|(six, link, port)| {
            let at = SocketAddr::new(address(six, link, 1), port);
            ((six, link, port), world.node.listen(at))
        })
        .collect();
    let own = world.node.listen("127.0.0.1:80".parse().unwrap());

    for (number, (rules, strikes)) in cases().into_iter().enumerate() {
        let table = Table::install(&world.node.namespace, "t", &rules, LONG).unwrap();
        for (kind, stream) in &mut streams {
            if strikes(*kind) {
                stream.send(8);
            } else {
                stream.passes(&format!("case {number}, {kind:?}"));
            }
        }
        for ((six, link, port), listener) in &listeners {
            let cut = [Way::In, Way::Out].iter().any(|way| strikes((*way, *six, *link, *port)));
            let peer = if *link == 1 { &world.near } else { &world.far };
            let patience = if cut { Duration::from_millis(100) } else { PATIENCE };
            let to = listener.local_addr().unwrap();
            assert_eq!(peer.connects(to, patience), !cut, "case {number}, TCP to {to}");
            assert!(world.node.connects(to, PATIENCE), "case {number}, the node to itself");
        }
        assert!(world.node.connects(own.local_addr().unwrap(), PATIENCE));
        table.remove().unwrap();
        for (kind, stream) in &mut streams {
            stream.passes(&format!("after case {number}, {kind:?}"));
        }
    }
}

#[test]
fn a_kept_connection_loses_nothing_and_is_told_nothing() {
    let world = World::new();
    for six in [false, true] {
        let listener = world.node.listen(SocketAddr::new(address(six, 1, 1), 80));
        let to = listener.local_addr().unwrap();
        let mut client = world.near.namespace.run(|| TcpStream::connect(to).unwrap()).unwrap();
        let (mut server, _) = listener.accept().unwrap();
        for way in [Way::In, Way::Out, Way::Both] {
            let table = Table::install(&world.node.namespace, "t", &rules(Strike::Drop, way), LONG)
                .unwrap();
            server.write_all(&[7; 1000]).unwrap();
            client.write_all(&[8; 1000]).unwrap();
            // Longer than the least time after which TCP sends again (200 ms).
            std::thread::sleep(Duration::from_millis(300));
            table.remove().unwrap();
            let mut received = [0; 1000];
            for (side, byte) in [(&mut client, 7), (&mut server, 8)] {
                side.set_read_timeout(Some(PATIENCE)).unwrap();
                side.read_exact(&mut received).unwrap();
                assert_eq!(received, [byte; 1000], "{way:?}");
            }
        }
    }
}

#[test]
fn a_device_that_comes_later_leaks_nothing() {
    let world = World::new();
    let table =
        Table::install(&world.node.namespace, "t", &rules(Strike::Drop, Way::Out), LONG).unwrap();
    // One is new, and one has the name of one that was there.
    world.node.command("ip link delete v2");
    for (device, link) in [("v2", 2), ("v3", 3)] {
        world.node.wire(device, &world.far, device, link);
        let node = world.node.udp(SocketAddr::new(address(false, link, 1), 0));
        let far = world.far.udp(SocketAddr::new(address(false, link, 2), 0));
        // Here the sender is told; what counts is that nothing gets through.
        let told = node.send_to(b"lost", far.local_addr().unwrap());
        assert_eq!(told.unwrap_err().kind(), std::io::ErrorKind::PermissionDenied);
        far.send_to(b"arrives", node.local_addr().unwrap()).unwrap();
        node.recv(&mut [0; 8]).unwrap();
    }
    table.remove().unwrap();
}

#[test]
fn neighbours_still_find_each_other() {
    let world = World::new();
    let [mut arriving, mut leaving] = Stream::both(&world, true, 1, 0);
    let cut = Rules { peers: vec![address(true, 1, 2)], ..rules(Strike::Drop, Way::Both) };
    for rules in [rules(Strike::Drop, Way::Both), cut] {
        let table = Table::install(&world.node.namespace, "t", &rules, LONG).unwrap();
        for (host, device, neighbour, stream) in [
            (&world.near, "v0", "fd07:1::1", &mut arriving),
            (&world.node, "v1", "fd07:1::2", &mut leaving),
        ] {
            host.command(&format!("ip -6 neigh flush dev {device}"));
            until("the neighbour is known", PATIENCE, || {
                stream.send(8);
                let line = host.command(&format!("ip -6 neigh show {neighbour} dev {device}"));
                line.contains("lladdr") && !line.contains("FAILED")
            });
        }
        table.remove().unwrap();
        arriving.passes("arriving");
        leaving.passes("leaving");
    }
}

#[test]
fn thirty_percent_are_thirty_percent() {
    let world = World::new();
    for mut stream in [false, true].into_iter().flat_map(|six| Stream::both(&world, six, 1, 0)) {
        let strike = Strike::Lose(Share::percent(30));
        let rules = rules(strike, Way::Both);
        let table = Table::install(&world.node.namespace, "t", &rules, LONG).unwrap();
        let mut arrived = 0;
        for _ in 0..200 {
            for _ in 0..50 {
                stream.send(8);
            }
            arrived += stream.waiting();
        }
        table.remove().unwrap();
        arrived += stream.arrived_before_next();
        // Of 10,000: six standard deviations are 2.7 %.
        println!("{:?}: {} of 10000 lost", stream.way, 10_000 - arrived);
        assert!((6_700..=7_300).contains(&arrived), "{:?}: {arrived} of 10000 arrived", stream.way);
    }
}

#[test]
fn a_limit_limits_each_way_on_its_own() {
    const RATE: f64 = 200_000.0;
    let world = World::new();
    let strike = Strike::Limit(Rate { bytes_per_second: 200_000 });
    for six in [false, true] {
        let streams = Stream::both(&world, six, 1, 0);
        let rules = rules(strike, Way::Both);
        let table = Table::install(&world.node.namespace, "t", &rules, LONG).unwrap();
        for mut stream in streams {
            // 1,000 bytes of IP packet, with headers.
            let payload = if six { 952 } else { 972 };
            let start = Instant::now();
            let mut arrived = 0;
            while start.elapsed() < Duration::from_secs(1) {
                for _ in 0..10 {
                    stream.send(payload);
                }
                arrived += stream.waiting();
                std::thread::sleep(Duration::from_millis(2));
            }
            let (seconds, bytes) = (
                start.elapsed().as_secs_f64(),
                f64::from(u32::try_from(arrived).unwrap()) * 1000.0,
            );
            // One second's worth and a packet at once, then the rate.
            let expected = RATE * (1.0 + seconds) + 1500.0;
            println!("{:?}: {bytes} bytes in {seconds:.2} s, {expected:.0} allowed", stream.way);
            assert!(bytes <= expected + 1000.0, "{:?}: {bytes} of {expected}", stream.way);
            assert!(bytes >= 0.9 * expected, "{:?}: {bytes} of {expected}", stream.way);
        }
        table.remove().unwrap();
    }
}
