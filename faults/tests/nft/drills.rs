//! The faults as a drill has them: planned, proved, on the right network or on none.

use std::net::SocketAddr;
use std::process::Command;
use std::sync::Mutex;
use std::thread;

use drdrill_core::action::{Action, Presence, Reverter, Tag, Undo};
use drdrill_core::network::{NetworkNode, NetworkPlace, Via, Way};
use drdrill_core::units::Rate;
use drdrill_faults::network::fault::{Disturbance, NetworkFault, Planned};
use drdrill_faults::network::reverter::NetworkReverter;

use crate::world::{Host, PATIENCE, World, address};

/// A host as an environment file has it.
pub(crate) fn node(name: &str, host: &Host, link: u8, end: u8) -> NetworkNode {
    let address = address(false, link, end);
    NetworkNode {
        node: name.to_owned(),
        place: NetworkPlace::Pid(host.pid()),
        addresses: vec![address],
        canary: SocketAddr::new(address, 7000).to_string(),
    }
}

/// The node is disturbed for the near neighbour.
fn fault(world: &World, disturbance: Disturbance, way: Way) -> NetworkFault {
    NetworkFault {
        disturbance,
        on: "node".to_owned(),
        nodes: vec![node("node", &world.node, 1, 1)],
        peers: vec![node("near", &world.near, 1, 2)],
        others: Vec::new(),
        way,
        ports: Vec::new(),
        via: Via::Nftables,
        planned: Mutex::new(Planned::default()),
    }
}

/// A world in which the node answers canaries.
pub(crate) fn world() -> World {
    let world = World::new();
    let canary = SocketAddr::new(address(false, 1, 1), 7000);
    let listener = world.node.listen(canary);
    thread::spawn(move || listener.incoming().for_each(drop));
    // The kernel takes new devices into use when it gets to it.
    assert!(world.near.connects(canary, PATIENCE));
    world
}

const fn limit(bytes_per_second: u64) -> Disturbance {
    Disturbance::Limit(Rate { bytes_per_second })
}

async fn take_back(undo: &Undo) {
    let Undo::Revert { node, params, .. } = undo else { panic!("{undo:?}") };
    for _ in 0..2 {
        NetworkReverter.revert(node, params).await.unwrap();
        assert_eq!(NetworkReverter.residue(node, params).await.unwrap(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_limit_is_told_from_none_and_from_another() {
    let world = world();
    for (number, way) in [Way::In, Way::Out, Way::Both].into_iter().enumerate() {
        let tag = Tag::new("limit", u32::try_from(number).unwrap());
        let limited = fault(&world, limit(200_000), way);
        let undo = limited.plan(&tag).await.unwrap();
        limited.apply(&tag).await.unwrap();
        let seen = limited.observe(&tag).await.unwrap();
        println!("{way:?}: {seen:?}");
        assert!(matches!(&seen, Presence::InEffect { .. }), "{way:?}: {seen:?}");
        // Whoever wanted another limit, or one on the other way, has not got it.
        for (rate, other) in [(100_000, way), (400_000, way), (200_000, the_other(way))] {
            let wanted = fault(&world, limit(rate), other);
            let seen = wanted.observe(&tag).await.unwrap();
            println!("wanted {rate} {other:?}: {seen:?}");
            let is_other = rate != 200_000 || other != way;
            assert_eq!(matches!(seen, Presence::Absent { .. }), is_other, "{way:?}: {seen:?}");
        }
        take_back(&undo).await;
        let seen = limited.observe(&tag).await.unwrap();
        assert!(matches!(seen, Presence::Absent { .. }), "{seen:?}");
    }
}

const fn the_other(way: Way) -> Way {
    match way {
        Way::In => Way::Out,
        Way::Out => Way::In,
        Way::Both => Way::Both,
    }
}

/// No machine pushes that much: whether the limit is in effect could not be told.
#[tokio::test]
async fn a_limit_that_could_not_be_seen_is_refused_before_anything_is_touched() {
    let world = world();
    let tag = Tag::new("wide", 1);
    let error = fault(&world, limit(1_000_000_000_000), Way::In).plan(&tag).await.unwrap_err();
    assert!(error.to_string().contains("too little to show a limit"), "{error}");
    assert_eq!(world.node.tables(), "");
}

/// A name for a namespace, taken away at the end.
struct Name(String);

impl Name {
    fn give(&self, host: &Host) {
        let attach = ["netns", "attach", &self.0, &host.pid().to_string()];
        assert!(Command::new("ip").args(attach).status().unwrap().success());
    }

    fn take(&self) {
        Command::new("ip").args(["netns", "delete", &self.0]).output().unwrap();
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        self.take();
    }
}

#[tokio::test]
async fn a_namespace_that_was_replaced_or_has_vanished_is_left_alone() {
    let world = world();
    let name = Name(format!("ddr-{}", std::process::id()));
    for (number, replaced) in [(1, true), (2, false)] {
        name.give(&world.node);
        let mut cut = fault(&world, Disturbance::Partition, Way::Both);
        cut.nodes[0].place = NetworkPlace::Netns(name.0.clone());
        let tag = Tag::new("replaced", number);
        let undo = cut.plan(&tag).await.unwrap();
        name.take();
        if replaced {
            name.give(&world.far);
        }
        let error = cut.apply(&tag).await.unwrap_err().to_string();
        let why = if replaced { "another one than a moment ago" } else { "No such file" };
        assert!(error.contains(why), "{error}");
        take_back(&undo).await;
        name.take();
        assert_eq!(world.node.tables() + &world.far.tables(), "");
    }
}

/// As when a container is stopped in the middle of a fault: its network goes, and the fault with it.
#[tokio::test]
async fn a_process_that_ends_during_a_fault_leaves_nothing_to_take_back() {
    let mut world = world();
    let tag = Tag::new("ended", 1);
    let cut = fault(&world, Disturbance::Partition, Way::Both);
    let undo = cut.plan(&tag).await.unwrap();
    cut.apply(&tag).await.unwrap();
    assert!(matches!(cut.observe(&tag).await.unwrap(), Presence::InEffect { .. }));
    world.node.end_process();
    take_back(&undo).await;
    // The test still holds the network: nothing of the fault is left in it.
    assert_eq!(world.node.tables(), "");
}
