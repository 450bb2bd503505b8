//! Processes can read files and not write to them: the kernel refuses each write to a file with EFBIG.
//!
//! A mount cannot be made read-only while a file on it is open for writing, which a database always has, so the limit is
//! set where it always can be: on the process (`RLIMIT_FSIZE` 0).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use drdrill_core::action::{Action, ActionError, Belt, Presence, Tag, Undo};
use drdrill_core::environment::{HealthKind, HealthSource, ProcessIdentity};

use super::file_limit::{FileLimit, survives_refusal};
use super::read_only_undo::{Limited, ReadOnlyUndo};
use super::targets::Targets;
use drdrill_process::population;

/// Looks for processes that were started while others were struck: the first finds them, the second that there are no more.
const ROUNDS: u32 = 10;

/// Processes of a site can read files and not write to them.
#[derive(Debug)]
pub struct StorageReadOnly {
    /// Which.
    pub targets: Targets,
    /// Eyes on the site, where there are any: its database must be seen not to take a write.
    pub health: Option<Arc<dyn HealthSource>>,
    /// Those that were struck, with the limits they had.
    pub struck: Mutex<Vec<Limited>>,
}

impl StorageReadOnly {
    fn error(&self, reason: impl std::fmt::Display) -> ActionError {
        self.targets.error("make files read-only for", reason)
    }

    fn struck(&self) -> MutexGuard<'_, Vec<Limited>> {
        self.struck.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the site says of its database; `None` without eyes on it.
    async fn database(&self) -> Option<Result<(), String>> {
        let health = self.health.as_ref()?;
        if !health.kinds().contains(&HealthKind::Database) {
            return None;
        }
        Some(health.look(&self.targets.on, HealthKind::Database).await)
    }
}

/// Whether a process is in the container of one that was struck before it and that runs.
fn has_elder(struck: &[Limited], process: &ProcessIdentity) -> bool {
    let elder = struck.iter().find(|one| one.process.node == process.node);
    elder
        .is_some_and(|elder| elder.process != *process && drdrill_process::is_alive(&elder.process))
}

/// Processes that share a container with those that were struck, and may write all the same. Their undo is that of the ones
/// that were struck: it looks for all that are there by then.
fn free_of_limit(struck: &[Limited]) -> std::io::Result<Vec<Limited>> {
    let mut free = Vec::new();
    for one in struck {
        for process in population(&one.process)? {
            let now = FileLimit::of(&process)?;
            if now.is_some_and(|now| now.soft != Some(0)) {
                free.push(Limited { process, before: one.before });
            }
        }
    }
    Ok(free)
}

#[async_trait]
impl Action for StorageReadOnly {
    fn kind(&self) -> &'static str {
        "storage_read_only"
    }

    fn target(&self) -> String {
        match &self.targets.component {
            Some(component) => format!("{component} of {}", self.targets.on),
            None => self.targets.on.clone(),
        }
    }

    fn via(&self) -> String {
        "RLIMIT_FSIZE, by prlimit".to_owned()
    }

    fn belts(&self) -> Vec<Belt> {
        vec![Belt::Journal]
    }

    async fn plan(&self, _: &Tag) -> Result<Undo, ActionError> {
        let targets = self.targets.find().await.map_err(|error| self.error(error))?;
        let mut limited: Vec<Limited> = Vec::new();
        let mut all = Vec::new();
        for target in targets {
            all.extend(population(&target.process).map_err(|error| self.error(error))?);
        }
        for process in all {
            // Sessions of a database come and go.
            let elder = limited.iter().any(|one| one.process.node == process.node);
            if elder && !drdrill_process::is_alive(&process) {
                continue;
            }
            let (node, pid) = (&process.node, process.pid);
            if !survives_refusal(&process).map_err(|error| self.error(error))? {
                return Err(self.error(format!(
                    "{node} (pid {pid}) neither ignores nor handles SIGXFSZ: a write that is refused would end it"
                )));
            }
            let before = FileLimit::of(&process).map_err(|error| self.error(error))?;
            let before = before.ok_or_else(|| self.error(format!("{node} has ended")))?;
            if before.soft == Some(0) {
                return Err(self.error(format!("{node} (pid {pid}) may write nothing already")));
            }
            limited.push(Limited { process, before });
        }
        if let Some(Err(why)) = self.database().await {
            return Err(self.error(format!("its database is ill even without a fault: {why}")));
        }
        limited.clone_into(&mut self.struck());
        Ok(ReadOnlyUndo { processes: limited }.into_undo(&self.targets.on))
    }

    async fn apply(&self, _: &Tag) -> Result<(), ActionError> {
        let struck = self.struck().clone();
        for Limited { process, before } in &struck {
            let none = before.refusing();
            match none.set(process) {
                Ok(true) => {}
                Ok(false) if has_elder(&struck, process) => {}
                Ok(false) => return Err(self.error(format!("{} has ended", process.node))),
                Err(error) => return Err(self.error(error)),
            }
        }
        // What was started between the plan and now. A few rounds: what one that was struck starts has its limit.
        for _ in 0..ROUNDS {
            let free = free_of_limit(&struck).map_err(|error| self.error(error))?;
            if free.is_empty() {
                return Ok(());
            }
            for Limited { process, before } in free {
                before.refusing().set(&process).map_err(|error| self.error(error))?;
            }
        }
        Err(self.error(format!("its processes start others faster than {ROUNDS} looks find them")))
    }

    async fn observe(&self, _: &Tag) -> Result<Presence, ActionError> {
        let struck = self.struck().clone();
        let mut proof = Vec::new();
        for Limited { process, .. } in &struck {
            let (node, pid) = (&process.node, process.pid);
            match FileLimit::of(process).map_err(|error| self.error(error))? {
                Some(FileLimit { soft: Some(0), .. }) => {
                    proof.push(format!("{node} (pid {pid}) may write 0 bytes to files"));
                }
                Some(_) => {
                    let detail = format!("{node} (pid {pid}) may write to files");
                    return Ok(Presence::Absent { detail });
                }
                // What a database does whose writes are refused.
                None if has_elder(&struck, process) => {
                    proof.push(format!("{node} (pid {pid}) has ended"));
                }
                None => {
                    let detail = format!("{node} (pid {pid}) has ended");
                    return Ok(Presence::Absent { detail });
                }
            }
        }
        let free = free_of_limit(&struck).map_err(|error| self.error(error))?;
        if let Some(Limited { process, .. }) = free.first() {
            let (node, pid) = (&process.node, process.pid);
            let detail = format!("{node} (pid {pid}), which was started since, may write to files");
            return Ok(Presence::Absent { detail });
        }
        match self.database().await {
            None => proof.push("nobody looked at what that does to it".to_owned()),
            Some(Err(why)) => proof.push(format!("its database: {why}")),
            Some(Ok(())) => {
                let detail = format!("the database of {} still takes writes", self.targets.on);
                return Ok(Presence::Absent { detail });
            }
        }
        Ok(Presence::InEffect { proof: proof.join("; ") })
    }
}
