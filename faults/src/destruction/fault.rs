//! A site of which nothing is left, as a fault of scenarios.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use drdrill_core::action::{Action, ActionError, Belt, Presence, Tag, Undo};
use drdrill_core::environment::ProcessControl;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use super::moved::Moved;
use super::reverter::DestructionUndo;
use crate::dark::SiteNetwork;
use crate::site_reverter::SiteUndo;

/// Time between two looks at whether processes that were killed are gone. The caller bounds the wait.
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// Every process of a site is killed, with the container it is in where it is in one, its network goes dark, and its
/// directories are gone.
#[derive(Debug)]
pub struct SiteDestruction {
    /// The network of the site.
    pub network: SiteNetwork,
    /// Its processes.
    pub processes: Arc<dyn ProcessControl>,
    /// Its directories.
    pub directories: Vec<PathBuf>,
    /// Where they are kept until they are put back: on the same file system.
    pub kept_in: PathBuf,
    /// What was planned and seen.
    pub planned: Mutex<Planned>,
}

/// What was chosen before the fault, and what was seen of it since.
#[derive(Clone, Debug, Default)]
pub struct Planned {
    moved: Vec<Moved>,
    /// The processes that were killed, for people.
    killed: Vec<String>,
    /// What they were in, and that is gone with them.
    cleared: Vec<String>,
    /// What was seen when it first was in effect.
    proof: Option<String>,
}

impl SiteDestruction {
    fn error(&self, reason: impl std::fmt::Display) -> ActionError {
        ActionError::new("destroy", &self.network.site, reason)
    }

    fn planned(&self) -> std::sync::MutexGuard<'_, Planned> {
        self.planned.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn alive(&self) -> Result<Vec<String>, ActionError> {
        let processes = self.processes.processes(&self.network.site).await?;
        let named = |one: drdrill_core::environment::ProcessIdentity| {
            format!("{} (pid {})", one.node, one.pid)
        };
        Ok(processes.into_iter().map(named).collect())
    }

    /// Looks at the directories, off the runtime: their disk may hang.
    async fn directories<T: Send + 'static>(
        &self,
        look: fn(&Moved) -> std::io::Result<T>,
    ) -> Result<Vec<T>, ActionError> {
        let moved = self.planned().moved.clone();
        let looked = spawn_blocking(move || moved.iter().map(look).collect::<Result<Vec<T>, _>>());
        let looked = looked.await.map_err(|error| self.error(error))?;
        looked.map_err(|error| self.error(error))
    }
}

impl SiteDestruction {
    /// Gives the directories their other names, off the runtime. What still waits for its disk when nobody waits for it any
    /// more does no more: the undo has been carried out by then.
    async fn take_away(&self) -> Result<(), ActionError> {
        let moved = self.planned().moved.clone();
        let wanted = Wanted(Arc::new(AtomicBool::new(true)));
        let still = wanted.0.clone();
        let taken = spawn_blocking(move || {
            for one in &moved {
                if !still.load(Ordering::SeqCst) {
                    return Err(std::io::Error::other("given up"));
                }
                one.take_away()?;
            }
            Ok(())
        });
        let taken = taken.await.map_err(|error| self.error(error))?;
        taken.map_err(|error| self.error(error))
    }
}

/// Whether something is still wanted: until this is dropped.
struct Wanted(Arc<AtomicBool>);

impl Drop for Wanted {
    fn drop(&mut self) {
        self.0.store(false, Ordering::SeqCst);
    }
}

#[async_trait]
impl Action for SiteDestruction {
    fn kind(&self) -> &'static str {
        "site_destruction"
    }

    fn target(&self) -> String {
        self.network.site.clone()
    }

    fn via(&self) -> String {
        let api = self.network.control.api();
        format!("SIGKILL, Toxiproxy at {api}, and its directories given another name")
    }

    fn belts(&self) -> Vec<Belt> {
        vec![Belt::Journal]
    }

    async fn plan(&self, tag: &Tag) -> Result<Undo, ActionError> {
        let processes = self.processes.processes(&self.network.site).await?;
        if processes.is_empty() {
            // A fault without a target would prove nothing.
            return Err(self.error("no process of the site runs"));
        }
        let (directories, kept) = (self.directories.clone(), self.kept_in.join(tag.as_str()));
        let planned = spawn_blocking(move || {
            let planned = directories.iter().enumerate();
            let planned =
                planned.map(|(number, path)| Moved::planned(path, kept.join(number.to_string())));
            planned.collect::<Result<Vec<_>, _>>()
        });
        let moved = planned.await.map_err(|error| self.error(error))?;
        let moved = moved.map_err(|error| self.error(error))?;
        let site = SiteUndo::of(&self.network, &processes).await?;
        let cleared = self.processes.remains(&self.network.site).await?;
        *self.planned() = Planned { moved: moved.clone(), cleared, ..Planned::default() };
        Ok(DestructionUndo { site, moved }.into_undo(&self.network.site))
    }

    async fn apply(&self, _: &Tag) -> Result<(), ActionError> {
        let site = &self.network.site;
        self.planned().killed = self.alive().await?;
        for process in &self.processes.processes(site).await? {
            drdrill_process::kill(process)
                .map_err(|error| ActionError::new("kill", &process.node, error))?;
        }
        self.network.darken().await?;
        // One that still writes could make its directory again.
        while !self.alive().await?.is_empty() {
            sleep(LOOK_AGAIN).await;
        }
        self.take_away().await?;
        // Last, because it takes the longest: nothing of this is seen from where clients stand.
        self.processes.clear_away(site).await
    }

    async fn observe(&self, _: &Tag) -> Result<Presence, ActionError> {
        // What is destroyed stays so: that a site is built anew in its place is the recovery.
        if let Some(proof) = self.planned().proof.clone() {
            return Ok(Presence::InEffect { proof });
        }
        let alive = self.alive().await?;
        if !alive.is_empty() {
            return Ok(Presence::Absent { detail: format!("still alive: {}", alive.join(", ")) });
        }
        let remains = self.processes.remains(&self.network.site).await?;
        if !remains.is_empty() {
            return Ok(Presence::Absent { detail: format!("still there: {}", remains.join(", ")) });
        }
        let gone = self.directories(Moved::is_gone).await?;
        let moved = self.planned().moved.clone();
        let paths: Vec<String> =
            moved.iter().map(|moved| moved.path.display().to_string()).collect();
        if gone.is_empty() || gone.contains(&false) {
            return Ok(Presence::Absent { detail: format!("still there: {}", paths.join(", ")) });
        }
        Ok(match self.network.look().await? {
            Presence::InEffect { proof } => {
                let Planned { killed, cleared, .. } = self.planned().clone();
                let gone = [killed, cleared].concat().join(", ");
                let proof = format!("gone: {gone}; nothing is at {}; {proof}", paths.join(", "));
                self.planned().proof = Some(proof.clone());
                Presence::InEffect { proof }
            }
            other => other,
        })
    }
}
