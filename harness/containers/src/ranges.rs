//! Which addresses the networks of a run get: none that this machine has a way to, and none of another network of the engine.
//!
//! The engine itself only refuses what overlaps its own networks. A range that a route of this machine leads to, that of an office behind
//! a VPN for example, would be cut off for as long as the run lasts.

use std::fmt;
use std::net::Ipv4Addr;

/// Where every route of every table of this network stands, local addresses included.
pub(crate) const ROUTES: &str = "/proc/thread-self/net/fib_trie";
/// Bits of the addresses of one network that are the same for all of it.
const BITS: u8 = 24;
/// What is shorter says where everything else goes: a default route, or its two halves as VPNs set them.
const LEAST_BITS: u8 = 2;
/// The private ranges that are tried, the one before the other. The engine itself takes none of the first by default.
pub(crate) const POOLS: [Range; 3] = [
    Range { first: Ipv4Addr::new(10, 128, 0, 0), bits: 9 },
    Range { first: Ipv4Addr::new(172, 16, 0, 0), bits: 12 },
    Range { first: Ipv4Addr::new(192, 168, 0, 0), bits: 16 },
];
/// Neighbours in the order of trying are so many networks apart: what is taken is often a wide range. A prime, so that every
/// network of a pool has its turn.
const STRIDE: u64 = 10_007;

/// Addresses that begin with the same bits.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Range {
    pub(crate) first: Ipv4Addr,
    pub(crate) bits: u8,
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.bits)
    }
}

impl Range {
    /// As engines write them: `10.0.0.0/8`. `None` for what is none, such as addresses of IPv6.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (first, bits) = text.split_once('/')?;
        let bits = bits.parse().ok().filter(|bits| *bits <= 32)?;
        Some(Self { first: first.parse().ok()?, bits })
    }

    /// Whether an address is in both.
    fn overlaps(self, other: Self) -> bool {
        let common = u32::from(self.bits.min(other.bits));
        let differs = u32::from(self.first) ^ u32::from(other.first);
        differs.checked_shr(32 - common).unwrap_or(0) == 0
    }

    /// The networks of it, in an order that follows from `seed`.
    fn networks(self, seed: u64) -> impl Iterator<Item = Self> {
        let count = 1_u64 << (BITS - self.bits);
        (0..count).map(move |number| {
            let place = number.wrapping_mul(STRIDE).wrapping_add(seed % count) % count;
            let offset = u32::try_from(place << (32 - BITS)).unwrap_or_default();
            Self { first: Ipv4Addr::from(u32::from(self.first) | offset), bits: BITS }
        })
    }
}

/// Networks of 256 addresses that overlap nothing of `taken`; the order follows from `seed`.
pub(crate) fn free(seed: u64, taken: Vec<Range>) -> impl Iterator<Item = Range> {
    let all = POOLS.into_iter().flat_map(move |pool| pool.networks(seed));
    all.filter(move |network| taken.iter().all(|range| !range.overlaps(*network)))
}

/// What routes lead to, as the kernel lists all of them: a line with the first address, and below it one for each route, which
/// begins with its length.
pub(crate) fn routes(trie: &str) -> Vec<Range> {
    let mut ranges = Vec::new();
    let mut first = None;
    for line in trie.lines().map(str::trim_start) {
        if let Some(address) = line.strip_prefix("|-- ") {
            first = address.trim().parse().ok();
        } else if let (Some(first), Some(rest)) = (first, line.strip_prefix('/')) {
            let bits = rest.split(' ').next().and_then(|bits| bits.parse().ok());
            ranges.extend(bits.map(|bits: u8| Range { first, bits }));
        }
    }
    ranges.retain(|range| (LEAST_BITS..=32).contains(&range.bits));
    ranges
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn range(text: &str) -> Range {
        Range::parse(text).unwrap()
    }

    #[test]
    fn ranges_overlap_where_they_share_an_address() {
        for (one, other, overlap) in [
            ("10.128.0.0/9", "10.200.7.0/24", true),
            ("10.200.7.0/24", "10.200.7.9/32", true),
            ("10.200.7.0/24", "10.200.8.0/24", false),
            ("10.0.0.0/9", "10.128.0.0/9", false),
            ("0.0.0.0/0", "10.128.0.0/9", true),
            ("10.200.7.9/32", "10.200.7.8/32", false),
        ] {
            assert_eq!(range(one).overlaps(range(other)), overlap, "{one} {other}");
            assert_eq!(range(other).overlaps(range(one)), overlap, "{one} {other}");
        }
        for none in ["10.0.0.0", "10.0.0.0/33", "fd00::/8", "ten/8"] {
            assert_eq!(Range::parse(none), None, "{none}");
        }
    }

    #[test]
    fn every_network_of_every_pool_has_its_turn() {
        for seed in [0, 7, u64::MAX] {
            let all: Vec<_> = free(seed, Vec::new()).map(|one| one.first).collect();
            let distinct: BTreeSet<_> = all.iter().collect();
            assert_eq!(all.len(), 32_768 + 4_096 + 256);
            assert_eq!(distinct.len(), all.len());
            assert!(all.iter().all(|first| first.octets()[3] == 0));
            assert!(POOLS[0].overlaps(Range { first: all[32_767], bits: BITS }));
        }
        let firsts: BTreeSet<_> =
            (0..50).filter_map(|seed| free(seed, Vec::new()).next()).map(|one| one.first).collect();
        assert_eq!(firsts.len(), 50, "runs begin at different places");
    }

    #[test]
    fn what_is_taken_is_passed_over_and_other_ranges_are_tried_when_all_of_one_is() {
        let first = free(3, Vec::new()).next().unwrap();
        let next = free(3, vec![first]).next().unwrap();
        assert!(!first.overlaps(next) && POOLS[0].overlaps(next));
        let office = free(3, vec![range("10.0.0.0/8")]).next().unwrap();
        assert!(POOLS[1].overlaps(office), "{office}");
        assert_eq!(free(3, POOLS.to_vec()).next(), None);
    }

    #[test]
    fn routes_are_read_as_the_kernel_lists_them() {
        // Of a machine with a VPN in a table of its own.
        let trie = "Id 52:\n  +-- 10.0.0.0/8 2 0 2\n     |-- 10.0.0.0\n        /8 universe UNICAST\n\
                    Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 0.0.0.0\n        /0 universe UNICAST\n        /1 universe UNICAST\n\
                    \x20    +-- 172.17.0.0/16 2 0 2\n        |-- 172.17.0.0\n           /16 link UNICAST\n\
                    Local:\n     |-- 172.17.0.1\n        /32 host LOCAL\n";
        let read: Vec<_> = routes(trie).iter().map(ToString::to_string).collect();
        assert_eq!(read, ["10.0.0.0/8", "172.17.0.0/16", "172.17.0.1/32"]);
    }
}
