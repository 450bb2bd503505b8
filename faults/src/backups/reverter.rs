//! Mends backups, knowing only what the ledger knows.

use async_trait::async_trait;
use drdrill_core::action::{ActionError, Reverter, Undo};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::task::spawn_blocking;

use super::spoil::SpoiltFile;

/// Kind of the undo.
const KIND: &str = "backups";

/// What the ledger knows of backups, or of other files, that were damaged.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct BackupUndo {
    pub(crate) tag: String,
    pub(crate) files: Vec<SpoiltFile>,
}

impl BackupUndo {
    pub(crate) fn into_undo(self, node: &str) -> Undo {
        Undo::Revert {
            kind: KIND.to_owned(),
            node: node.to_owned(),
            // A struct of strings and numbers always becomes JSON.
            params: serde_json::to_value(&self).unwrap_or_default(),
        }
    }
}

/// Mends backups, and other files that were damaged as they are.
#[derive(Debug)]
pub struct BackupReverter;

fn parse(node: &str, params: &Value) -> Result<BackupUndo, ActionError> {
    serde_json::from_value(params.clone())
        .map_err(|error| ActionError::new("read the undo of", node, error))
}

#[async_trait]
impl Reverter for BackupReverter {
    fn kind(&self) -> &'static str {
        KIND
    }

    async fn revert(&self, node: &str, params: &Value) -> Result<(), ActionError> {
        let undo = parse(node, params)?;
        let failed = |error: &dyn std::fmt::Display| ActionError::new("mend", node, error);
        let mended = spawn_blocking(move || undo.files.iter().try_for_each(SpoiltFile::mend));
        mended.await.map_err(|error| failed(&error))?.map_err(|error| failed(&error))
    }

    async fn residue(&self, node: &str, params: &Value) -> Result<Vec<String>, ActionError> {
        let undo = parse(node, params)?;
        let failed = |error: &dyn std::fmt::Display| ActionError::new("look at", node, error);
        let looked = spawn_blocking(move || {
            let mut left = Vec::new();
            for file in &undo.files {
                if !file.is_mended()? {
                    left.push(format!("{} is as the fault left it", file.path.display()));
                }
            }
            Ok::<_, std::io::Error>(left)
        });
        looked.await.map_err(|error| failed(&error))?.map_err(|error| failed(&error))
    }

    fn by_hand(&self, _: &str, params: &Value) -> String {
        format!("drdrill recover; what was done to the files: {}", params["files"])
    }
}
