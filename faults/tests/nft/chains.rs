//! Faults that are made with the `iptables` program.

use std::net::SocketAddr;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::thread;
use std::time::Duration;

use drdrill_core::network::Way;
use drdrill_core::units::{Rate, Share};
use drdrill_faults::iptables::{Chains, IptablesError, usable};
use drdrill_faults::nft::{Rules, Strike};

use crate::world::{Host, PATIENCE, Stream, World, address, rules};

/// A name that no other test has: an undo kills the commands that still make a fault of its name, and tests run at once.
fn tag() -> String {
    static NEXT: AtomicU8 = AtomicU8::new(0);
    format!("drdrill-20261121-095644-468aa8{:02x}-1", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// The tables of both families, without what counts and without the time of day.
fn saved(host: &Host) -> String {
    let mut all = String::new();
    for program in ["iptables-save", "ip6tables-save"] {
        let mut save = Command::new(program);
        let output = host.namespace.run(|| save.output().unwrap()).unwrap();
        assert!(output.status.success(), "{output:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        all.extend(lines.map(|line| format!("{}\n", line.split(" [").next().unwrap())));
    }
    all
}

/// Somebody else's rules, in the table and the chains that ours use.
const THEIRS: [&str; 6] = [
    "iptables -w 9 -t mangle -N theirs",
    "iptables -w 9 -t mangle -A theirs -p tcp --dport 22 -j ACCEPT",
    "iptables -w 9 -t mangle -A PREROUTING -m comment --comment drdrill-not -j theirs",
    "iptables -w 9 -t mangle -A POSTROUTING -s 10.1.2.3 -j DROP",
    "ip6tables -w 9 -t mangle -A PREROUTING -s fd00::1 -j DROP",
    "iptables -w 9 -A INPUT -p tcp --dport 23 -j DROP",
];

#[test]
fn it_strikes_what_it_should_and_nothing_once_it_is_taken_back() {
    let world = World::new();
    usable(&world.node.namespace).unwrap();
    strikes_what_it_should(&world, |rules| Chains::new(&tag(), rules).unwrap());
}

/// It needs no `nf_tables`.
#[test]
fn the_old_program_does_the_same() {
    let legacy = ["/usr/sbin/iptables-legacy", "/usr/sbin/ip6tables-legacy"];
    let programs = legacy.map(std::path::PathBuf::from).to_vec();
    strikes_what_it_should(&World::new(), |_| Chains { tag: tag(), programs: programs.clone() });
}

fn strikes_what_it_should(world: &World, make: impl Fn(&Rules) -> Chains) {
    let node = &world.node.namespace;
    let near = vec![address(false, 1, 2), address(true, 1, 2)];
    let cut = |way| rules(Strike::Drop, way);
    for (rules, strikes) in [
        (cut(Way::In), [true, true]),
        (Rules { peers: near.clone(), ..cut(Way::In) }, [true, false]),
        (Rules { ports: vec![80], ..cut(Way::In) }, [true, true]),
        (Rules { ports: vec![81], ..cut(Way::In) }, [false, false]),
    ] {
        let chains = make(&rules);
        chains.install(node, &rules).unwrap();
        assert!(!chains.residue(node).unwrap().is_empty());
        for (six, link, struck) in [
            (false, 1, strikes[0]),
            (true, 1, strikes[0]),
            (false, 2, strikes[1]),
            (true, 2, strikes[1]),
        ] {
            let peer = if link == 1 { &world.near } else { &world.far };
            let to = SocketAddr::new(address(six, link, 1), 80);
            let listener = world.node.listen(to);
            let patience = if struck { Duration::from_millis(100) } else { PATIENCE };
            assert_eq!(peer.connects(to, patience), !struck, "{rules:?}: {to}");
            assert!(world.node.connects(to, PATIENCE), "the node to itself");
            drop(listener);
        }
        for _ in 0..2 {
            chains.remove(node).unwrap();
            assert_eq!(chains.residue(node).unwrap(), Vec::<String>::new());
        }
    }
    for mut stream in [false, true].into_iter().flat_map(|six| Stream::both(world, six, 1, 0)) {
        stream.passes("at the end");
    }
}

#[test]
fn a_share_of_the_packets_is_lost() {
    let world = World::new();
    let node = &world.node.namespace;
    let rules = rules(Strike::Lose(Share::percent(30)), Way::In);
    let chains = Chains::new(&tag(), &rules).unwrap();
    for six in [false, true] {
        let [mut arriving, _] = Stream::both(&world, six, 1, 0);
        chains.install(node, &rules).unwrap();
        let mut arrived = 0;
        for _ in 0..100 {
            for _ in 0..50 {
                arriving.send(8);
            }
            arrived += arriving.waiting();
        }
        chains.remove(node).unwrap();
        arrived += arriving.arrived_before_next();
        // Of 5,000: six standard deviations are 3.9 %.
        assert!((3_300..=3_700).contains(&arrived), "{arrived} of 5000 arrived");
    }
}

#[test]
fn what_leaves_is_lost_too() {
    let world = World::new();
    let rules = rules(Strike::Drop, Way::Out);
    let chains = Chains::new(&tag(), &rules).unwrap();
    let [mut arriving, _] = Stream::both(&world, false, 1, 0);
    let to = SocketAddr::new(address(false, 1, 1), 80);
    let _listener = world.node.listen(to);
    chains.install(&world.node.namespace, &rules).unwrap();
    arriving.passes("the other way");
    assert!(!world.near.connects(to, Duration::from_millis(200)));
    chains.remove(&world.node.namespace).unwrap();
    assert!(world.near.connects(to, PATIENCE));
}

#[test]
fn foreign_rules_stay_as_they_are_while_somebody_edits_them() {
    let world = World::new();
    let (node, twin) = (&world.node, &world.near);
    for command in THEIRS {
        node.command(command);
        twin.command(command);
    }
    let before = saved(node);
    assert_eq!(before, saved(twin));
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let edits = scope.spawn(|| {
            for number in 0..10 {
                let edit =
                    format!("iptables -w 9 -t mangle -A theirs -p tcp --dport {number} -j DROP");
                node.command(&edit);
                twin.command(&edit);
            }
            done.store(true, Ordering::Release);
        });
        let mut rounds = 0;
        while !done.load(Ordering::Acquire) || rounds < 3 {
            let rules = Rules { ports: vec![80], ..rules(Strike::Drop, Way::Both) };
            let chains = Chains::new(&tag(), &rules).unwrap();
            chains.install(&node.namespace, &rules).unwrap();
            assert_ne!(saved(node), saved(twin));
            chains.remove(&node.namespace).unwrap();
            rounds += 1;
        }
        edits.join().unwrap();
    });
    assert_eq!(saved(node), saved(twin));
    assert_ne!(saved(node), before);
}

#[test]
fn what_was_half_made_is_taken_back_and_what_is_not_ours_is_not() {
    let world = World::new();
    let node = &world.node;
    let rules = rules(Strike::Drop, Way::Both);
    let chains = Chains::new(&tag(), &rules).unwrap();
    let chain = chains.tag.trim_start_matches("drdrill-");
    // A chain of the second direction is there already: the first is made, then it stops.
    node.command(&format!("iptables -t mangle -N {chain}-o"));
    let error = chains.install(&node.namespace, &rules).unwrap_err();
    assert!(matches!(error, IptablesError::Failed { .. }), "{error}");
    chains.remove(&node.namespace).unwrap();
    assert_eq!(chains.residue(&node.namespace).unwrap(), Vec::<String>::new());
    // A rule of somebody else leads to our chain: it is theirs, so the chain cannot go, and is named.
    chains.install(&node.namespace, &rules).unwrap();
    node.command(&format!("iptables -t mangle -A FORWARD -j {chain}-i"));
    assert!(chains.remove(&node.namespace).is_err());
    let left = chains.residue(&node.namespace).unwrap().join("; ");
    assert!(left.contains(&format!("-A FORWARD -j {chain}-i")), "{left}");
    node.command(&format!("iptables -t mangle -D FORWARD -j {chain}-i"));
    chains.remove(&node.namespace).unwrap();
    let by_hand = chains.by_hand();
    chains.install(&node.namespace, &rules).unwrap();
    by_hand.split("; ").for_each(|command| drop(node.command(command)));
    assert_eq!(chains.residue(&node.namespace).unwrap(), Vec::<String>::new());
}

#[test]
fn a_limit_is_not_offered() {
    let world = World::new();
    let rules = rules(Strike::Limit(Rate { bytes_per_second: 1 }), Way::In);
    let chains = Chains::new(&tag(), &rules).unwrap();
    let error = chains.install(&world.node.namespace, &rules).unwrap_err();
    assert!(matches!(error, IptablesError::NoLimits), "{error}");
}
