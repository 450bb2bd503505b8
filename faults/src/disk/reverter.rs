//! Sees to it that a file system has room again, knowing only what the ledger knows.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use drdrill_core::action::{ActionError, Reverter, Undo};
use drdrill_core::environment::ProcessIdentity;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::place::Place;
use super::{ballast, canary};

/// Kind of the undo.
const KIND: &str = "disk_full";
/// Some file systems free space a while after its file is gone: less than one try of an undo may take.
const FREE_TIMEOUT: Duration = Duration::from_secs(5);
/// Time between two looks.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// What the ledger knows of a file system that was filled.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct DiskUndo {
    pub(super) tag: String,
    /// The directory.
    pub(super) path: PathBuf,
    /// Numbers of its device and of itself.
    pub(super) identity: (u64, u64),
    /// Bytes that were free before.
    pub(super) free_before: u64,
    /// Bytes that were left.
    pub(super) left: u64,
    /// The process that holds the space, and with whose end it is free.
    pub(super) holder: ProcessIdentity,
}

impl DiskUndo {
    pub(super) fn into_undo(self, name: &str) -> Undo {
        Undo::Revert {
            kind: KIND.to_owned(),
            node: name.to_owned(),
            // A struct of strings and numbers always becomes JSON.
            params: serde_json::to_value(&self).unwrap_or_default(),
        }
    }

    /// What is left of the fault, a line each.
    fn residue(&self) -> io::Result<Vec<String>> {
        let mut residue = Vec::new();
        let pid = self.holder.pid;
        let is_us = i64::from(pid) == i64::from(std::process::id());
        if ballast::holds(&self.tag) || (!is_us && drdrill_process::is_alive(&self.holder)) {
            residue.push(format!("process {pid} still holds the space"));
        }
        let path = self.path.display();
        let place = match Place::open(&self.path) {
            // What is not mounted any more was filled by nobody who still lives.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(residue),
            place => place?,
        };
        if place.identity() != self.identity {
            return Ok(residue);
        }
        if !canary::has_room(&place)? {
            residue.push(format!("a small write to {path} fails: no space left"));
        }
        // Half of it: the system goes on writing, and what it wrote meanwhile is its own.
        let (free, wanted) = (place.space()?.free, self.left.midpoint(self.free_before));
        if free < wanted {
            let before = self.free_before;
            residue.push(format!("{path} has {free} bytes free, {before} before the fault"));
        }
        Ok(residue)
    }
}

/// Gives the space back.
#[derive(Debug)]
pub struct DiskReverter;

fn parse(node: &str, params: &Value) -> Result<DiskUndo, ActionError> {
    serde_json::from_value(params.clone())
        .map_err(|error| ActionError::new("read the undo of", node, error))
}

async fn look(node: &str, undo: DiskUndo) -> Result<Vec<String>, ActionError> {
    let failed = |error: &dyn std::fmt::Display| ActionError::new("look at", node, error);
    // Off the runtime, so that a disk that hangs cannot outlast the try.
    let looked = tokio::task::spawn_blocking(move || undo.residue()).await;
    looked.map_err(|error| failed(&error))?.map_err(|error| failed(&error))
}

#[async_trait]
impl Reverter for DiskReverter {
    fn kind(&self) -> &'static str {
        KIND
    }

    async fn revert(&self, node: &str, params: &Value) -> Result<(), ActionError> {
        let undo = parse(node, params)?;
        ballast::release(&undo.tag);
        let give_up = Instant::now() + FREE_TIMEOUT;
        while !look(node, undo.clone()).await?.is_empty() && Instant::now() < give_up {
            sleep(LOOK_AGAIN).await;
        }
        Ok(())
    }

    async fn residue(&self, node: &str, params: &Value) -> Result<Vec<String>, ActionError> {
        look(node, parse(node, params)?).await
    }

    fn by_hand(&self, _: &str, params: &Value) -> String {
        match serde_json::from_value::<DiskUndo>(params.clone()) {
            Ok(undo) => format!(
                "drdrill recover; then see who fills it: df {} (the space that drdrill took ends with process {})",
                undo.path.display(),
                undo.holder.pid
            ),
            Err(_) => "drdrill recover".to_owned(),
        }
    }
}
