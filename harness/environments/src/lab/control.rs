//! Power over the lab's sites and its traffic.

use std::collections::BTreeMap;

use async_trait::async_trait;
use drdrill_core::action::ActionError;
use drdrill_core::environment::{
    ProcessControl, ProcessIdentity, Role, SiteControl, SiteStatus, TrafficControl,
};
use drdrill_core::inventory::SiteName;
use drdrill_core::process::{FoundBy, KnownProcess};
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::site::{SERVICE, node_name};
use super::{COMPONENTS, Shared};

/// What a site's admin listener answers; it says more than is needed here.
#[derive(Debug, Deserialize)]
struct Status {
    role: Role,
    epoch: u64,
    fenced: bool,
    lsn: u64,
    source: Option<String>,
    connected: bool,
    lag_ms: Option<u64>,
}

const NOTHING: Option<&Value> = None;

impl Shared {
    pub(super) async fn status_at(&self, admin: &str) -> Result<SiteStatus, ActionError> {
        let url = format!("http://{admin}/status");
        let status: Status = self.http.call(Method::GET, &url, None, NOTHING).await?;
        let follows = status.role == Role::Standby && status.source.is_some();
        Ok(SiteStatus {
            role: status.role,
            epoch: status.epoch,
            fenced: status.fenced,
            position: status.lsn,
            lag_ms: status.lag_ms.filter(|_| follows),
            following: follows && status.connected,
        })
    }

    async fn tell(&self, site: &str, what: &str, body: &Value) -> Result<(), ActionError> {
        let url = format!("http://{}/{what}", self.site(site)?.proxied.admin);
        self.http.text(Method::POST, &url, None, Some(body)).await.map(drop)
    }

    fn weights_url(&self) -> Result<String, ActionError> {
        Ok(format!("http://{}/weights", self.addresses()?.gateway_admin))
    }
}

#[async_trait]
impl SiteControl for Shared {
    async fn status(&self, site: &str) -> Result<SiteStatus, ActionError> {
        self.status_at(&self.site(site)?.proxied.admin).await
    }

    async fn fence(&self, site: &str) -> Result<(), ActionError> {
        self.tell(site, "fence", &json!({})).await
    }

    async fn unfence(&self, site: &str) -> Result<(), ActionError> {
        self.tell(site, "unfence", &json!({})).await
    }

    async fn promote(&self, site: &str, epoch: u64) -> Result<(), ActionError> {
        self.tell(site, "promote", &json!({ "epoch": epoch })).await
    }

    async fn follow(&self, site: &str, source: &str) -> Result<(), ActionError> {
        let source = &self.site(source)?.proxied;
        let target = json!({
            "source": source.replication,
            "leader_url": format!("http://{}", source.http),
        });
        self.tell(site, "follow", &target).await
    }

    async fn start(&self, site: &str) -> Result<(), ActionError> {
        self.start_site(site).await
    }
}

#[async_trait]
impl TrafficControl for Shared {
    async fn shares(&self) -> Result<BTreeMap<SiteName, u32>, ActionError> {
        self.http.call(Method::GET, &self.weights_url()?, None, NOTHING).await
    }

    async fn set_shares(&self, shares: &BTreeMap<SiteName, u32>) -> Result<(), ActionError> {
        let now: BTreeMap<SiteName, u32> =
            self.http.call(Method::PUT, &self.weights_url()?, None, Some(shares)).await?;
        if now == *shares {
            return Ok(());
        }
        Err(ActionError::new(
            "share the traffic of",
            &self.name,
            format!("the gateway has {now:?}"),
        ))
    }
}

#[async_trait]
impl ProcessControl for Shared {
    async fn processes(&self, site: &str) -> Result<Vec<ProcessIdentity>, ActionError> {
        self.site(site)?;
        let running = self.running.lock().await;
        let site = running.sites.get(site);
        Ok(site.map(|site| site.alive().cloned().collect()).unwrap_or_default())
    }

    fn known(&self, site: &str) -> Vec<KnownProcess> {
        let Ok(addresses) = self.site(site) else { return Vec::new() };
        let known = |component: &str| KnownProcess {
            node: node_name(site, component),
            component: component.to_owned(),
            found_by: FoundBy::Child,
            // Past the proxies, which would answer for it.
            canary: (component == SERVICE).then(|| addresses.direct.http.clone()),
            start: None,
        };
        COMPONENTS.map(known).to_vec()
    }
}
