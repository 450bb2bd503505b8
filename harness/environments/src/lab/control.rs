//! Power over the lab's traffic and its processes.

use std::collections::BTreeMap;

use async_trait::async_trait;
use drdrill_core::action::ActionError;
use drdrill_core::environment::{ProcessControl, ProcessIdentity, TrafficControl};
use drdrill_core::inventory::SiteName;
use drdrill_core::process::{FoundBy, KnownProcess};
use reqwest::Method;
use serde_json::Value;

use super::site::{AUTH, SERVICE, node_name};
use super::{COMPONENTS, Shared};

const NOTHING: Option<&Value> = None;

impl Shared {
    fn weights_url(&self) -> Result<String, ActionError> {
        Ok(format!("http://{}/weights", self.addresses()?.gateway_admin))
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
            canary: match component {
                SERVICE => Some(addresses.direct.http.clone()),
                AUTH => Some(addresses.auth.clone()),
                _ => None,
            },
            start: None,
        };
        COMPONENTS.map(known).to_vec()
    }
}
