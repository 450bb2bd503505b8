//! A full file system as a fault of scenarios.

use std::io;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use drdrill_core::action::{Action, ActionError, Belt, Presence, Tag, Undo};
use drdrill_core::directory::Directory;
use drdrill_core::environment::ProcessIdentity;
use drdrill_core::units::Size;

use super::place::{Place, Space};
use super::reverter::DiskUndo;
use super::{ballast, canary};

/// A file system is full.
#[derive(Debug)]
pub struct DiskFull {
    /// The site, for people.
    pub on: String,
    /// The directory whose file system is filled.
    pub directory: Directory,
    /// So many bytes stay free.
    pub leave: u64,
    /// What was planned.
    pub planned: Mutex<Option<Planned>>,
}

/// What was looked at before the fault.
#[derive(Clone, Copy, Debug)]
pub struct Planned {
    identity: (u64, u64),
    before: Space,
}

/// A file system that must not be filled.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// Too much would be struck.
    #[error("{0}")]
    Refused(String),
    /// The directory is not as the environment says.
    #[error("{0}")]
    NotReady(String),
}

impl DiskFull {
    /// Looks whether the file system may be filled, and changes nothing.
    ///
    /// # Errors
    /// When it must not be filled, or cannot be.
    pub fn check(&self) -> Result<(Place, Space), DiskError> {
        let path = self.directory.path.display();
        let not_ready = |error: io::Error| DiskError::NotReady(format!("{path}: {error}"));
        let place = Place::open(&self.directory.path).map_err(not_ready)?;
        if let Some(spared) = place.shares_with(&self.directory.spared).map_err(not_ready)? {
            let what = if spared == std::path::Path::new("/") {
                "the root of this machine".to_owned()
            } else {
                format!("drdrill's evidence ({})", spared.display())
            };
            return Err(DiskError::Refused(format!(
                "{path} is, or may be, on the file system of {what}: filling it would strike everything there"
            )));
        }
        let space = place.space().map_err(not_ready)?;
        let needed = space.free.saturating_sub(self.leave);
        let size = |bytes| Size { bytes };
        if needed == 0 {
            return Err(DiskError::NotReady(format!(
                "{path} has {} free, and no more than {} is to stay: there is nothing to fill",
                size(space.free),
                size(self.leave)
            )));
        }
        if needed > self.directory.at_most {
            return Err(DiskError::Refused(format!(
                "filling {path} takes {needed} bytes, but at_most is {}; raise it in the environment file if that is meant",
                size(self.directory.at_most)
            )));
        }
        place.nameless().map_err(not_ready)?;
        Ok((place, space))
    }

    fn error(&self, doing: &str, reason: impl std::fmt::Display) -> ActionError {
        ActionError::new(doing, &*self.directory.name, reason)
    }

    fn planned(&self) -> Option<Planned> {
        *self.planned.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The directory that was looked at, or none.
    fn place(&self) -> Result<Place, ActionError> {
        let open = |error: io::Error| self.error("open", error);
        let place = Place::open(&self.directory.path).map_err(open)?;
        if self.planned().map(|planned| planned.identity) != Some(place.identity()) {
            return Err(
                self.error("fill", "another directory is in its place since it was looked at")
            );
        }
        Ok(place)
    }
}

#[async_trait]
impl Action for DiskFull {
    fn kind(&self) -> &'static str {
        "disk_full"
    }

    fn target(&self) -> String {
        format!("{} of {}", self.directory.name, self.on)
    }

    fn via(&self) -> String {
        format!(
            "fallocate of a file without a name in {}, at most {}",
            self.directory.path.display(),
            Size { bytes: self.directory.at_most }
        )
    }

    fn belts(&self) -> Vec<Belt> {
        vec![Belt::Kernel, Belt::Journal]
    }

    async fn plan(&self, tag: &Tag) -> Result<Undo, ActionError> {
        let (place, before) = self.check().map_err(|error| self.error("fill", error))?;
        if !canary::has_room(&place).map_err(|error| self.error("write to", error))? {
            return Err(self.error("fill", "a small write fails even without a fault"));
        }
        let planned = Planned { identity: place.identity(), before };
        *self.planned.lock().unwrap_or_else(PoisonError::into_inner) = Some(planned);
        let me = i32::try_from(std::process::id()).ok();
        let holder: Option<ProcessIdentity> =
            me.and_then(|pid| drdrill_process::of_process("drdrill", pid));
        let undo = DiskUndo {
            tag: tag.as_str().to_owned(),
            path: self.directory.path.clone(),
            identity: place.identity(),
            free_before: before.free,
            left: self.leave,
            holder: holder.ok_or_else(|| self.error("fill", "this process is not in /proc"))?,
        };
        Ok(undo.into_undo(&self.directory.name))
    }

    async fn apply(&self, tag: &Tag) -> Result<(), ActionError> {
        let place = self.place()?;
        let (tag, left) = (tag.as_str().to_owned(), self.leave);
        let at_most = self.directory.at_most;
        // Off the runtime: a slow disk must not keep the probes waiting.
        let taken =
            tokio::task::spawn_blocking(move || ballast::take(&tag, &place, left, at_most)).await;
        let taken = taken.map_err(|error| self.error("fill", error))?;
        taken.map(drop).map_err(|error| self.error("fill", error))
    }

    async fn observe(&self, tag: &Tag) -> Result<Presence, ActionError> {
        if !ballast::holds(tag.as_str()) {
            return Ok(Presence::Absent { detail: "nothing is held".to_owned() });
        }
        let (place, left) = (self.place()?, self.leave);
        let looked = tokio::task::spawn_blocking(move || {
            // Where some space is to stay, a write would take it from those whom it is left to.
            let room = left == 0 && canary::has_room(&place)?;
            Ok::<_, io::Error>((room, place.space()?.free))
        });
        let looked = looked.await.map_err(|error| self.error("look at", error))?;
        let (room, free) = looked.map_err(|error| self.error("look at", error))?;
        let before = self.planned().map_or(0, |planned| planned.before.free);
        let seen = format!("{free} bytes free, {before} before");
        Ok(if room {
            Presence::Absent { detail: format!("a write of 4 KiB still succeeds; {seen}") }
        } else if left > 0 && free >= left + ballast::SMALLEST {
            Presence::Absent {
                detail: format!("more than {} is free: {seen}", Size { bytes: left }),
            }
        } else if left > 0 {
            Presence::InEffect { proof: seen }
        } else {
            Presence::InEffect {
                proof: format!("a write of 4 KiB fails, no space left on device; {seen}"),
            }
        })
    }
}
