//! Nodes of a network, and which of their traffic a fault strikes.

use std::fmt;
use std::net::IpAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A network namespace on this machine.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NetworkPlace {
    /// The one drdrill itself runs in.
    Own,
    /// One with a name, as `ip netns add` makes it.
    Netns(String),
    /// That of a process, such as the first process of a container.
    Pid(i32),
}

impl fmt::Display for NetworkPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Own => f.write_str("drdrill's own network"),
            Self::Netns(name) => write!(f, "network namespace {name}"),
            Self::Pid(pid) => write!(f, "network of process {pid}"),
        }
    }
}

/// A node of which drdrill can disturb the network.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct NetworkNode {
    /// Its name in the inventory.
    pub node: String,
    /// Its network.
    pub place: NetworkPlace,
    /// The addresses by which other nodes know it.
    pub addresses: Vec<IpAddr>,
    /// Where it accepts TCP connections, `address:port`: canary connections go there.
    pub canary: String,
}

/// Direction of traffic, as the node sees it that a fault strikes.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// Both directions.
    #[default]
    Both,
    /// What arrives at the node.
    In,
    /// What the node sends.
    Out,
}

impl Way {
    /// Whether it includes what arrives at the node.
    #[must_use]
    pub const fn arriving(self) -> bool {
        matches!(self, Self::Both | Self::In)
    }

    /// Whether it includes what the node sends.
    #[must_use]
    pub const fn leaving(self) -> bool {
        matches!(self, Self::Both | Self::Out)
    }
}

/// What drops packets.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Via {
    /// A table of the kernel's packet filter that ends with drdrill, however that ends.
    Nftables,
    /// A chain of drdrill's own, made with the `iptables` program: only the ledger takes it back.
    Iptables,
}

impl fmt::Display for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nftables => "nftables",
            Self::Iptables => "iptables",
        })
    }
}
