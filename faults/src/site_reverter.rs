//! Takes the loss of a site back, knowing only what the ledger knows.

use std::sync::Arc;

use async_trait::async_trait;
use drdrill_core::action::{ActionError, Reverter, Undo};
use drdrill_core::environment::{LinkControl, ProcessControl, ProcessIdentity, SiteControl};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::dark::SiteNetwork;

/// What goes with a site, and so what has to come back.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Scope {
    /// Nothing.
    Site,
    /// The way by which clients come to its region.
    Region,
}

impl Scope {
    /// Kind of the undo.
    const fn kind(self) -> &'static str {
        match self {
            Self::Site => "site",
            Self::Region => "region",
        }
    }
}

/// What the ledger knows of a site that was lost.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct SiteUndo {
    site: String,
    /// Base URL of the proxy server's API.
    api: String,
    /// Proxies that were up before, and have to be up again.
    proxies: Vec<String>,
    /// The proxy server, where it ends with its environment: proxies of a server that is gone need no undo.
    server: Option<ProcessIdentity>,
    /// Nodes whose processes ran before and were killed: they have to run again.
    processes: Vec<String>,
}

impl SiteUndo {
    /// The undo of what is about to be done to a site's network, and to these processes of it.
    pub(crate) async fn of(
        network: &SiteNetwork,
        processes: &[ProcessIdentity],
    ) -> Result<Self, ActionError> {
        Ok(Self {
            site: network.site.clone(),
            api: network.control.api(),
            proxies: network.up_now().await?,
            server: network.links.server.clone(),
            processes: processes.iter().map(|process| process.node.clone()).collect(),
        })
    }

    pub(crate) fn into_undo(self, scope: Scope) -> Undo {
        Undo::Revert {
            kind: scope.kind().to_owned(),
            node: self.site.clone(),
            // A struct of strings and numbers always becomes JSON.
            params: serde_json::to_value(&self).unwrap_or_default(),
        }
    }

    fn server_is_gone(&self) -> bool {
        self.server.as_ref().is_some_and(|server| !drdrill_process::is_alive(server))
    }
}

/// Power over the processes of a site, which only the harness has: they are its children and end with it.
#[derive(Clone, Debug)]
pub struct Restart {
    /// Starts them.
    pub sites: Arc<dyn SiteControl>,
    /// Sees them.
    pub processes: Arc<dyn ProcessControl>,
}

/// Takes the loss of a site back.
#[derive(Debug)]
pub struct SiteReverter {
    /// What it brings back with a site.
    pub scope: Scope,
    /// Reaches a proxy server by the base URL of its API.
    pub make_links: fn(&str) -> Result<Arc<dyn LinkControl>, ActionError>,
    /// `None` in the keeper and in `recover`: the site ended with its environment, whose own undo stands in the same
    /// ledger.
    pub restart: Option<Restart>,
}

impl SiteReverter {
    /// The proxies that have to be up and that still exist: one that was removed meanwhile is not down.
    async fn proxies(
        &self,
        undo: &SiteUndo,
    ) -> Result<Vec<(Arc<dyn LinkControl>, String)>, ActionError> {
        if undo.server_is_gone() {
            return Ok(Vec::new());
        }
        let links = (self.make_links)(&undo.api)?;
        let existing = links.names().await?;
        let kept = undo.proxies.iter().filter(|proxy| existing.contains(proxy));
        Ok(kept.map(|proxy| (links.clone(), proxy.clone())).collect())
    }
}

fn parse(node: &str, params: &Value) -> Result<SiteUndo, ActionError> {
    serde_json::from_value(params.clone())
        .map_err(|error| ActionError::new("read the undo of", node, error))
}

#[async_trait]
impl Reverter for SiteReverter {
    fn kind(&self) -> &'static str {
        self.scope.kind()
    }

    async fn revert(&self, node: &str, params: &Value) -> Result<(), ActionError> {
        let undo = parse(node, params)?;
        for (links, proxy) in self.proxies(&undo).await? {
            links.set_up(&proxy, true).await?;
        }
        match &self.restart {
            Some(restart) if !undo.processes.is_empty() => restart.sites.start(&undo.site).await,
            _ => Ok(()),
        }
    }

    async fn residue(&self, node: &str, params: &Value) -> Result<Vec<String>, ActionError> {
        let undo = parse(node, params)?;
        let mut residue = Vec::new();
        for (links, proxy) in self.proxies(&undo).await? {
            if !links.is_up(&proxy).await? {
                residue.push(format!("proxy {proxy} is down"));
            }
        }
        if let Some(restart) = &self.restart {
            let running = restart.processes.processes(&undo.site).await?;
            let runs = |node: &String| running.iter().any(|process| process.node == *node);
            let missing = undo.processes.iter().filter(|node| !runs(node));
            residue.extend(missing.map(|node| format!("{node} does not run")));
        }
        Ok(residue)
    }

    fn by_hand(&self, _: &str, params: &Value) -> String {
        let Ok(undo) = serde_json::from_value::<SiteUndo>(params.clone()) else {
            return "drdrill recover".to_owned();
        };
        let call = |proxy: &String| {
            format!("curl -X PATCH {}/proxies/{proxy} -d '{{\"enabled\": true}}'", undo.api)
        };
        let mut commands: Vec<String> = undo.proxies.iter().map(call).collect();
        commands.push("drdrill recover".to_owned());
        commands.join("; ")
    }
}
