//! Every process of a site, or of one zone of it, is killed and its network goes dark.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use drdrill_core::action::{Action, ActionError, Belt, Presence, Tag, Undo};
use drdrill_core::environment::{ProcessControl, ProcessIdentity};

use crate::dark::SiteNetwork;
use crate::site_reverter::{Scope, SiteUndo};

/// Every process of a site, or of one zone of it, is killed and its network goes dark.
#[derive(Debug)]
pub struct SiteLoss {
    kind: &'static str,
    scope: Scope,
    network: SiteNetwork,
    processes: Arc<dyn ProcessControl>,
    killed: Mutex<Vec<ProcessIdentity>>,
}

impl SiteLoss {
    /// The loss of the site of `network`.
    #[must_use]
    pub fn new(network: SiteNetwork, processes: Arc<dyn ProcessControl>) -> Self {
        Self { kind: "site_loss", scope: Scope::Site, network, processes, killed: Mutex::default() }
    }

    /// The same, where what is lost is a zone of a site.
    #[must_use]
    pub fn of_zone(network: SiteNetwork, processes: Arc<dyn ProcessControl>) -> Self {
        Self { kind: "zone_loss", ..Self::new(network, processes) }
    }

    /// The loss of the site of `network` with the way by which clients come to its region: both name these too.
    #[must_use]
    pub fn of_region(network: SiteNetwork, processes: Arc<dyn ProcessControl>) -> Self {
        Self { kind: "region_outage", scope: Scope::Region, ..Self::new(network, processes) }
    }
}

#[async_trait]
impl Action for SiteLoss {
    fn kind(&self) -> &'static str {
        self.kind
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
        let undo = SiteUndo::of(&self.network, &processes).await?;
        Ok(undo.into_undo(self.scope))
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
