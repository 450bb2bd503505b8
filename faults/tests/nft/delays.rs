//! The delay as a drill has it: planned, proved, taken back.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::Duration;

use drdrill_core::action::{Action, Presence, Reverter, Tag, Undo};
use drdrill_core::units::Share;
use drdrill_faults::network::delay::{NetworkDelay, PlannedDelay};
use drdrill_faults::network::delay_reverter::DelayReverter;
use drdrill_faults::qdisc::{Delay, Discipline, try_out};

use crate::drills::{node, world};
use crate::qdiscs::slow;
use crate::world::{World, address, until};

/// A machine may be so busy that answers are late without a fault: then it is tried again, for so long.
const PATIENCE: Duration = Duration::from_mins(2);

const fn delay(delay_ms: u64, jitter_ms: u64, reorder: u32) -> Delay {
    Delay {
        delay: Duration::from_millis(delay_ms),
        jitter: Duration::from_millis(jitter_ms),
        reorder: Share::percent(reorder),
    }
}

/// The node sends later to the near neighbour.
fn fault(world: &World, delay: Delay, discipline: Discipline) -> NetworkDelay {
    NetworkDelay {
        delay,
        discipline,
        on: "node".to_owned(),
        nodes: vec![node("node", &world.node, 1, 1)],
        peers: vec![node("near", &world.near, 1, 2)],
        others: Vec::new(),
        planned: Mutex::new(PlannedDelay::default()),
    }
}

fn shown(world: &World) -> String {
    world.node.command("tc -d qdisc show") + &world.node.command("tc filter show dev v1")
}

/// Plans, where the machine is quiet enough for that.
async fn planned(fault: &NetworkDelay, tag: &Tag) -> Undo {
    let give_up = std::time::Instant::now() + PATIENCE;
    loop {
        match fault.plan(tag).await {
            Ok(undo) => return undo,
            Err(error) => {
                let busy = error.to_string().contains("even without a fault");
                assert!(busy && std::time::Instant::now() < give_up, "{error}");
            }
        }
    }
}

/// Looks until it is in effect, each time when nothing waits any more of what was sent for the look before.
async fn in_effect(world: &World, fault: &NetworkDelay, tag: &Tag) -> String {
    let give_up = std::time::Instant::now() + PATIENCE;
    loop {
        let seen = fault.observe(tag).await.unwrap();
        if let Presence::InEffect { proof } = seen {
            return proof;
        }
        assert!(std::time::Instant::now() < give_up, "{seen:?}");
        until("the queue is empty", PATIENCE, || {
            let shown = world.node.command("tc -s qdisc show dev v1");
            shown.lines().all(|line| !line.contains("backlog") || line.contains("backlog 0b"))
        });
    }
}

async fn take_back(undo: &Undo) {
    let Undo::Revert { node, params, .. } = undo else { panic!("{undo:?}") };
    assert!(!DelayReverter.residue(node, params).await.unwrap().is_empty());
    for _ in 0..2 {
        DelayReverter.revert(node, params).await.unwrap();
        assert_eq!(DelayReverter.residue(node, params).await.unwrap(), Vec::<String>::new());
    }
}

/// With a narrow way in place of netem. Sixty answers of 74 bytes go through it one after the other, which takes them
/// from nothing to a quarter of a second, all alike likely: as a delay with much jitter does.
#[tokio::test]
async fn a_delay_is_seen_where_there_is_one_and_gone_with_its_undo() {
    let world = world();
    let before = shown(&world);
    let tag = Tag::new("delay", 1);
    let wanted = delay(150, 120, 15);
    let slowed = fault(&world, wanted, slow(16_000));
    let undo = planned(&slowed, &tag).await;
    assert_eq!(shown(&world), before, "planning changes nothing");
    let seen = slowed.observe(&tag).await.unwrap();
    assert_eq!(seen, Presence::Absent { detail: "device v1 of node does not have it".to_owned() });
    slowed.apply(&tag).await.unwrap();
    let proof = in_effect(&world, &slowed, &tag).await;
    println!("{proof}");
    assert!(proof.contains("near to node at 10.7.1.1:7000: "), "{proof}");
    // Whoever wanted a longer one has not got it.
    let other = NetworkDelay { delay: delay(1500, 0, 0), ..slowed };
    let seen = other.observe(&tag).await.unwrap();
    assert!(
        matches!(&seen, Presence::Absent { detail } if detail.contains("60 should have")),
        "{seen:?}"
    );
    // What is there is not put there a second time.
    let twice = fault(&world, wanted, slow(16_000)).plan(&Tag::new("delay", 2)).await.unwrap_err();
    assert!(twice.to_string().contains("has a queueing discipline"), "{twice}");
    take_back(&undo).await;
    assert_eq!(shown(&world), before);
    let seen = other.observe(&tag).await.unwrap();
    assert!(matches!(seen, Presence::Absent { .. }), "{seen:?}");
}

/// As when a container is stopped in the middle of a fault: its network goes, and the fault with it.
#[tokio::test]
async fn a_process_that_ends_during_a_delay_leaves_nothing_to_take_back() {
    let mut world = world();
    let tag = Tag::new("ended", 1);
    let slowed = fault(&world, delay(150, 120, 15), slow(16_000));
    let undo = planned(&slowed, &tag).await;
    slowed.apply(&tag).await.unwrap();
    let Undo::Revert { node, params, .. } = &undo else { panic!("{undo:?}") };
    let by_hand = DelayReverter.by_hand(node, params);
    let way_in = format!(
        "nsenter --net=/proc/{}/ns/net tc qdisc delete dev v1 root handle ",
        world.node.pid()
    );
    assert!(by_hand.starts_with(&way_in), "{by_hand}");
    world.node.end_process();
    DelayReverter.revert(node, params).await.unwrap();
    assert_eq!(DelayReverter.residue(node, params).await.unwrap(), Vec::<String>::new());
}

/// Where the kernel has netem it is measured; where it has not, that is said, and nothing is touched.
#[tokio::test]
async fn netem_delays_what_it_should_or_is_refused() {
    let world = world();
    let before = shown(&world);
    let kernel_has_it = try_out().is_ok();
    for (number, wanted) in
        [delay(100, 0, 0), delay(200, 80, 0), delay(150, 0, 30)].into_iter().enumerate()
    {
        let tag = Tag::new("netem", u32::try_from(number).unwrap());
        let slowed = fault(&world, wanted, wanted.discipline());
        if !kernel_has_it {
            let error = slowed.plan(&tag).await.unwrap_err().to_string();
            assert_eq!(error, "delay packets of on node: this kernel has no sch_netem");
            assert_eq!(shown(&world), before);
            continue;
        }
        let undo = planned(&slowed, &tag).await;
        slowed.apply(&tag).await.unwrap();
        assert!(shown(&world).contains("netem"));
        println!("{}", in_effect(&world, &slowed, &tag).await);
        let none = fault(&world, delay(1000, 0, 0), wanted.discipline());
        let other = NetworkDelay { planned: slowed.planned, ..none };
        assert!(matches!(other.observe(&tag).await.unwrap(), Presence::Absent { .. }));
        take_back(&undo).await;
        assert_eq!(shown(&world), before);
        let to = SocketAddr::new(address(false, 1, 1), 7000);
        until("answers come at once again", PATIENCE, || world.near.connects(to, wanted.least()));
    }
}
