//! Damaged backups as a fault of scenarios.

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

/// The newest restore points are damaged.
#[derive(Debug)]
pub struct BackupFault {
    /// The site, for people.
    pub on: String,
    /// Its backups.
    pub archive: Arc<dyn Archive>,
    /// So many of them.
    pub newest: usize,
    /// What is done to each.
    pub harm: Harm,
    /// Directory for what is taken from them, on the file system of the backups.
    pub kept_in: PathBuf,
    /// What was planned.
    pub planned: Mutex<Planned>,
}

/// What was chosen before the fault.
#[derive(Clone, Debug, Default)]
pub struct Planned {
    points: Vec<RestorePoint>,
    undo: Option<BackupUndo>,
    /// What was seen when it first was in effect.
    proof: Option<String>,
}

impl BackupFault {
    fn error(&self, doing: &str, reason: impl std::fmt::Display) -> ActionError {
        ActionError::new(doing, self.target(), reason)
    }

    fn planned(&self) -> std::sync::MutexGuard<'_, Planned> {
        self.planned.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is to be done to the files of one restore point.
fn spoilt(point: &RestorePoint, harm: Harm, kept: &Path) -> io::Result<Vec<SpoiltFile>> {
    if harm == Harm::Remove {
        let files = point.files.iter().enumerate().map(|(number, file)| {
            SpoiltFile::of(file, harm, 0, kept.join(format!("{}.{number}", point.name)))
        });
        return files.collect();
    }
    let half = fs::metadata(&point.full)?.len() / 2;
    let tail = kept.join(format!("{}.tail", point.name));
    Ok(vec![SpoiltFile::of(&point.full, harm, half, tail)?])
}

#[async_trait]
impl Action for BackupFault {
    fn kind(&self) -> &'static str {
        "backup_damage"
    }

    fn target(&self) -> String {
        match self.newest {
            1 => format!("the newest backup of {}", self.on),
            several => format!("the newest {several} backups of {}", self.on),
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
            let mut points = archive.points()?;
            // One that is being taken just now is none yet.
            points.retain(|point| point.described.is_ok());
            points.truncate(newest);
            if points.is_empty() {
                return Err("there is none".to_owned());
            }
            for point in &points {
                // A fault of what is broken already would prove nothing.
                archive.check(point).map_err(|why| format!("{}: {why}", point.name))?;
            }
            let files: io::Result<Vec<Vec<SpoiltFile>>> =
                points.iter().map(|point| spoilt(point, harm, &kept)).collect();
            Ok((points, files.map_err(|error| error.to_string())?.concat()))
        });
        let chosen = chosen.await.map_err(|error| self.error("look at", error))?;
        let (points, files) = chosen.map_err(|error| self.error("damage", error))?;
        let undo = BackupUndo { tag: tag.as_str().to_owned(), files };
        let told = undo.clone().into_undo(&self.target());
        *self.planned() = Planned { points, undo: Some(undo), proof: None };
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
        let Planned { points, proof, .. } = self.planned().clone();
        // As with data: a backup that was taken anew since, or rotated away, does not undo what was done.
        if let Some(proof) = proof {
            return Ok(Presence::InEffect { proof });
        }
        let archive = self.archive.clone();
        let looked = spawn_blocking(move || {
            let mut seen = Vec::new();
            for point in &points {
                match archive.check(point) {
                    Ok(_) => return Err(format!("{} still has its checksum", point.name)),
                    Err(why) => match archive.trouble() {
                        Some(trouble) => return Err(trouble),
                        None => seen.push(format!("{} is unusable: {why}", point.name)),
                    },
                }
            }
            Ok(seen)
        });
        Ok(match looked.await.map_err(|error| self.error("look at", error))? {
            Err(detail) => Presence::Absent { detail },
            Ok(seen) if seen.is_empty() => {
                Presence::Absent { detail: "nothing was meant".to_owned() }
            }
            Ok(seen) => {
                let proof = seen.join("; ");
                self.planned().proof = Some(proof.clone());
                Presence::InEffect { proof }
            }
        })
    }
}
