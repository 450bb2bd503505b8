//! The networks that a fault strikes, the ways on which it is looked for, and those that it must leave alone.

use drdrill_core::action::ActionError;
use drdrill_core::network::{NetworkNode, NetworkPlace};

use super::canary::Path;
use crate::namespace::Namespace;

/// From each peer to each node; from drdrill itself where everybody is meant.
pub(super) fn struck(
    nodes: &[NetworkNode],
    peers: &[NetworkNode],
) -> Result<Vec<Path>, ActionError> {
    let mut paths = Vec::new();
    for node in nodes {
        if peers.is_empty() {
            paths.push(Path::from_us(node)?);
        }
        for peer in peers {
            paths.push(Path::from_peer(peer, node)?);
        }
    }
    Ok(paths)
}

/// From drdrill to the nodes, where only the traffic of others with them is meant.
pub(super) fn beside(
    nodes: &[NetworkNode],
    peers: &[NetworkNode],
) -> Result<Vec<Path>, ActionError> {
    let ours_is_meant =
        peers.is_empty() || peers.iter().any(|peer| peer.place == NetworkPlace::Own);
    nodes.iter().filter(|_| !ours_is_meant).map(Path::from_us).collect()
}

/// Those, and from drdrill to all others.
pub(super) fn spared(
    nodes: &[NetworkNode],
    peers: &[NetworkNode],
    others: &[NetworkNode],
) -> Result<Vec<Path>, ActionError> {
    let elsewhere = others.iter().map(Path::from_us);
    beside(nodes, peers)?.into_iter().map(Ok).chain(elsewhere).collect()
}

/// The network of a node, if it still is the one that was planned for.
pub(super) fn same(
    doing: &str,
    node: &NetworkNode,
    planned: &Namespace,
) -> Result<Namespace, ActionError> {
    let namespace = Namespace::open(&node.place)
        .map_err(|error| ActionError::new(doing, &*node.node, error))?;
    if namespace.identity() == planned.identity() {
        return Ok(namespace);
    }
    let reason =
        format!("the {} is another one than a moment ago; nothing was done to it", node.place);
    Err(ActionError::new(doing, &*node.node, reason))
}
