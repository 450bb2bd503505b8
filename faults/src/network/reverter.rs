//! Takes a fault of the network back, knowing only what the ledger knows.
//!
//! The kernel removes a table when the process that made it ends. So after a crash there is nothing to do but to look,
//! and to remove a table that a kernel without owners has kept.

use std::time::Duration;

use async_trait::async_trait;
use drdrill_core::action::{ActionError, Reverter, Undo};
use drdrill_core::network::{NetworkNode, NetworkPlace};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::held;
use crate::namespace::Namespace;
use crate::nft::{self, NftError};

/// Kind of the undo.
const KIND: &str = "network";
/// Time the kernel has to remove the table of a process that ended; it was seen to take 35 ms at most.
///
/// Source: undo-and-security, section 0, finding 3.
const KERNEL_PATIENCE: Duration = Duration::from_secs(1);
/// Time between two looks.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// What the ledger knows of a fault of the network.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkUndo {
    /// Name of the nftables table, the same in each namespace.
    pub(super) table: String,
    /// The namespaces.
    pub(super) cuts: Vec<Cut>,
}

/// A namespace in which packets are dropped.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Cut {
    node: String,
    place: NetworkPlace,
    /// Device and inode: a namespace of the same name that was made later is another one.
    identity: (u64, u64),
}

impl Cut {
    pub(super) fn new(node: &NetworkNode, namespace: &Namespace) -> Self {
        Self { node: node.node.clone(), place: node.place.clone(), identity: namespace.identity() }
    }

    /// The node's name.
    pub(super) fn node(&self) -> &str {
        &self.node
    }

    /// The node's network.
    pub(super) const fn place(&self) -> &NetworkPlace {
        &self.place
    }

    /// The namespace; `None` when it is gone, and its tables with it.
    pub(super) fn namespace(&self) -> Result<Option<Namespace>, ActionError> {
        match Namespace::open(&self.place) {
            Ok(namespace) => Ok(Some(namespace).filter(|one| one.identity() == self.identity)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(ActionError::new("open the network of", &*self.node, error)),
        }
    }

    /// A command that does something in the namespace, as a person would type it.
    pub(super) fn inside(&self, command: &str) -> String {
        match &self.place {
            NetworkPlace::Own => command.to_owned(),
            NetworkPlace::Netns(name) => format!("ip netns exec {name} {command}"),
            NetworkPlace::Pid(pid) => format!("nsenter --net=/proc/{pid}/ns/net {command}"),
        }
    }
}

impl NetworkUndo {
    pub(super) fn into_undo(self, on: &str) -> Undo {
        Undo::Revert {
            kind: KIND.to_owned(),
            node: on.to_owned(),
            // A struct of strings and numbers always becomes JSON.
            params: serde_json::to_value(&self).unwrap_or_default(),
        }
    }
}

/// Takes faults of the network back.
#[derive(Debug)]
pub struct NetworkReverter;

fn parse(node: &str, params: &Value) -> Result<NetworkUndo, ActionError> {
    serde_json::from_value(params.clone())
        .map_err(|error| ActionError::new("read the undo of", node, error))
}

fn failed(cut: &Cut) -> impl Fn(NftError) -> ActionError {
    let node = cut.node.clone();
    move |error| ActionError::new("look at the packet filter of", node.clone(), error)
}

#[async_trait]
impl Reverter for NetworkReverter {
    fn kind(&self) -> &'static str {
        KIND
    }

    async fn revert(&self, node: &str, params: &Value) -> Result<(), ActionError> {
        let undo = parse(node, params)?;
        // What the kernel says is looked at below; a table it would not remove is gone with its socket.
        let _ = held::release(&undo.table);
        for cut in &undo.cuts {
            let give_up = Instant::now() + KERNEL_PATIENCE;
            while let Some(namespace) = cut.namespace()? {
                match nft::find(&namespace, &undo.table).map_err(failed(cut))? {
                    None => break,
                    Some(found) if found.owned && Instant::now() < give_up => {
                        sleep(LOOK_AGAIN).await;
                    }
                    Some(_) => {
                        nft::remove_ownerless(&namespace, &undo.table).map_err(failed(cut))?;
                        break;
                    }
                }
            }
        }
        Ok(())
    }

    async fn residue(&self, node: &str, params: &Value) -> Result<Vec<String>, ActionError> {
        let undo = parse(node, params)?;
        let mut residue = Vec::new();
        for cut in &undo.cuts {
            let Some(namespace) = cut.namespace()? else { continue };
            if nft::find(&namespace, &undo.table).map_err(failed(cut))?.is_some() {
                residue.push(format!("table {} in the {} of {}", undo.table, cut.place, cut.node));
            }
        }
        Ok(residue)
    }

    fn by_hand(&self, _: &str, params: &Value) -> String {
        let Ok(undo) = serde_json::from_value::<NetworkUndo>(params.clone()) else {
            return "drdrill recover".to_owned();
        };
        let delete = format!("nft delete table inet {}", undo.table);
        undo.cuts.iter().map(|cut| cut.inside(&delete)).collect::<Vec<_>>().join("; ")
    }
}
