//! A partition, a loss or a limit of packets as an action of a drill.

use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use drdrill_core::action::{Action, ActionError, Belt, Presence, Tag, Undo};
use drdrill_core::network::{NetworkNode, Via, Way};
use drdrill_core::units::{Rate, Share};

use super::canary::{Arrival, Path, send_all};
use super::chains::{ChainsUndo, told};
use super::held::{self, LEASE};
use super::push::Push;
use super::reverter::{Cut, NetworkUndo};
use super::ways;
use crate::iptables::Chains;
use crate::namespace::Namespace;
use crate::nft::{Rules, Strike, Table};

/// What is done when it is put into effect.
const DROP: &str = "drop packets of";

/// What happens to packets.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Disturbance {
    /// All are dropped.
    Partition,
    /// This share is dropped, in each direction that is struck.
    Loss(Share),
    /// What is more than this is dropped, in each direction that is struck.
    Limit(Rate),
}

/// The network of nodes is disturbed.
#[derive(Debug)]
pub struct NetworkFault {
    /// What happens to their packets.
    pub disturbance: Disturbance,
    /// The role that is struck, for people.
    pub on: String,
    /// The nodes that are struck.
    pub nodes: Vec<NetworkNode>,
    /// The nodes whose traffic with them is meant; empty for all traffic.
    pub peers: Vec<NetworkNode>,
    /// Nodes that are neither: they must not notice.
    pub others: Vec<NetworkNode>,
    /// Direction, as the struck nodes see it.
    pub way: Way,
    /// Ports of the struck nodes; empty for all.
    pub ports: Vec<u16>,
    /// The mechanism.
    pub via: Via,
    /// What was seen when it was planned.
    pub planned: Mutex<Planned>,
}

/// What was seen before a fault.
#[derive(Debug, Default)]
pub struct Planned {
    /// The networks of the struck nodes. Kept open, so that no later one can be taken for them.
    namespaces: Vec<Namespace>,
    /// What drops packets, where that is not the kernel's owner tables.
    chains: Option<Chains>,
    /// Ways that must stay open.
    pub(super) open: Vec<Path>,
    /// Ways that must stay wide.
    pub(super) wide: Vec<Push>,
}

impl NetworkFault {
    /// Ways that the fault must strike.
    pub(super) fn struck(&self) -> Result<Vec<Path>, ActionError> {
        let paths = ways::struck(&self.nodes, &self.peers)?;
        let misses = |path: &&Path| !self.ports.is_empty() && !self.ports.contains(&path.to.port());
        if let Some(path) = paths.iter().find(misses) {
            let reason = format!(
                "its canary port {} is none of those that are struck, so that nothing could prove the fault",
                path.to.port()
            );
            return Err(ActionError::new("look at the network of", &*path.node, reason));
        }
        Ok(paths)
    }

    /// Ways to struck nodes that the fault must not strike.
    pub(super) fn beside(&self) -> Result<Vec<Path>, ActionError> {
        ways::beside(&self.nodes, &self.peers)
    }

    /// All ways that the fault must not strike.
    fn spared(&self) -> Result<Vec<Path>, ActionError> {
        ways::spared(&self.nodes, &self.peers, &self.others)
    }

    fn rules(&self) -> Rules {
        let peers: Vec<IpAddr> =
            self.peers.iter().flat_map(|peer| peer.addresses.iter().copied()).collect();
        let strike = match self.disturbance {
            Disturbance::Partition => Strike::Drop,
            Disturbance::Loss(share) => Strike::Lose(share),
            Disturbance::Limit(rate) => Strike::Limit(rate),
        };
        Rules { strike, way: self.way, peers, ports: self.ports.clone() }
    }

    pub(super) fn planned(&self) -> MutexGuard<'_, Planned> {
        self.planned.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn error(&self, doing: &str, reason: impl std::fmt::Display) -> ActionError {
        ActionError::new(doing, self.on.clone(), reason)
    }
}

/// Puts a fault into effect in the network of one node.
fn install(
    node: &NetworkNode,
    planned: &Namespace,
    tag: &Tag,
    rules: &Rules,
) -> Result<Table, ActionError> {
    Table::install(&ways::same(DROP, node, planned)?, tag.as_str(), rules, LEASE)
        .map_err(|error| not_struck(node, error))
}

fn not_struck(node: &NetworkNode, reason: impl std::fmt::Display) -> ActionError {
    ActionError::new(DROP, &*node.node, reason)
}

#[async_trait]
impl Action for NetworkFault {
    fn kind(&self) -> &'static str {
        match self.disturbance {
            Disturbance::Partition => "network_partition",
            Disturbance::Loss(_) => "packet_loss",
            Disturbance::Limit(_) => "rate_limit",
        }
    }

    fn target(&self) -> String {
        self.on.clone()
    }

    fn via(&self) -> String {
        let places: Vec<String> = self.nodes.iter().map(|node| node.place.to_string()).collect();
        format!("{} in {}", self.via, places.join(", "))
    }

    fn belts(&self) -> Vec<Belt> {
        match self.via {
            Via::Nftables => vec![Belt::Kernel, Belt::Journal],
            Via::Iptables => vec![Belt::Journal],
        }
    }

    async fn plan(&self, tag: &Tag) -> Result<Undo, ActionError> {
        let mut namespaces = Vec::new();
        for node in &self.nodes {
            let namespace = Namespace::open(&node.place)
                .map_err(|error| ActionError::new("open the network of", &*node.node, error))?;
            namespaces.push(namespace);
        }
        let cuts = self.nodes.iter().zip(&namespaces).map(|(node, one)| Cut::new(node, one));
        let cuts = cuts.collect();
        let struck = self.struck()?;
        for (path, arrival) in struck.iter().zip(send_all(&struck).await?) {
            if let Arrival::Lost(how) = arrival {
                let reason = format!("{path} does not get through even without a fault: {how}");
                return Err(self.error("look at the network of", reason));
            }
        }
        // What is closed already cannot show that it was spared.
        let spared = self.spared()?;
        let open = spared.iter().zip(send_all(&spared).await?);
        let open = open.filter(|(_, arrival)| *arrival == Arrival::Answered);
        let open = open.map(|(path, _)| path.clone()).collect();
        let wide = match self.disturbance {
            Disturbance::Limit(rate) => self.look_at_width(rate).await?,
            Disturbance::Partition | Disturbance::Loss(_) => Vec::new(),
        };
        let chains = match self.via {
            Via::Nftables => None,
            Via::Iptables => Some(
                Chains::new(tag.as_str(), &self.rules())
                    .map_err(|error| self.error(DROP, error))?,
            ),
        };
        let undo = match chains.clone() {
            None => NetworkUndo { table: tag.as_str().to_owned(), cuts }.into_undo(&self.on),
            Some(chains) => ChainsUndo { chains, cuts }.into_undo(&self.on),
        };
        *self.planned() = Planned { namespaces, chains, open, wide };
        Ok(undo)
    }

    async fn apply(&self, tag: &Tag) -> Result<(), ActionError> {
        let rules = self.rules();
        let planned = self.planned();
        let nodes = self.nodes.iter().zip(&planned.namespaces);
        if let Some(chains) = &planned.chains {
            for (node, one) in nodes {
                let namespace = ways::same(DROP, node, one)?;
                chains
                    .install(&namespace, &rules)
                    .map_err(|error| not_struck(node, told(&error)))?;
            }
            return Ok(());
        }
        // Where one fails, what was installed so far goes with the others' tables.
        let tables: Result<Vec<Table>, ActionError> =
            nodes.map(|(node, one)| install(node, one, tag, &rules)).collect();
        held::hold(tag.as_str(), tables?)
            .map_err(|error| self.error("hold the faults of the network of", error))
    }

    async fn observe(&self, tag: &Tag) -> Result<Presence, ActionError> {
        if self.via == Via::Nftables && !held::holds(tag.as_str()) {
            return Ok(Presence::Absent { detail: "the kernel no longer holds it".to_owned() });
        }
        let seen = match self.disturbance {
            Disturbance::Partition => self.look_for_partition().await?,
            Disturbance::Loss(share) => self.look_for_loss(share).await?,
            Disturbance::Limit(rate) => self.look_for_limit(rate).await?,
        };
        let Presence::InEffect { proof } = seen else { return Ok(seen) };
        let open = self.planned().open.clone();
        for (path, arrival) in open.iter().zip(send_all(&open).await?) {
            if let Arrival::Lost(how) = arrival {
                return Ok(Presence::TooWide { detail: format!("{path}: {how}") });
            }
        }
        let spared: Vec<String> = open.iter().map(Path::to_string).collect();
        let spared = if spared.is_empty() {
            "nothing was there to show that it is not too wide".to_owned()
        } else {
            format!("not struck: {}", spared.join(", "))
        };
        Ok(Presence::InEffect { proof: format!("{proof}; {spared}") })
    }
}
