//! Takes a fault back that was made with the `iptables` program, knowing only what the ledger knows.

use async_trait::async_trait;
use drdrill_core::action::{ActionError, Reverter, Undo};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::reverter::Cut;
use crate::iptables::{Chains, IptablesError};
use crate::namespace::Namespace;

/// Kind of the undo.
const KIND: &str = "iptables";

/// What the ledger knows of such a fault.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ChainsUndo {
    /// The chains, the same in each namespace.
    pub(super) chains: Chains,
    /// The namespaces.
    pub(super) cuts: Vec<Cut>,
}

impl ChainsUndo {
    pub(super) fn into_undo(self, on: &str) -> Undo {
        Undo::Revert {
            kind: KIND.to_owned(),
            node: on.to_owned(),
            // A struct of strings and numbers always becomes JSON.
            params: serde_json::to_value(&self).unwrap_or_default(),
        }
    }

    /// Does something in each of the networks that are still there.
    fn each<T>(
        &self,
        work: impl Fn(&Namespace) -> Result<T, IptablesError>,
    ) -> Result<Vec<(&Cut, T)>, ActionError> {
        let mut done = Vec::new();
        for cut in &self.cuts {
            let Some(namespace) = cut.namespace()? else { continue };
            let error = |error| ActionError::new("look at iptables of", cut.node(), told(&error));
            done.push((cut, work(&namespace).map_err(error)?));
        }
        Ok(done)
    }
}

/// An error with its cause.
pub(super) fn told(error: &IptablesError) -> String {
    let source = std::error::Error::source(error);
    source.map_or_else(|| error.to_string(), |source| format!("{error}: {source}"))
}

/// Takes faults back that were made with the `iptables` program.
#[derive(Debug)]
pub struct ChainsReverter;

/// Programs are waited for: not on a thread that others need.
async fn aside<T: Send + 'static>(
    node: &str,
    params: &Value,
    work: impl FnOnce(ChainsUndo) -> Result<T, ActionError> + Send + 'static,
) -> Result<T, ActionError> {
    let undo = serde_json::from_value(params.clone())
        .map_err(|error| ActionError::new("read the undo of", node, error))?;
    tokio::task::spawn_blocking(move || work(undo))
        .await
        .map_err(|panic| ActionError::new("look at iptables of", node, panic))?
}

#[async_trait]
impl Reverter for ChainsReverter {
    fn kind(&self) -> &'static str {
        KIND
    }

    async fn revert(&self, node: &str, params: &Value) -> Result<(), ActionError> {
        aside(node, params, |undo| undo.each(|one| undo.chains.remove(one)).map(drop)).await
    }

    async fn residue(&self, node: &str, params: &Value) -> Result<Vec<String>, ActionError> {
        aside(node, params, |undo| {
            let left = undo.each(|one| undo.chains.residue(one))?;
            let lines = left.into_iter().flat_map(|(cut, lines)| {
                lines.into_iter().map(move |line| format!("{line} in {}", cut.place()))
            });
            Ok(lines.collect())
        })
        .await
    }

    fn by_hand(&self, _: &str, params: &Value) -> String {
        let Ok(undo) = serde_json::from_value::<ChainsUndo>(params.clone()) else {
            return "drdrill recover".to_owned();
        };
        let commands = undo.chains.by_hand();
        let inside = |cut: &Cut| format!("{}: {commands}", cut.place());
        undo.cuts.iter().map(inside).collect::<Vec<_>>().join("; ")
    }
}
