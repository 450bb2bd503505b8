//! Puts the data of a site back where it was and brings the site back, knowing only what the ledger knows.

use async_trait::async_trait;
use drdrill_core::action::{ActionError, Reverter, Undo};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::task::spawn_blocking;

use super::moved::Moved;
use crate::site_reverter::{SiteReverter, SiteUndo};

/// Kind of the undo.
const KIND: &str = "site_destruction";

/// What the ledger knows of a site that was destroyed.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct DestructionUndo {
    pub(super) site: SiteUndo,
    pub(super) moved: Vec<Moved>,
}

impl DestructionUndo {
    pub(super) fn into_undo(self, node: &str) -> Undo {
        Undo::Revert {
            kind: KIND.to_owned(),
            node: node.to_owned(),
            // A struct of strings and numbers always becomes JSON.
            params: serde_json::to_value(&self).unwrap_or_default(),
        }
    }
}

/// Takes the destruction of a site back.
#[derive(Debug)]
pub struct DestructionReverter {
    /// Brings its network and its processes back.
    pub site: SiteReverter,
}

fn parse(node: &str, params: &Value) -> Result<DestructionUndo, ActionError> {
    serde_json::from_value(params.clone())
        .map_err(|error| ActionError::new("read the undo of", node, error))
}

fn as_json(site: &SiteUndo) -> Value {
    serde_json::to_value(site).unwrap_or_default()
}

#[async_trait]
impl Reverter for DestructionReverter {
    fn kind(&self) -> &'static str {
        KIND
    }

    async fn revert(&self, node: &str, params: &Value) -> Result<(), ActionError> {
        let DestructionUndo { site, moved } = parse(node, params)?;
        let failed =
            |error: &dyn std::fmt::Display| ActionError::new("put back the data of", node, error);
        // Before any process starts that would look for it.
        let put = spawn_blocking(move || moved.iter().try_for_each(Moved::put_back));
        put.await.map_err(|error| failed(&error))?.map_err(|error| failed(&error))?;
        self.site.revert(node, &as_json(&site)).await
    }

    async fn residue(&self, node: &str, params: &Value) -> Result<Vec<String>, ActionError> {
        let DestructionUndo { site, moved } = parse(node, params)?;
        let failed =
            |error: &dyn std::fmt::Display| ActionError::new("look at the data of", node, error);
        let looked = spawn_blocking(move || {
            let mut left = Vec::new();
            for moved in &moved {
                if !moved.is_back()? {
                    left.push(format!("{} is not there", moved.path.display()));
                }
            }
            Ok::<_, std::io::Error>(left)
        });
        let looked = looked.await.map_err(|error| failed(&error))?;
        let mut left = looked.map_err(|error| failed(&error))?;
        left.extend(self.site.residue(node, &as_json(&site)).await?);
        Ok(left)
    }

    fn by_hand(&self, node: &str, params: &Value) -> String {
        let Ok(DestructionUndo { site, moved }) = parse(node, params) else {
            return "drdrill recover".to_owned();
        };
        let mut commands: Vec<String> = moved.iter().map(Moved::by_hand).collect();
        commands.push(self.site.by_hand(node, &as_json(&site)));
        commands.join("; ")
    }
}
