//! Lets processes write to files again, knowing only what the ledger knows.

use async_trait::async_trait;
use drdrill_core::action::{ActionError, Reverter, Undo};
use drdrill_core::environment::ProcessIdentity;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::file_limit::FileLimit;

/// Kind of the undo.
const KIND: &str = "file_limit";

/// A process and the limit it had.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Limited {
    pub(super) process: ProcessIdentity,
    pub(super) before: FileLimit,
}

/// What the ledger knows of processes that may not write.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReadOnlyUndo {
    pub(super) processes: Vec<Limited>,
}

impl ReadOnlyUndo {
    pub(super) fn into_undo(self, on: &str) -> Undo {
        Undo::Revert {
            kind: KIND.to_owned(),
            node: on.to_owned(),
            // A struct of strings and numbers always becomes JSON.
            params: serde_json::to_value(&self).unwrap_or_default(),
        }
    }
}

/// Lets processes write to files again.
#[derive(Debug)]
pub struct ReadOnlyReverter;

/// The processes that still have a limit of 0, with those of a container that were started meanwhile: they have it from the one
/// that started them. One that has ended has none.
fn left(node: &str, params: &Value) -> Result<Vec<Limited>, ActionError> {
    let undo: ReadOnlyUndo = serde_json::from_value(params.clone())
        .map_err(|error| ActionError::new("read the undo of", node, error))?;
    let failed = |error| ActionError::new("look for the processes of", node, error);
    let mut all = undo.processes.clone();
    for one in &undo.processes {
        for process in drdrill_process::population(&one.process).map_err(failed)? {
            if undo.processes.iter().all(|known| known.process != process) {
                all.push(Limited { process, before: one.before });
            }
        }
    }
    let mut left = Vec::new();
    for one in all {
        let now = FileLimit::of(&one.process)
            .map_err(|error| ActionError::new("look at", &one.process.node, error))?;
        if now.is_some_and(|now| now.soft == Some(0) && one.before.soft != Some(0)) {
            left.push(one);
        }
    }
    Ok(left)
}

#[async_trait]
impl Reverter for ReadOnlyReverter {
    fn kind(&self) -> &'static str {
        KIND
    }

    async fn revert(&self, node: &str, params: &Value) -> Result<(), ActionError> {
        for Limited { process, before } in left(node, params)? {
            before.set(&process).map_err(|error| {
                ActionError::new("let write to files again", &process.node, error)
            })?;
        }
        Ok(())
    }

    async fn residue(&self, node: &str, params: &Value) -> Result<Vec<String>, ActionError> {
        let line = |Limited { process, .. }: Limited| {
            format!("{} (pid {}) may write nothing to files", process.node, process.pid)
        };
        Ok(left(node, params)?.into_iter().map(line).collect())
    }

    fn by_hand(&self, _: &str, params: &Value) -> String {
        let Ok(undo) = serde_json::from_value::<ReadOnlyUndo>(params.clone()) else {
            return "drdrill recover".to_owned();
        };
        let bound = |bound: Option<u64>| {
            bound.map_or_else(|| "unlimited".to_owned(), |bytes| bytes.to_string())
        };
        let command = |Limited { process, before }: &Limited| {
            let (soft, hard) = (bound(before.soft), bound(before.hard));
            format!("prlimit --pid {} --fsize={soft}:{hard}", process.pid)
        };
        let commands: Vec<String> = undo.processes.iter().map(command).collect();
        commands.join("; ")
    }
}
