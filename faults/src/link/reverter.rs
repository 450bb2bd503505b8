//! Lets data pass again, knowing only what the ledger knows.

use std::sync::Arc;

use async_trait::async_trait;
use drdrill_core::action::{ActionError, Reverter, Undo};
use drdrill_core::environment::{LinkControl, ProcessIdentity};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Kind of the undo.
const KIND: &str = "link_block";

/// One block on one proxy.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Blocked {
    pub(super) proxy: String,
    pub(super) block: String,
}

/// What the ledger knows of blocked links.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BlockUndo {
    /// Base URL of the proxy server's API.
    pub(super) api: String,
    /// The proxy server, where it ends with its environment: proxies of a server that is gone need no undo.
    pub(super) server: Option<ProcessIdentity>,
    pub(super) blocked: Vec<Blocked>,
}

impl BlockUndo {
    pub(super) fn into_undo(self, on: &str) -> Undo {
        Undo::Revert {
            kind: KIND.to_owned(),
            node: on.to_owned(),
            // A struct of strings and numbers always becomes JSON.
            params: serde_json::to_value(&self).unwrap_or_default(),
        }
    }
}

/// Lets data pass again.
#[derive(Debug)]
pub struct BlockReverter {
    /// Reaches a proxy server by the base URL of its API.
    pub make_links: fn(&str) -> Result<Arc<dyn LinkControl>, ActionError>,
}

impl BlockReverter {
    /// The blocks that are still there: those of a proxy that was removed went with it.
    async fn left(
        &self,
        node: &str,
        params: &Value,
    ) -> Result<Vec<(Arc<dyn LinkControl>, Blocked)>, ActionError> {
        let undo: BlockUndo = serde_json::from_value(params.clone())
            .map_err(|error| ActionError::new("read the undo of", node, error))?;
        if undo.server.is_some_and(|server| !drdrill_process::is_alive(&server)) {
            return Ok(Vec::new());
        }
        let links = (self.make_links)(&undo.api)?;
        let existing = links.names().await?;
        let mut left = Vec::new();
        for one in undo.blocked.into_iter().filter(|one| existing.contains(&one.proxy)) {
            let there = links.blocks(&one.proxy).await?;
            if there.iter().any(|block| block.name == one.block) {
                left.push((links.clone(), one));
            }
        }
        Ok(left)
    }
}

#[async_trait]
impl Reverter for BlockReverter {
    fn kind(&self) -> &'static str {
        KIND
    }

    async fn revert(&self, node: &str, params: &Value) -> Result<(), ActionError> {
        for (links, Blocked { proxy, block }) in self.left(node, params).await? {
            links.unblock(&proxy, &block).await?;
        }
        Ok(())
    }

    async fn residue(&self, node: &str, params: &Value) -> Result<Vec<String>, ActionError> {
        let left = self.left(node, params).await?;
        let line = |(_, one): (_, Blocked)| format!("proxy {} has {}", one.proxy, one.block);
        Ok(left.into_iter().map(line).collect())
    }

    fn by_hand(&self, _: &str, params: &Value) -> String {
        let Ok(undo) = serde_json::from_value::<BlockUndo>(params.clone()) else {
            return "drdrill recover".to_owned();
        };
        let call = |Blocked { proxy, block }: &Blocked| {
            format!("curl -X DELETE {}/proxies/{proxy}/toxics/{block}", undo.api)
        };
        let mut commands: Vec<String> = undo.blocked.iter().map(call).collect();
        commands.push("drdrill recover".to_owned());
        commands.join("; ")
    }
}
