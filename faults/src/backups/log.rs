//! The log that goes on from full backups, damaged as a fault of scenarios.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use drdrill_core::action::{Action, ActionError, Belt, Presence, Tag, Undo};
use drdrill_core::backup::{Archive, RestorePoint};
use drdrill_core::scenario::Harm;
use tokio::task::spawn_blocking;

use super::reverter::BackupUndo;
use super::spoil::SpoiltFile;

/// Where a bit is flipped: in the checksum of the first record. A segment of PostgreSQL begins with 40 bytes of its own, and
/// what is far behind them may be empty.
const FLIPPED_AT: u64 = 60;

/// The newest files of the log are damaged.
#[derive(Debug)]
pub struct LogFault {
    /// The site, for people.
    pub on: String,
    /// Its backups.
    pub archive: Arc<dyn Archive>,
    /// So many files.
    pub newest: usize,
    /// What is done to each.
    pub harm: Harm,
    /// Directory for what is taken from them, on the file system of the backups.
    pub kept_in: PathBuf,
    /// What was planned and seen.
    pub planned: Mutex<Planned>,
}

/// What was chosen before the fault.
#[derive(Clone, Debug, Default)]
pub struct Planned {
    undo: Option<BackupUndo>,
    /// A restore point from which the log went on through what is damaged, and how far.
    from: Option<(RestorePoint, u64)>,
    /// What was seen when it first was in effect.
    proof: Option<String>,
}

impl LogFault {
    fn error(&self, doing: &str, reason: impl std::fmt::Display) -> ActionError {
        ActionError::new(doing, self.target(), reason)
    }

    fn planned(&self) -> std::sync::MutexGuard<'_, Planned> {
        self.planned.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is to be done to a file of the log.
fn spoilt(path: &Path, harm: Harm, kept: &Path) -> io::Result<SpoiltFile> {
    let name = path.file_name().unwrap_or_default();
    let at = if harm == Harm::Flip { FLIPPED_AT } else { fs::metadata(path)?.len() / 2 };
    SpoiltFile::of(path, harm, at, kept.join(name))
}

#[async_trait]
impl Action for LogFault {
    fn kind(&self) -> &'static str {
        "backup_damage"
    }

    fn target(&self) -> String {
        match self.newest {
            1 => format!("the newest piece of the log of {}", self.on),
            several => format!("the newest {several} pieces of the log of {}", self.on),
        }
    }

    fn via(&self) -> String {
        format!("the files in {}, each {}", self.archive.place(), self.harm.word())
    }

    fn belts(&self) -> Vec<Belt> {
        vec![Belt::Journal]
    }

    async fn plan(&self, tag: &Tag) -> Result<Undo, ActionError> {
        let (archive, newest, harm) = (self.archive.clone(), self.newest, self.harm);
        let kept = self.kept_in.join(tag.as_str());
        let chosen = spawn_blocking(move || {
            let points = archive.points()?;
            let point = points.into_iter().find(|point| point.described.is_ok());
            let point = point.ok_or("there is no backup from which it goes on")?;
            // In this order, so that what is damaged comes after the backup.
            let files = archive.log(newest)?;
            if files.is_empty() {
                return Err("there is none".to_owned());
            }
            let reach = archive.reach(&point)?;
            let files: io::Result<Vec<SpoiltFile>> =
                files.iter().map(|file| spoilt(file, harm, &kept)).collect();
            Ok((files.map_err(|error| error.to_string())?, point, reach))
        });
        let chosen = chosen.await.map_err(|error| self.error("look at", error))?;
        let (files, point, reach) = chosen.map_err(|error| self.error("damage", error))?;
        let undo = BackupUndo { tag: tag.as_str().to_owned(), files };
        let told = undo.clone().into_undo(&self.target());
        *self.planned() = Planned { undo: Some(undo), from: Some((point, reach)), proof: None };
        Ok(told)
    }

    async fn apply(&self, _: &Tag) -> Result<(), ActionError> {
        let Some(undo) = self.planned().undo.clone() else {
            return Err(self.error("damage", "it was not planned"));
        };
        let done = spawn_blocking(move || undo.files.iter().try_for_each(SpoiltFile::spoil));
        let done = done.await.map_err(|error| self.error("damage", error))?;
        done.map_err(|error| self.error("damage", error))
    }

    async fn observe(&self, _: &Tag) -> Result<Presence, ActionError> {
        let Planned { from, proof, .. } = self.planned().clone();
        // As with backups: that newer ones do not need it does not undo what was done.
        if let Some(proof) = proof {
            return Ok(Presence::InEffect { proof });
        }
        let Some((point, before)) = from else {
            return Ok(Presence::Absent { detail: "nothing was meant".to_owned() });
        };
        let (archive, name) = (self.archive.clone(), point.name.clone());
        let now = spawn_blocking(move || archive.reach(&point)).await;
        let now = now.map_err(|error| self.error("look at", error))?;
        let now = now.map_err(|error| self.error("look at", error))?;
        if now >= before {
            let detail = format!("the log still goes on from {name} to change {now}");
            return Ok(Presence::Absent { detail });
        }
        let proof =
            format!("the log goes on from {name} to change {now}, and no more to change {before}");
        self.planned().proof = Some(proof.clone());
        Ok(Presence::InEffect { proof })
    }
}
