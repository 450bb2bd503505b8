//! Which processes a fault strikes, and which it must spare.

use std::sync::Arc;

use drdrill_core::action::ActionError;
use drdrill_core::environment::{ProcessControl, ProcessIdentity};
use drdrill_core::inventory::SiteName;
use drdrill_core::process::{FoundBy, KnownProcess};

use super::protected::protected;

/// The processes that a fault is about.
#[derive(Clone, Debug)]
pub struct Targets {
    /// The site.
    pub on: SiteName,
    /// The one process of it that is meant; all of them without it.
    pub component: Option<String>,
    /// The most processes that may be struck.
    pub max_targets: usize,
    /// All sites of the environment: what else runs there must not notice.
    pub sites: Vec<SiteName>,
    /// Finds processes.
    pub processes: Arc<dyn ProcessControl>,
}

/// A process that a fault strikes.
#[derive(Clone, Debug)]
pub struct Target {
    /// Which process.
    pub process: ProcessIdentity,
    /// What the environment knows of it.
    pub known: KnownProcess,
}

/// Processes cannot be struck.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// The scenario, or good sense, does not allow it.
    #[error("{0}")]
    Refused(String),
    /// They are not as the environment says.
    #[error("{0}")]
    NotThere(String),
}

impl Targets {
    /// An error about the site.
    pub(super) fn error(&self, doing: &str, reason: impl std::fmt::Display) -> ActionError {
        ActionError::new(doing, &*self.on, reason)
    }

    /// The processes that are meant, whether they run or not.
    #[must_use]
    pub fn known(&self) -> Vec<KnownProcess> {
        let mut known = self.processes.known(&self.on);
        known.retain(|one| self.component.as_ref().is_none_or(|name| *name == one.component));
        known
    }

    /// Finds the processes that are meant; all of them have to run.
    ///
    /// # Errors
    /// When one does not run, when there are none or more than are meant, or when one is protected.
    pub async fn find(&self) -> Result<Vec<Target>, TargetError> {
        let running = self.processes.processes(&self.on).await;
        let running = running.map_err(|error| TargetError::NotThere(error.to_string()))?;
        let mut targets = Vec::new();
        for known in self.known() {
            let process = running.iter().find(|process| process.node == known.node).cloned();
            let process = process.ok_or_else(|| TargetError::NotThere(why_not(&known)))?;
            targets.push(Target { process, known });
        }
        let (count, most) = (targets.len(), self.max_targets);
        if count == 0 {
            return Err(TargetError::NotThere("no process of it runs".to_owned()));
        }
        if count > most {
            return Err(TargetError::Refused(format!(
                "{count} processes would be struck, but max_targets is {most}; raise it in the scenario if all are meant, \
                 or name one (`component: {}`)",
                targets[0].known.component
            )));
        }
        for Target { process, known } in &targets {
            let why = protected(process, known)
                .map_err(|error| TargetError::NotThere(format!("read /proc: {error}")))?;
            if let Some(why) = why {
                let (pid, node) = (process.pid, &known.node);
                return Err(TargetError::Refused(format!("process {pid} ({node}) is {why}")));
            }
        }
        Ok(targets)
    }

    /// What runs besides the targets: it must run on.
    pub(super) async fn spared(
        &self,
        targets: &[Target],
    ) -> Result<Vec<ProcessIdentity>, ActionError> {
        let mut spared = Vec::new();
        for site in &self.sites {
            spared.extend(self.processes.processes(site).await?);
        }
        spared.retain(|process| targets.iter().all(|target| target.process != *process));
        Ok(spared)
    }
}

/// Why a process does not run.
fn why_not(known: &KnownProcess) -> String {
    let node = &known.node;
    match &known.found_by {
        FoundBy::Child => format!("{node} does not run"),
        FoundBy::Pid(pid) => format!("{node} does not run: there is no process {pid}"),
        FoundBy::PidFile(path) => match drdrill_process::of_pid_file(node, path) {
            Err(error) => format!("{node} does not run: {error}"),
            Ok(_) => format!("{node} was started just now; try again"),
        },
    }
}
