//! Takes a delay of packets back, knowing only what the ledger knows.

use async_trait::async_trait;
use drdrill_core::action::{ActionError, Reverter, Undo};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::reverter::Cut;
use crate::qdisc::{Device, QdiscError, Qdiscs, Root};

/// Kind of the undo.
const KIND: &str = "qdisc";

/// What the ledger knows of a delay.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DelayUndo {
    /// The root discipline, the same on each device.
    pub(super) root: Root,
    /// Where it is.
    pub(super) slowed: Vec<Slowed>,
}

/// The devices of a node that are slowed down.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Slowed {
    /// Its namespace.
    pub(super) cut: Cut,
    /// Its devices.
    pub(super) devices: Vec<Device>,
}

impl DelayUndo {
    pub(super) fn into_undo(self, on: &str) -> Undo {
        Undo::Revert {
            kind: KIND.to_owned(),
            node: on.to_owned(),
            // A struct of strings and numbers always becomes JSON.
            params: serde_json::to_value(&self).unwrap_or_default(),
        }
    }

    fn parse(node: &str, params: &Value) -> Result<Self, ActionError> {
        serde_json::from_value(params.clone())
            .map_err(|error| ActionError::new("read the undo of", node, error))
    }

    /// Does something with each of the devices that are still there.
    fn each<T>(
        &self,
        work: impl Fn(&Qdiscs, &Device) -> Result<T, QdiscError>,
    ) -> Result<Vec<(&Cut, &Device, T)>, ActionError> {
        let mut done = Vec::new();
        for Slowed { cut, devices } in &self.slowed {
            let Some(namespace) = cut.namespace()? else { continue };
            let failed =
                |error| ActionError::new("look at the queueing disciplines of", cut.node(), error);
            let qdiscs = Qdiscs::of(&namespace).map_err(failed)?;
            for device in devices {
                done.push((cut, device, work(&qdiscs, device).map_err(failed)?));
            }
        }
        Ok(done)
    }
}

/// Takes delays of packets back.
#[derive(Debug)]
pub struct DelayReverter;

#[async_trait]
impl Reverter for DelayReverter {
    fn kind(&self) -> &'static str {
        KIND
    }

    async fn revert(&self, node: &str, params: &Value) -> Result<(), ActionError> {
        let undo = DelayUndo::parse(node, params)?;
        undo.each(|qdiscs, device| qdiscs.remove(&undo.root, device)).map(drop)
    }

    async fn residue(&self, node: &str, params: &Value) -> Result<Vec<String>, ActionError> {
        let undo = DelayUndo::parse(node, params)?;
        let looked = undo.each(|qdiscs, device| qdiscs.is_there(&undo.root, device))?;
        let left = looked.into_iter().filter(|(_, _, is_there)| *is_there);
        let told = left.map(|(cut, device, _)| {
            let Root { handle, kind } = &undo.root;
            format!(
                "{kind} {handle:x}: of device {} in the {} of {}",
                device.name,
                cut.place(),
                cut.node()
            )
        });
        Ok(told.collect())
    }

    fn by_hand(&self, node: &str, params: &Value) -> String {
        let Ok(undo) = DelayUndo::parse(node, params) else {
            return "drdrill recover".to_owned();
        };
        let commands = undo.slowed.iter().flat_map(|Slowed { cut, devices }| {
            devices.iter().map(|device| cut.inside(&undo.root.by_hand(device)))
        });
        commands.collect::<Vec<_>>().join("; ")
    }
}
