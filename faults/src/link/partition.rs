//! Two sites cannot talk to each other, while clients still reach both.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use drdrill_core::action::{Action, ActionError, Belt, Presence, Tag, Undo};
use drdrill_core::environment::LinkControl;
use drdrill_core::inventory::SiteName;
use drdrill_core::links::{ClientPath, Flow, PeerLink, PeerLinks};
use drdrill_core::network::Way;
use futures_util::future::try_join_all;

use super::canary::{CLOSED_WITHIN, OPEN_WITHIN, silent};
use super::{Cut, undo, words};

/// Two sites cannot talk to each other.
#[derive(Debug)]
pub struct LinkPartition {
    /// The site that is cut off.
    pub on: SiteName,
    /// Direction, as that site sees it.
    pub way: Way,
    /// Everything by which it and its peer talk, and the clients' ways to both.
    pub links: PeerLinks,
    /// Power over the links.
    pub control: Arc<dyn LinkControl>,
    /// The clients' ways that were open before.
    pub open: Mutex<Vec<ClientPath>>,
}

impl LinkPartition {
    fn cuts(&self, tag: &Tag) -> Vec<Cut<'_>> {
        self.links.links.iter().map(|link| Cut::new(link, self.flows(link), tag)).collect()
    }

    /// The directions of a link in which nothing may pass.
    fn flows(&self, link: &PeerLink) -> Vec<Flow> {
        let (sends, receives) = if link.from == self.on {
            (Flow::Upstream, Flow::Downstream)
        } else {
            (Flow::Downstream, Flow::Upstream)
        };
        let leaving = self.way.leaving().then_some(sends);
        leaving.into_iter().chain(self.way.arriving().then_some(receives)).collect()
    }

    fn error(&self, doing: &str, reason: impl std::fmt::Display) -> ActionError {
        ActionError::new(doing, &*self.on, reason)
    }
}

#[async_trait]
impl Action for LinkPartition {
    fn kind(&self) -> &'static str {
        "network_partition"
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
        if self.links.links.is_empty() {
            // A fault without a target would prove nothing.
            return Err(self.error("cut off", "no link leads to it"));
        }
        let links = self.links.links.iter();
        let links = links.map(|link| silent(&link.address, &link.request, OPEN_WITHIN));
        for (link, why) in self.links.links.iter().zip(try_join_all(links).await?) {
            if let Some(why) = why {
                let reason =
                    format!("{} does not get through even without a fault: {why}", words(link));
                return Err(self.error("look at the links of", reason));
            }
        }
        let clients = self.links.clients.iter();
        let asked = clients.clone().map(|path| silent(&path.address, &path.request, OPEN_WITHIN));
        // What is closed already cannot show that it was spared.
        let open = clients.zip(try_join_all(asked).await?).filter(|(_, why)| why.is_none());
        *self.open.lock().unwrap_or_else(PoisonError::into_inner) =
            open.map(|(path, _)| path.clone()).collect();
        Ok(undo(&self.on, &self.cuts(tag), &self.control, self.links.server.as_ref()))
    }

    async fn apply(&self, tag: &Tag) -> Result<(), ActionError> {
        for cut in self.cuts(tag) {
            cut.apply(&self.control).await?;
        }
        Ok(())
    }

    async fn observe(&self, tag: &Tag) -> Result<Presence, ActionError> {
        let cuts = self.cuts(tag);
        for cut in &cuts {
            if let Some(one) = cut.missing(&self.control).await?.first() {
                return Ok(Presence::Absent { detail: format!("not blocked: {one}") });
            }
        }
        let asked =
            cuts.iter().map(|cut| silent(&cut.link.address, &cut.link.request, CLOSED_WITHIN));
        let mut proof = Vec::new();
        for (cut, why) in cuts.iter().zip(try_join_all(asked).await?) {
            let Some(why) = why else {
                let detail = format!("{} is still answered", words(cut.link));
                return Ok(Presence::Absent { detail });
            };
            proof.push(format!("{}: {why}", words(cut.link)));
        }
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let asked = open.iter().map(|path| silent(&path.address, &path.request, OPEN_WITHIN));
        for (path, why) in open.iter().zip(try_join_all(asked).await?) {
            if let Some(why) = why {
                let detail = format!("clients to {} at {}: {why}", path.site, path.address);
                return Ok(Presence::TooWide { detail });
            }
        }
        let spared: Vec<&str> = open.iter().map(|path| path.site.as_str()).collect();
        proof.push(if spared.is_empty() {
            "nothing was there to show that it is not too wide".to_owned()
        } else {
            format!("clients still reach {}", spared.join(", "))
        });
        Ok(Presence::InEffect { proof: proof.join("; ") })
    }
}
