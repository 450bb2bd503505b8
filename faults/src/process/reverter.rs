//! Lets paused processes run on, knowing only what the ledger knows.

use std::fs;
use std::time::Duration;

use async_trait::async_trait;
use drdrill_core::action::{ActionError, Reverter, Undo};
use drdrill_core::environment::ProcessIdentity;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::pause::{MARK, release};
use super::threads::{self, Thread};

/// Kind of the undo.
const KIND: &str = "process_pause";
/// A pauser whose harness is gone lets go within this time, or is killed.
const PATIENCE: Duration = Duration::from_millis(500);
/// Time between two looks.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// What the ledger knows of paused processes.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct PauseUndo {
    pub(super) tag: String,
    pub(super) processes: Vec<ProcessIdentity>,
}

impl PauseUndo {
    pub(super) fn into_undo(self, on: &str) -> Undo {
        Undo::Revert {
            kind: KIND.to_owned(),
            node: on.to_owned(),
            // A struct of strings and numbers always becomes JSON.
            params: serde_json::to_value(&self).unwrap_or_default(),
        }
    }

    /// Threads that a pauser of this fault holds, with their process.
    fn held(&self) -> std::io::Result<Vec<(&ProcessIdentity, Thread)>> {
        let mut held = Vec::new();
        for process in &self.processes {
            let threads = threads::of(process)?.into_iter();
            held.extend(threads.filter(|thread| self.is_ours(*thread)).map(|one| (process, one)));
        }
        Ok(held)
    }

    /// Whether a thread is held by a pauser of this fault, and not by a debugger of somebody else.
    fn is_ours(&self, thread: Thread) -> bool {
        let mark = format!("{MARK}={}", self.tag).into_bytes();
        thread.tracer != 0
            && fs::read(format!("/proc/{}/environ", thread.tracer))
                .is_ok_and(|all| all.split(|&byte| byte == 0).any(|variable| variable == mark))
    }
}

/// Lets paused processes run on.
#[derive(Debug)]
pub struct PauseReverter;

fn parse(node: &str, params: &Value) -> Result<PauseUndo, ActionError> {
    serde_json::from_value(params.clone())
        .map_err(|error| ActionError::new("read the undo of", node, error))
}

#[async_trait]
impl Reverter for PauseReverter {
    fn kind(&self) -> &'static str {
        KIND
    }

    async fn revert(&self, node: &str, params: &Value) -> Result<(), ActionError> {
        let undo = parse(node, params)?;
        let failed = |error: std::io::Error| ActionError::new("let run on", node, error);
        release(&undo.tag).map_err(failed)?;
        let give_up = Instant::now() + PATIENCE;
        loop {
            let held = undo.held().map_err(failed)?;
            let Some((_, thread)) = held.first() else { return Ok(()) };
            if Instant::now() >= give_up {
                // It hangs, or its lifeline was inherited by somebody who lives on.
                let pauser = drdrill_process::of_process("pauser", thread.tracer);
                return pauser.map_or(Ok(()), |one| drdrill_process::kill(&one).map_err(failed));
            }
            sleep(LOOK_AGAIN).await;
        }
    }

    async fn residue(&self, node: &str, params: &Value) -> Result<Vec<String>, ActionError> {
        let undo = parse(node, params)?;
        let held = undo.held().map_err(|error| ActionError::new("look at", node, error))?;
        let line = |(process, thread): &(&ProcessIdentity, Thread)| {
            format!("thread {} of {} is held by process {}", thread.id, process.node, thread.tracer)
        };
        Ok(held.iter().map(line).collect())
    }

    fn by_hand(&self, _: &str, params: &Value) -> String {
        let tag = params.get("tag").and_then(Value::as_str).unwrap_or_default();
        format!("drdrill recover, or kill the process that has {MARK}={tag} in its environment")
    }
}
