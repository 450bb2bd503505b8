//! A fault acts from the very first packet after its installation on, and from the very first after its removal no more.

use drdrill_core::network::Way;
use drdrill_core::units::{Rate, Share};
use drdrill_faults::nft::{Strike, Table, find};

use crate::world::{LONG, Stream, World, rules};

/// Rounds of each kind of fault, shared among the [`streams`]; `DRDRILL_TRIPS` says how many.
fn trips() -> usize {
    std::env::var("DRDRILL_TRIPS").map_or(100, |trips| trips.parse().unwrap())
}

/// Rounds of each of the four streams.
fn trips_a_stream() -> usize {
    trips().div_ceil(4)
}

/// Both families, and both ways as the node sees them.
fn streams(world: &World) -> impl Iterator<Item = (Way, Stream)> {
    [false, true].into_iter().flat_map(|six| Stream::both(world, six, 1, 0)).map(|it| (it.way, it))
}

/// A round: what `send` sends while the fault is in effect, and how many of these datagrams arrive. What is sent after
/// the undo has to.
fn round(world: &World, strike: Strike, stream: &mut Stream, way: Way, send: usize) -> usize {
    let rules = rules(strike, way);
    let table = Table::install(&world.node.namespace, "t", &rules, LONG).unwrap();
    for _ in 0..send {
        stream.send(1400);
    }
    table.remove().unwrap();
    stream.arrived_before_next()
}

#[test]
fn everything_is_lost_at_once_and_nothing_afterwards() {
    let world = World::new();
    // A loss of all passes the same dice as a loss of some, and none depends on luck.
    for strike in [Strike::Drop, Strike::Lose(Share::percent(100))] {
        for (way, mut stream) in streams(&world) {
            for trip in 0..trips_a_stream() {
                let arrived = round(&world, strike, &mut stream, way, 1);
                assert_eq!(arrived, 0, "{strike:?}, {way:?}, trip {trip}");
            }
        }
    }
    assert_eq!(find(&world.node.namespace, "t").unwrap(), None);
    assert_eq!(world.node.tables(), "");
}

#[test]
fn a_limit_acts_at_once() {
    let world = World::new();
    let strike = Strike::Limit(Rate { bytes_per_second: 1 });
    for (way, mut stream) in streams(&world) {
        for trip in 0..trips_a_stream() {
            // The bucket holds one such packet.
            assert_eq!(round(&world, strike, &mut stream, way, 3), 1, "{way:?}, trip {trip}");
        }
    }
}
