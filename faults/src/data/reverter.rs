//! Puts rows back as they were, knowing only what the ledger knows.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use drdrill_core::action::{ActionError, Reverter, Undo};
use drdrill_core::containers::Containers;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::task::spawn_blocking;

use super::postgres::StruckServer;
use super::rows::{self, RowsError};
use super::saved::Saved;

/// Kind of the undo.
const KIND: &str = "data";

/// What the ledger knows of rows that were struck.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct DataUndo {
    pub(super) tag: String,
    pub(super) files: Vec<StruckFile>,
    /// Servers in containers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) servers: Vec<StruckServer>,
    /// Where the engine is that has them: whoever takes a run over may know another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) engine: Option<String>,
}

/// One database.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StruckFile {
    pub(super) path: PathBuf,
    /// Numbers of its device and of itself: a database that was restored into its place is another one.
    pub(super) identity: (u64, u64),
    /// Where the rows are saved. When this is not there nothing was struck.
    pub(super) saved: PathBuf,
}

impl DataUndo {
    pub(super) fn into_undo(self, node: &str) -> Undo {
        Undo::Revert {
            kind: KIND.to_owned(),
            node: node.to_owned(),
            // A struct of strings and numbers always becomes JSON.
            params: serde_json::to_value(&self).unwrap_or_default(),
        }
    }
}

impl StruckFile {
    /// The rows that were struck in it; `None` where nothing of that is left: it never was, or its database is gone or
    /// another one.
    fn struck(&self) -> Result<Option<Saved>, RowsError> {
        match rows::identity(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            identity => {
                if identity? != self.identity {
                    return Ok(None);
                }
            }
        }
        Ok(Saved::read(&self.saved)?)
    }

    fn put_back(&self) -> Result<(), RowsError> {
        let Some(saved) = self.struck()? else { return Ok(()) };
        rows::put_back(&mut rows::open(&self.path)?, &saved)
    }

    fn residue(&self) -> Result<Option<String>, RowsError> {
        let Some(saved) = self.struck()? else { return Ok(None) };
        let still = rows::still_struck(&rows::open(&self.path)?, &saved)?;
        let (all, table, path) = (saved.rows.len(), &saved.table, self.path.display());
        Ok((still > 0).then(|| {
            format!("{still} of {all} rows of {table} in {path} are as the fault left them")
        }))
    }
}

/// Puts rows back.
#[derive(Debug, Default)]
pub struct DataReverter {
    /// The container engine, for data of servers in containers.
    pub containers: Option<Arc<dyn Containers>>,
}

impl DataReverter {
    fn engine(&self, node: &str, at: Option<&str>) -> Result<Arc<dyn Containers>, ActionError> {
        let lacks = || ActionError::new("put back", node, "there is no power over containers");
        let usual = self.containers.clone().ok_or_else(lacks)?;
        Ok(at.and_then(|at| usual.of_engine(at)).unwrap_or(usual))
    }
}

fn parse(node: &str, params: &Value) -> Result<DataUndo, ActionError> {
    serde_json::from_value(params.clone())
        .map_err(|error| ActionError::new("read the undo of", node, error))
}

/// Off the runtime, so that a database that hangs cannot outlast the try.
async fn each<T: Send + 'static>(
    (doing, node): (&str, &str),
    undo: DataUndo,
    look: fn(&StruckFile) -> Result<T, RowsError>,
) -> Result<Vec<T>, ActionError> {
    let looked =
        spawn_blocking(move || undo.files.iter().map(look).collect::<Result<Vec<T>, _>>()).await;
    let looked = looked.map_err(|error| ActionError::new(doing, node, error))?;
    looked.map_err(|error| ActionError::new(doing, node, error))
}

#[async_trait]
impl Reverter for DataReverter {
    fn kind(&self) -> &'static str {
        KIND
    }

    async fn revert(&self, node: &str, params: &Value) -> Result<(), ActionError> {
        let undo = parse(node, params)?;
        // One that cannot be asked keeps none of the others from being put right.
        let mut done = Ok(());
        for server in &undo.servers {
            let engine = self.engine(node, undo.engine.as_deref())?;
            done = done.and(server.put_back(&*engine, &undo.tag).await);
        }
        done.and(each(("put back", node), undo, StruckFile::put_back).await.map(drop))
    }

    async fn residue(&self, node: &str, params: &Value) -> Result<Vec<String>, ActionError> {
        let undo = parse(node, params)?;
        let mut left = Vec::new();
        for server in &undo.servers {
            left.extend(
                server.residue(&*self.engine(node, undo.engine.as_deref())?, &undo.tag).await?,
            );
        }
        left.extend(
            each(("look at", node), undo, StruckFile::residue).await?.into_iter().flatten(),
        );
        Ok(left)
    }

    fn by_hand(&self, _: &str, params: &Value) -> String {
        let Ok(undo) = serde_json::from_value::<DataUndo>(params.clone()) else {
            return "drdrill recover".to_owned();
        };
        let files = undo.files.iter().map(|file| {
            format!(
                "the rows of {} as they were are in {}",
                file.path.display(),
                file.saved.display()
            )
        });
        let servers = undo.servers.iter().map(|one| {
            format!(
                "the rows of {} as they were are in its file {}",
                one.server.container,
                one.saved()
            )
        });
        format!("drdrill recover; {}", files.chain(servers).collect::<Vec<_>>().join("; "))
    }
}
