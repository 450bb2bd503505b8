//! Queueing disciplines of faults beside those of others. This kernel may lack netem; what is put and removed is the same.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use drdrill_faults::devices::Devices;
use drdrill_faults::namespace::Namespace;
use drdrill_faults::qdisc::{Device, Discipline, QdiscError, Qdiscs, Root};
use netlink_packet_core::{DefaultNla, Emitable};
use serde_json::Value;

use crate::world::{Host, Stream, World, address};

const TAG: &str = "drdrill-20261121-095644-468aa8ab-1";

/// A queue of 1,000 packets (`struct tc_fifo_qopt`), as most devices have it anyway.
fn queue() -> Discipline {
    Discipline { kind: "pfifo", options: 1000_u32.to_ne_bytes().to_vec() }
}

/// Lets so many bytes pass a second, and at once so many that hardly any packet need not wait.
pub(crate) fn slow(bytes_per_second: u32) -> Discipline {
    // `struct tc_tbf_qopt`: rate (`struct tc_ratespec`, Ethernet), peak rate, limit, buffer, mtu; then the burst.
    let words = |words: &[u32]| words.iter().flat_map(|word| word.to_ne_bytes()).collect();
    let rate = [&[0, 1, 0, 0, 0, 0, 0, 0][..], &bytes_per_second.to_ne_bytes()].concat();
    let rest: Vec<u8> = words(&[0, 0, 0, 1_000_000, 0, 0]);
    let attributes = [DefaultNla::new(1, [rate, rest].concat()), DefaultNla::new(6, words(&[160]))];
    let mut options = vec![0; attributes.as_slice().buffer_len()];
    attributes.as_slice().emit(&mut options);
    Discipline { kind: "tbf", options }
}

fn device(qdiscs: &Qdiscs, link: u8) -> Device {
    let devices = qdiscs.devices_with(&[address(false, link, 1), address(true, link, 1)]).unwrap();
    assert_eq!(devices.len(), 1, "{devices:?}");
    devices[0].clone()
}

/// All that `tc` can show of a device but what counts.
fn shown(host: &Host, device: &str) -> String {
    let show = |what| host.command(&format!("tc -d {what} show dev {device}"));
    let all = ["qdisc", "class", "filter"].map(show).concat();
    let filters = host.command(&format!("tc filter show dev {device} ingress"));
    // Devices send packets of their own.
    let mut counts = false;
    let words = all.split(' ').filter(|word| {
        let count = counts;
        counts = *word == "direct_packets_stat";
        !count
    });
    words.collect::<Vec<_>>().join(" ") + &filters
}

/// Somebody else's disciplines, classes and filters.
const THEIRS: [&str; 7] = [
    "tc qdisc add dev v2 root handle 1: htb default 10",
    "tc class add dev v2 parent 1: classid 1:10 htb rate 100mbit ceil 200mbit burst 15k cburst 15k",
    "tc class add dev v2 parent 1: classid 1:20 htb rate 10mbit ceil 200mbit burst 15k cburst 15k",
    "tc qdisc add dev v2 parent 1:20 handle 20: tbf rate 5mbit burst 20k latency 50ms",
    "tc filter add dev v2 parent 1: protocol ip prio 1 u32 match ip dst 10.9.9.9 flowid 1:20",
    "tc qdisc add dev v2 handle ffff: ingress",
    "tc qdisc add dev v1 handle ffff: ingress",
];

#[test]
fn what_others_have_stays_as_it_is_while_somebody_edits_it() {
    // The twin gets the same commands and no fault.
    let (world, other) = (World::new(), World::new());
    let (node, twin) = (&world.node, &other.node);
    for command in THEIRS {
        node.command(command);
        twin.command(command);
    }
    let all = |host: &Host| shown(host, "v1") + &shown(host, "v2");
    let before = all(node);
    assert_eq!(before, all(twin));
    let qdiscs = Qdiscs::of(&node.namespace).unwrap();
    let (free, taken) = (device(&qdiscs, 1), device(&qdiscs, 2));
    let peers = [address(false, 1, 2), address(true, 1, 2)];
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let edits = scope.spawn(|| {
            for number in 1..=10 {
                let edit = format!(
                    "tc class add dev v2 parent 1: classid 1:{number:x}00 htb rate 1mbit burst 15k cburst 15k"
                );
                node.command(&edit);
                twin.command(&edit);
            }
            done.store(true, Ordering::Release);
        });
        let mut rounds = 0;
        while !done.load(Ordering::Acquire) || rounds < 10 {
            for peers in [&peers[..], &[]] {
                let root = Root::of(TAG, &queue(), peers);
                qdiscs.may_be_put(&queue(), &free, peers).unwrap();
                qdiscs.install(&root, &queue(), &free, peers).unwrap();
                assert!(qdiscs.is_there(&root, &free).unwrap());
                assert_ne!(shown(node, "v1"), shown(twin, "v1"));
                let refused = qdiscs.may_be_put(&queue(), &taken, peers).unwrap_err().to_string();
                assert_eq!(
                    refused,
                    "device v2 has a queueing discipline of somebody else's (htb 1:), and drdrill replaces none"
                );
                let refused = qdiscs.install(&root, &queue(), &taken, peers).unwrap_err();
                assert!(matches!(refused, QdiscError::Taken { .. }), "{refused}");
                for device in [&free, &taken] {
                    for _ in 0..2 {
                        qdiscs.remove(&root, device).unwrap();
                        assert!(!qdiscs.is_there(&root, device).unwrap());
                    }
                }
            }
            rounds += 1;
        }
        edits.join().unwrap();
    });
    assert_eq!(all(node), all(twin));
    assert_ne!(all(node), before);
}

#[test]
fn only_what_has_our_handle_and_our_kind_is_removed() {
    let world = World::new();
    let node = &world.node;
    let qdiscs = Qdiscs::of(&node.namespace).unwrap();
    let device = device(&qdiscs, 1);
    let root = Root::of(TAG, &queue(), &[]);
    let ours = format!("{:x}:", root.handle);
    // The handle of the fault and another kind; the kind and another handle.
    for theirs in [format!("handle {ours} bfifo limit 30000"), "handle 1: pfifo limit 7".to_owned()]
    {
        let before = shown(node, "v1");
        assert!(before.contains("noqueue 0:"), "{before}");
        qdiscs.install(&root, &queue(), &device, &[]).unwrap();
        node.command("tc qdisc delete dev v1 root");
        node.command(&format!("tc qdisc add dev v1 root {theirs}"));
        let replaced = shown(node, "v1");
        qdiscs.remove(&root, &device).unwrap();
        assert!(!qdiscs.is_there(&root, &device).unwrap());
        assert_eq!(shown(node, "v1"), replaced);
        node.command("tc qdisc delete dev v1 root");
        assert_eq!(shown(node, "v1"), before);
    }
    // What a person would type does the same as we.
    qdiscs.install(&root, &queue(), &device, &[]).unwrap();
    assert!(shown(node, "v1").contains(&format!("pfifo {ours} root")));
    node.command(&root.by_hand(&device));
    assert!(!qdiscs.is_there(&root, &device).unwrap());
    // A device that is gone has nothing of a fault.
    qdiscs.install(&root, &queue(), &device, &[]).unwrap();
    node.command("ip link delete v1");
    qdiscs.remove(&root, &device).unwrap();
    assert!(!qdiscs.is_there(&root, &device).unwrap());
}

/// A device with several queues has one that divides among them.
#[test]
fn the_kernel_puts_its_own_back_whatever_that_is() {
    let world = World::new();
    let node = &world.node;
    node.command("ip link add many numtxqueues 3 numrxqueues 3 type ifb");
    node.command("ip address add 10.7.9.1/24 dev many");
    node.command("ip link set many up");
    let before = shown(node, "many");
    assert!(before.contains("qdisc mq 0: root") && before.contains("parent :3"), "{before}");
    let qdiscs = Qdiscs::of(&node.namespace).unwrap();
    let device = qdiscs.devices_with(&["10.7.9.1".parse().unwrap()]).unwrap().remove(0);
    let root = Root::of(TAG, &queue(), &[]);
    qdiscs.may_be_put(&queue(), &device, &[]).unwrap();
    assert_eq!(shown(node, "many"), before, "looking changes nothing");
    qdiscs.install(&root, &queue(), &device, &[]).unwrap();
    assert!(!shown(node, "many").contains("mq"));
    qdiscs.remove(&root, &device).unwrap();
    assert_eq!(shown(node, "many"), before);
}

#[test]
fn what_is_seen_is_what_tc_shows() {
    let world = World::new();
    for command in THEIRS {
        world.node.command(command);
    }
    let qdiscs = Qdiscs::of(&world.node.namespace).unwrap();
    let shown: Vec<Value> = serde_json::from_str(&world.node.command("tc -j qdisc show")).unwrap();
    let links: Vec<Value> = serde_json::from_str(&world.node.command("ip -j link")).unwrap();
    let found = qdiscs.list().unwrap();
    assert_eq!(found.len(), shown.len(), "{found:?} {shown:?}");
    for one in &found {
        let link = links.iter().find(|link| link["ifindex"] == one.index).unwrap();
        let is_it = |shown: &&Value| {
            let handle = shown["handle"].as_str().unwrap().trim_end_matches(':');
            shown["dev"] == link["ifname"]
                && shown["kind"] == one.kind.as_str()
                && u16::from_str_radix(handle, 16).unwrap() == one.handle
                && shown["root"].as_bool().unwrap_or(false) == one.root
        };
        assert_eq!(shown.iter().filter(is_it).count(), 1, "{one:?}: {shown:?}");
    }
}

#[test]
fn what_cannot_be_done_is_said_before_anything_is_touched() {
    let world = World::new();
    let qdiscs = Qdiscs::of(&world.node.namespace).unwrap();
    let device = device(&qdiscs, 1);
    let nowhere: IpAddr = "10.9.9.9".parse().unwrap();
    let error = qdiscs.devices_with(&[nowhere]).unwrap_err().to_string();
    assert_eq!(error, "no device there has 10.9.9.9");
    let before = shown(&world.node, "v1");
    let unknown = Discipline { kind: "nonesuch", options: Vec::new() };
    let error = qdiscs.may_be_put(&unknown, &device, &[]).unwrap_err().to_string();
    assert_eq!(error, "this kernel has no sch_nonesuch");
    assert_eq!(shown(&world.node, "v1"), before);
}

/// Of one device's traffic only what is for the peers waits; the rest passes at once.
#[test]
fn only_what_is_for_the_peers_waits() {
    let world = World::new();
    let qdiscs = Qdiscs::of(&world.node.namespace).unwrap();
    let device = device(&qdiscs, 1);
    for six in [false, true] {
        let [_, mut waits] = Stream::both(&world, six, 1, 0);
        let [_, mut passes] = Stream::both(&world, !six, 1, 0);
        let peers = [address(six, 1, 2)];
        let discipline = slow(500);
        let root = Root::of(TAG, &discipline, &peers);
        qdiscs.install(&root, &discipline, &device, &peers).unwrap();
        for _ in 0..20 {
            waits.send(100);
            passes.passes("for somebody else");
        }
        // Some 2,800 bytes take five seconds.
        assert!(waits.waiting() < 20);
        qdiscs.remove(&root, &device).unwrap();
        let lost = waits.arrived_before_next();
        assert!(lost < 20, "what waits is lost with the queue");
        waits.passes("afterwards");
        passes.passes("afterwards");
    }
}

#[test]
fn a_namespace_without_devices_has_nothing_to_slow_down() {
    let place = Namespace::unnamed().unwrap();
    Devices::of(&place).unwrap().up("lo").unwrap();
    let qdiscs = Qdiscs::of(&place).unwrap();
    assert!(qdiscs.devices_with(&[address(false, 1, 1)]).is_err());
    let lo = qdiscs.devices_with(&["127.0.0.1".parse().unwrap()]).unwrap();
    assert_eq!(lo, [Device { name: "lo".to_owned(), index: 1 }]);
}
