//! Every process of a site is killed and its network goes dark.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use drdrill_core::action::{Action, ActionError, Belt, Presence, Tag, Undo};
use drdrill_core::environment::{ProcessControl, ProcessIdentity};

use crate::dark::SiteNetwork;
use crate::site_reverter::SiteUndo;

/// Every process of a site is killed and its network goes dark.
#[derive(Debug)]
pub struct SiteLoss {
    network: SiteNetwork,
    processes: Arc<dyn ProcessControl>,
    killed: Mutex<Vec<ProcessIdentity>>,
}

impl SiteLoss {
    /// The loss of the site of `network`.
    #[must_use]
    pub fn new(network: SiteNetwork, processes: Arc<dyn ProcessControl>) -> Self {
        Self { network, processes, killed: Mutex::default() }
    }
}

#[async_trait]
impl Action for SiteLoss {
    fn kind(&self) -> &'static str {
        "site_loss"
    }

    fn target(&self) -> String {
        self.network.site.clone()
    }

    fn via(&self) -> String {
        format!("SIGKILL, and Toxiproxy at {}", self.network.control.api())
    }

    fn belts(&self) -> Vec<Belt> {
        vec![Belt::Journal]
    }

    async fn plan(&self, _: &Tag) -> Result<Undo, ActionError> {
        let processes = self.processes.processes(&self.network.site).await?;
        if processes.is_empty() {
            // A fault without a target would prove nothing.
            return Err(ActionError::new(
                "lose",
                &self.network.site,
                "no process of the site runs",
            ));
        }
        SiteUndo::of(&self.network, &processes).await.map(SiteUndo::into_undo)
    }

    async fn apply(&self, _: &Tag) -> Result<(), ActionError> {
        let site = &self.network.site;
        let processes = self.processes.processes(site).await?;
        processes.clone_into(&mut self.killed.lock().unwrap_or_else(PoisonError::into_inner));
        for process in &processes {
            drdrill_process::kill(process)
                .map_err(|error| ActionError::new("kill", &process.node, error))?;
        }
        self.network.darken().await
    }

    async fn observe(&self, _: &Tag) -> Result<Presence, ActionError> {
        let alive: Vec<String> = self
            .processes
            .processes(&self.network.site)
            .await?
            .into_iter()
            .map(|process| format!("{} (pid {})", process.node, process.pid))
            .collect();
        if !alive.is_empty() {
            return Ok(Presence::Absent { detail: format!("still alive: {}", alive.join(", ")) });
        }
        let killed: Vec<String> = self
            .killed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .map(|process| format!("{} (pid {})", process.node, process.pid))
            .collect();
        Ok(match self.network.look().await? {
            Presence::InEffect { proof } => {
                Presence::InEffect { proof: format!("gone: {}; {proof}", killed.join(", ")) }
            }
            other => other,
        })
    }
}
