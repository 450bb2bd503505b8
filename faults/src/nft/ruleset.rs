//! From what is to be struck to the transaction that does it.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use netlink_packet_netfilter::nftables::{InetHookNumber, MetaKey, Operator, Verdict};

use super::expressions::{
    Base, Expression, SECOND, among, by_chance, bytes, compare, first_bytes, go_to, load, mark,
    not_among, not_loopback, over, vanish, verdict,
};
use super::socket::Step;
use super::table::{self, INET, NETDEV, Set};
use super::{Rules, Strike};

/// Protocols above IP (IANA protocol numbers).
const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMPV6: u8 = 58;

/// Families of addresses (`NFPROTO_IPV4`, `NFPROTO_IPV6`).
const IPV4: u8 = 2;
const IPV6: u8 = 10;

/// As long as one of these is in it the rules act. Elements go away by themselves, whether we live or hang.
const LEASE: Set = Set { name: "lease", id: 1, kind: 2, length: 1 };
const PEERS4: Set = Set { name: "peers4", id: 2, kind: 7, length: 4 };
const PEERS6: Set = Set { name: "peers6", id: 3, kind: 8, length: 16 };
/// Transport protocol and port, four bytes each; its kind is that of the one times 64 and that of the other.
const PORTS: Set = Set { name: "ports", id: 4, kind: 12 * 64 + 13, length: 8 };

/// Devices at which packets vanish when they leave.
const DEVICES: Set = Set { name: "hooked", id: 5, kind: 20, length: 4 };

/// A limit lets at least one whole packet pass at a time, however low it is (1500 bytes: a packet of Ethernet).
const BURST_BYTES: u32 = 1500;

/// ICMP version 6 that keeps the link itself working: multicast listeners and neighbours (RFC 2710, RFC 4861), 130 to 137, and
/// the listener report of today (RFC 3810).
const UPKEEP: (u8, u8) = (130, 137);
const LISTENER_REPORT: u8 = 143;

/// One of the two ways of a packet, with what differs between them.
struct Side {
    /// Chain that finds the packets, and chain that strikes them.
    chains: (&'static str, &'static str),
    place: InetHookNumber,
    priority: i32,
    device: MetaKey,
    /// Where in the header of the IP version the peer's address is.
    peer4: u32,
    peer6: u32,
    /// Where in the header of TCP and UDP the node's own port is.
    port: u32,
    lose: fn() -> Vec<Expression>,
}

/// Struck before anything else sees it; `raw` is the first priority that sees whole packets (`NF_IP_PRI_RAW`).
const ARRIVING: Side = Side {
    chains: ("arriving", "arriving_strike"),
    place: InetHookNumber::PreRouting,
    priority: -300,
    device: MetaKey::Iif,
    peer4: 12,
    peer6: 8,
    port: 2,
    lose: || vec![verdict(Verdict::Other(NF_DROP))],
};

/// Struck after addresses were translated (`NF_IP_PRI_NAT_SRC` is 100), so that ports are those that peers see, and
/// after others set their marks.
const LEAVING: Side = Side {
    chains: ("leaving", "leaving_strike"),
    place: InetHookNumber::PostRouting,
    priority: 1000,
    device: MetaKey::Oif,
    peer4: 16,
    peer6: 24,
    port: 0,
    lose: || Vec::from(mark(LOST)),
};

/// The packet is gone.
const NF_DROP: u32 = 0;

/// Mark of packets that shall vanish when they leave a device: "drdr".
const LOST: u32 = 0x6472_6472;

/// A network device.
pub(super) struct Device {
    /// Its name.
    pub(super) name: String,
    /// Its number, which no later device of that name has.
    pub(super) index: u32,
}

/// Chain that makes them vanish.
const VANISH: &str = "vanish";

/// The steps that put the rules into effect, where the namespace has these devices besides loopback.
pub(super) fn install(
    table: &str,
    rules: &Rules,
    lease: Duration,
    devices: &[Device],
) -> Vec<Step> {
    let peers: BTreeSet<IpAddr> = rules.peers.iter().map(IpAddr::to_canonical).collect();
    let (mut peers4, mut peers6) = (Vec::new(), Vec::new());
    for peer in &peers {
        match peer {
            IpAddr::V4(address) => peers4.push(address.octets().to_vec()),
            IpAddr::V6(address) => peers6.push(address.octets().to_vec()),
        }
    }
    let mut steps = vec![table::owned(INET, table), LEASE.expiring(table), begin(table, lease)];
    for (set, keys) in [(PEERS4, &peers4), (PEERS6, &peers6), (PORTS, &ports(&rules.ports))] {
        if !keys.is_empty() {
            steps.extend(set.constant(table, keys));
        }
    }
    let families = Families { four: !peers4.is_empty(), six: !peers6.is_empty() };
    let sides = [(rules.way.arriving(), &ARRIVING), (rules.way.leaving(), &LEAVING)];
    for (_, side) in sides.into_iter().filter(|(struck, _)| *struck) {
        steps.extend(side.steps(table, rules, families));
    }
    if rules.way.leaving() {
        steps.extend(loss(table, devices));
    }
    steps
}

/// The steps that make away with marked packets.
fn loss(table: &str, devices: &[Device]) -> Vec<Step> {
    let is_marked = || [load(MetaKey::Mark), compare(Operator::Equal, &LOST.to_ne_bytes())];
    let mut steps = Vec::new();
    let mut elsewhere = Vec::from(is_marked());
    if !devices.is_empty() {
        let keys: Vec<_> = devices.iter().map(|it| it.index.to_ne_bytes().to_vec()).collect();
        steps.extend(DEVICES.constant(table, &keys));
        elsewhere.extend([load(MetaKey::Oif), not_among(DEVICES.name)]);
    }
    elsewhere.push(verdict(Verdict::Other(NF_DROP)));
    steps.push(table::rule(table, LEAVING.chains.1, elsewhere));
    if !devices.is_empty() {
        let mut lost = Vec::from(is_marked());
        lost.extend(vanish());
        steps.push(table::owned(NETDEV, table));
        steps.push(table::egress(table, VANISH, devices));
        steps.push(table::egress_rule(table, VANISH, lost));
    }
    steps
}

/// The steps that begin the lease anew, whether or not its time is over: an element that is added again stays as it
/// was, and one that is not there cannot be taken away.
pub(super) fn renew(table: &str, lease: Duration) -> Vec<Step> {
    vec![begin(table, lease), LEASE.take(table, &families()), begin(table, lease)]
}

fn begin(table: &str, lease: Duration) -> Step {
    LEASE.add(table, &families(), Some(lease))
}

fn families() -> [Vec<u8>; 2] {
    [vec![IPV4], vec![IPV6]]
}

fn ports(ports: &[u16]) -> Vec<Vec<u8>> {
    let ports: BTreeSet<u16> = ports.iter().copied().collect();
    let of = |protocol: u8| {
        ports.iter().map(move |port| {
            let [high, low] = port.to_be_bytes();
            vec![protocol, 0, 0, 0, high, low, 0, 0]
        })
    };
    of(TCP).chain(of(UDP)).collect()
}

/// Which families the peers are of; none stands for everybody.
#[derive(Clone, Copy)]
struct Families {
    four: bool,
    six: bool,
}

impl Side {
    fn steps(&self, table: &str, rules: &Rules, families: Families) -> Vec<Step> {
        let (find, strike) = self.chains;
        let mut steps = vec![
            table::plain(table, strike),
            table::rule(table, strike, self.strike(&rules.strike)),
            table::hooked(table, find, self.place, self.priority),
        ];
        let mut rule = |expressions| steps.push(table::rule(table, find, expressions));
        if rules.ports.is_empty() && (families.six || !families.four) {
            upkeep().into_iter().for_each(&mut rule);
        }
        let matching = |peer: Vec<Expression>| {
            let mut all = Vec::from(not_loopback(self.device));
            all.extend([load(MetaKey::Nfproto), among(LEASE.name)]);
            all.extend(peer);
            if !rules.ports.is_empty() {
                let port = bytes(Base::Transport, self.port, 2, SECOND);
                all.extend([load(MetaKey::L4Proto), port, among(PORTS.name)]);
            }
            all.push(go_to(strike));
            all
        };
        let peer = |family: u8, offset, set: Set| {
            let address = first_bytes(Base::Network, offset, set.length);
            vec![compare(Operator::Equal, &[family]), address, among(set.name)]
        };
        if families.four {
            rule(matching(peer(IPV4, self.peer4, PEERS4)));
        }
        if families.six {
            rule(matching(peer(IPV6, self.peer6, PEERS6)));
        }
        if !families.four && !families.six {
            rule(matching(Vec::new()));
        }
        steps
    }

    fn strike(&self, strike: &Strike) -> Vec<Expression> {
        let mut expressions = match strike {
            Strike::Drop => Vec::new(),
            Strike::Lose(share) => Vec::from(by_chance(per_million(share.ratio()))),
            Strike::Limit(rate) => vec![over(rate.bytes_per_second, BURST_BYTES)],
        };
        expressions.extend((self.lose)());
        expressions
    }
}

/// Rules that leave the link's own traffic alone.
fn upkeep() -> [Vec<Expression>; 2] {
    let icmpv6 = || {
        [
            load(MetaKey::L4Proto),
            compare(Operator::Equal, &[ICMPV6]),
            first_bytes(Base::Transport, 0, 1),
        ]
    };
    let mut neighbours = Vec::from(icmpv6());
    neighbours.extend([
        compare(Operator::GreatherThanEqual, &[UPKEEP.0]),
        compare(Operator::LessThanEqual, &[UPKEEP.1]),
        verdict(Verdict::Return),
    ]);
    let mut listeners = Vec::from(icmpv6());
    listeners.extend([compare(Operator::Equal, &[LISTENER_REPORT]), verdict(Verdict::Return)]);
    [neighbours, listeners]
}

fn per_million(ratio: f64) -> u32 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share is from 0 to 1"
    )]
    let parts = (ratio * 1e6).round() as u32;
    parts
}
