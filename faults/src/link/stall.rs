//! Nothing is replicated to a standby any more, until it is further behind than a limit.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use drdrill_core::action::{Action, ActionError, Belt, Presence, Tag, Undo};
use drdrill_core::environment::{LinkControl, SiteControl};
use drdrill_core::inventory::SiteName;
use drdrill_core::links::{Flow, PeerLink, PeerLinks};

use super::{Cut, undo, words};

/// Nothing is replicated to a standby any more.
#[derive(Debug)]
pub struct ReplicationStall {
    /// The standby.
    pub on: SiteName,
    /// How far it has to be behind for the fault to be in effect.
    pub limit: Duration,
    /// Everything by which it and its primary talk.
    pub links: PeerLinks,
    /// Power over the links.
    pub control: Arc<dyn LinkControl>,
    /// What the standby says of itself.
    pub sites: Arc<dyn SiteControl>,
    /// How far behind it was, once that was more than the limit. Later it may be no standby any more.
    pub behind: Mutex<Option<u64>>,
}

impl ReplicationStall {
    /// Those by which the standby gets its changes.
    fn links(&self) -> impl Iterator<Item = &PeerLink> {
        self.links.links.iter().filter(|link| link.replication && link.from == self.on)
    }

    fn cuts(&self, tag: &Tag) -> Vec<Cut<'_>> {
        let flows = [Flow::Upstream, Flow::Downstream];
        self.links().map(|link| Cut::new(link, flows, tag)).collect()
    }

    fn error(&self, reason: impl std::fmt::Display) -> ActionError {
        ActionError::new("hold up the replication to", &*self.on, reason)
    }

    /// How far behind the standby is, or was when that was too far.
    async fn behind(&self) -> Result<u64, ActionError> {
        let seen = *self.behind.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(seen) = seen {
            return Ok(seen);
        }
        let status = self.sites.status(&self.on).await?;
        status.lag_ms.ok_or_else(|| self.error("it does not say how far behind it is"))
    }
}

#[async_trait]
impl Action for ReplicationStall {
    fn kind(&self) -> &'static str {
        "replication_stall"
    }

    fn target(&self) -> String {
        self.on.clone()
    }

    fn via(&self) -> String {
        format!("Toxiproxy at {}", self.control.api())
    }

    fn belts(&self) -> Vec<Belt> {
        vec![Belt::Journal]
    }

    async fn plan(&self, tag: &Tag) -> Result<Undo, ActionError> {
        let status = self.sites.status(&self.on).await?;
        if !status.following {
            return Err(self.error("it follows nobody even without a fault"));
        }
        let cuts = self.cuts(tag);
        if cuts.is_empty() {
            return Err(self.error("no link for that leads to it"));
        }
        Ok(undo(&self.on, &cuts, &self.control, self.links.server.as_ref()))
    }

    async fn apply(&self, tag: &Tag) -> Result<(), ActionError> {
        for cut in self.cuts(tag) {
            cut.apply(&self.control).await?;
        }
        Ok(())
    }

    async fn observe(&self, tag: &Tag) -> Result<Presence, ActionError> {
        for cut in self.cuts(tag) {
            if let Some(one) = cut.missing(&self.control).await?.first() {
                return Ok(Presence::Absent { detail: format!("not blocked: {one}") });
            }
        }
        let behind = self.behind().await?;
        let limit = self.limit.as_millis();
        if u128::from(behind) < limit {
            let detail = format!("{} is {behind} ms behind, not yet {limit} ms", self.on);
            return Ok(Presence::Absent { detail });
        }
        *self.behind.lock().unwrap_or_else(PoisonError::into_inner) = Some(behind);
        let links: Vec<String> = self.links().map(words).collect();
        let proof = format!(
            "{} was {behind} ms behind, with a limit of {limit} ms; blocked: {}",
            self.on,
            links.join(", ")
        );
        Ok(Presence::InEffect { proof })
    }
}
