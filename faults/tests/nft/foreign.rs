//! What others have in the packet filter stays as it is, also when they change it during a fault.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use drdrill_core::network::Way;
use drdrill_core::units::{Rate, Share};
use drdrill_faults::nft::{Rules, Strike, Table};

use crate::world::{LONG, World, address, rules};

/// Somebody else's rules, also of the families and with the names that ours have.
const THEIRS: [&str; 7] = [
    "nft add table inet theirs { set lease { type ipv4_addr ; flags timeout ; elements = { 10.0.0.1 timeout 1h } ; } ; }",
    "nft add chain inet theirs arriving { type filter hook prerouting priority -300 ; policy accept ; }",
    "nft add rule inet theirs arriving ip saddr @lease counter drop",
    "nft add table ip nat",
    "nft add chain ip nat post { type nat hook postrouting priority 100 ; }",
    "nft add table netdev theirs",
    "nft add chain netdev theirs vanish { type filter hook egress devices = { lo } priority 0 ; }",
];

#[test]
fn foreign_rules_stay_as_they_are() {
    let world = World::new();
    // The twin gets the same commands and no fault.
    let (node, twin) = (&world.node, &world.near);
    for command in THEIRS {
        node.command(command);
        twin.command(command);
    }
    let before = node.tables();
    assert!(before.contains("theirs") && before == twin.tables());

    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let edits = scope.spawn(|| {
            (0..20).for_each(|number| {
                let edit =
                    format!("nft add rule inet theirs arriving tcp dport {number} counter drop");
                node.command(&edit);
                twin.command(&edit);
            });
            done.store(true, Ordering::Release);
        });
        let peers = vec![address(false, 1, 2), address(true, 1, 2)];
        let strikes = [
            Strike::Drop,
            Strike::Lose(Share::percent(30)),
            Strike::Limit(Rate { bytes_per_second: 1000 }),
        ];
        let mut rounds = 0;
        while !done.load(Ordering::Acquire) || rounds < 10 {
            for strike in strikes {
                let ports = vec![80, 443];
                let rules = Rules { peers: peers.clone(), ports, ..rules(strike, Way::Both) };
                let mut table =
                    Table::install(&node.namespace, "theirs-not", &rules, LONG).unwrap();
                table.renew().unwrap();
                table.remove().unwrap();
            }
            rounds += 1;
        }
        edits.join().unwrap();
    });
    assert_eq!(node.tables(), twin.tables());
    assert_ne!(node.tables(), before);
}

#[test]
fn the_nft_tool_can_show_what_we_made() {
    let world = World::new();
    let rules = Rules {
        peers: vec![address(false, 1, 2), address(true, 1, 2)],
        ports: vec![80],
        ..rules(Strike::Lose(Share::percent(30)), Way::Both)
    };
    let _table = Table::install(&world.node.namespace, "drdrill-x-1", &rules, LONG).unwrap();
    let shown = world.node.tables();
    println!("{shown}");
    for text in [
        "table inet drdrill-x-1",
        "flags owner",
        "meta nfproto @lease ip saddr @peers4 meta l4proto . th dport @ports goto arriving_strike",
        "meta nfproto @lease ip6 daddr @peers6 meta l4proto . th sport @ports goto leaving_strike",
        "numgen random mod 1000000 < 300000 drop",
        "meta mark 0x64726472 oif != @hooked drop",
        "table netdev drdrill-x-1",
    ] {
        assert!(shown.contains(text), "{text}");
    }
}
