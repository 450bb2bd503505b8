//! Faults of networks.

use garde::Validate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Known, known};
use crate::network::{Via, Way};
use crate::units::{Rate, Share};

/// A role of the environment.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize, Validate)]
#[serde(deny_unknown_fields)]
#[garde(context(Known))]
pub struct On {
    /// The role, such as `primary` or `dr`.
    #[garde(custom(known::role))]
    pub on: String,
}

/// A network partition.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize, Validate)]
#[serde(deny_unknown_fields)]
#[garde(context(Known))]
pub struct Partition {
    /// The role whose nodes are struck, or one of them as `role/node`.
    #[garde(custom(known::role_or_node))]
    pub on: String,
    /// The role of the peers, or one of them as `role/node`; without it all traffic of the nodes is meant.
    #[serde(default)]
    #[garde(inner(custom(known::role_or_node)))]
    pub from: Option<String>,
    /// Direction, as the struck node sees it.
    #[serde(default)]
    #[garde(skip)]
    pub way: Way,
    /// TCP and UDP ports of the struck node; all traffic when empty.
    #[serde(default)]
    #[garde(length(max = 64))]
    pub ports: Vec<u16>,
    /// The most nodes that may be struck at once.
    #[serde(default = "one")]
    #[garde(range(min = 1, max = 100))]
    pub max_targets: usize,
    /// What drops the packets; when absent `nftables`, or `iptables` where this kernel has no tables with an owner.
    #[serde(default)]
    #[garde(skip)]
    pub via: Option<Via>,
}

impl Partition {
    /// Whether whole roles are cut off, and no single nodes.
    #[must_use]
    pub fn is_of_roles(&self) -> bool {
        ![Some(&self.on), self.from.as_ref()].into_iter().flatten().any(|name| name.contains('/'))
    }
}

/// Loss of packets.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize, Validate)]
#[serde(deny_unknown_fields)]
#[garde(context(Known))]
pub struct Loss {
    /// The role whose nodes are struck, or one of them as `role/node`.
    #[garde(custom(known::role_or_node))]
    pub on: String,
    /// The role of the peers, or one of them as `role/node`; without it all traffic of the nodes is meant.
    #[serde(default)]
    #[garde(inner(custom(known::role_or_node)))]
    pub from: Option<String>,
    /// Direction, as the struck node sees it.
    #[serde(default)]
    #[garde(skip)]
    pub way: Way,
    /// TCP and UDP ports of the struck node; all traffic when empty.
    #[serde(default)]
    #[garde(length(max = 64))]
    pub ports: Vec<u16>,
    /// The most nodes that may be struck at once.
    #[serde(default = "one")]
    #[garde(range(min = 1, max = 100))]
    pub max_targets: usize,
    /// What drops the packets; when absent `nftables`, or `iptables` where this kernel has no tables with an owner.
    #[serde(default)]
    #[garde(skip)]
    pub via: Option<Via>,
    /// The share of the packets that is dropped.
    #[garde(custom(some_share))]
    pub share: Share,
}

/// A limit of the rate.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize, Validate)]
#[serde(deny_unknown_fields)]
#[garde(context(Known))]
pub struct Limit {
    /// The role whose nodes are struck, or one of them as `role/node`.
    #[garde(custom(known::role_or_node))]
    pub on: String,
    /// The role of the peers, or one of them as `role/node`; without it all traffic of the nodes is meant.
    #[serde(default)]
    #[garde(inner(custom(known::role_or_node)))]
    pub from: Option<String>,
    /// Direction, as the struck node sees it.
    #[serde(default)]
    #[garde(skip)]
    pub way: Way,
    /// TCP and UDP ports of the struck node; all traffic when empty.
    #[serde(default)]
    #[garde(length(max = 64))]
    pub ports: Vec<u16>,
    /// The most nodes that may be struck at once.
    #[serde(default = "one")]
    #[garde(range(min = 1, max = 100))]
    pub max_targets: usize,
    /// So much gets through to a node, and so much from it; all its peers share that. One second's worth may pass at
    /// once.
    #[garde(custom(provable_rate))]
    pub rate: Rate,
}

/// Whether a limit is in effect is found out by pushing more bytes than it lets through, for a second: slower ones are
/// too few packets to count, faster ones more than a machine pushes.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "what garde calls it with")]
fn provable_rate<C>(rate: &Rate, _: &C) -> garde::Result {
    if (10_000..=1_000_000_000).contains(&rate.bytes_per_second) {
        return Ok(());
    }
    Err(garde::Error::new("must be from 10kB/s to 1GB/s"))
}

/// Source: design, section 6: one target, unless the scenario says otherwise.
pub(super) const fn one() -> usize {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "what garde calls it with")]
fn some_share<C>(share: &Share, _: &C) -> garde::Result {
    if (Share::percent(1)..=Share::percent(99)).contains(share) {
        return Ok(());
    }
    Err(garde::Error::new("must be from 1% to 99%; for all of it use network_partition"))
}
