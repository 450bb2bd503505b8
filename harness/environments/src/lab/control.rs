//! Power over the lab's traffic and its processes.

use std::collections::BTreeMap;
use std::sync::PoisonError;

use async_trait::async_trait;
use drdrill_core::action::ActionError;
use drdrill_core::environment::{ProcessControl, ProcessIdentity, TrafficControl};
use drdrill_core::inventory::SiteName;
use drdrill_core::process::{FoundBy, KnownProcess};
use reqwest::Method;
use serde_json::Value;

use super::site::{AUTH, SERVICE, node_name};
use super::units::meant;
use super::{COMPONENTS, Shared};

const NOTHING: Option<&Value> = None;

impl Shared {
    /// Where the gateways that run are administered.
    async fn weights_urls(&self) -> Result<Vec<String>, ActionError> {
        let running = self.gateways().await;
        let all = self.addresses()?.entrances.iter();
        let urls: Vec<String> = all
            .filter(|entrance| running.iter().any(|(site, _)| *site == entrance.site))
            .map(|entrance| format!("http://{}/weights", entrance.admin))
            .collect();
        if urls.is_empty() {
            return Err(ActionError::new("reach", &self.name, "no gateway runs"));
        }
        Ok(urls)
    }
}

#[async_trait]
impl TrafficControl for Shared {
    async fn shares(&self) -> Result<BTreeMap<SiteName, u32>, ActionError> {
        let urls = self.weights_urls().await?;
        self.http.call(Method::GET, &urls[0], None, NOTHING).await
    }

    async fn set_shares(&self, shares: &BTreeMap<SiteName, u32>) -> Result<(), ActionError> {
        // Before any is told: one that starts meanwhile has to send clients the same way.
        shares.clone_into(&mut self.shares.lock().unwrap_or_else(PoisonError::into_inner));
        for url in self.weights_urls().await? {
            let now: BTreeMap<SiteName, u32> =
                self.http.call(Method::PUT, &url, None, Some(shares)).await?;
            if now != *shares {
                let why = format!("the gateway at {url} has {now:?}");
                return Err(ActionError::new("share the traffic of", &self.name, why));
            }
        }
        Ok(())
    }
}

#[async_trait]
impl ProcessControl for Shared {
    async fn processes(&self, site: &str) -> Result<Vec<ProcessIdentity>, ActionError> {
        let meant = meant(&self.spec, site);
        if meant.is_empty() {
            // Says which sites there are.
            self.site(site)?;
        }
        let running = self.running.lock().await;
        let meant = meant.iter().filter_map(|unit| running.sites.get(&unit.name));
        Ok(meant.flat_map(|unit| unit.alive().cloned()).collect())
    }

    fn known(&self, site: &str) -> Vec<KnownProcess> {
        let mut all = Vec::new();
        for unit in meant(&self.spec, site) {
            let Ok(addresses) = self.site(&unit.name) else { return Vec::new() };
            let known = |component: &str| KnownProcess {
                node: node_name(&unit.name, component),
                component: unit.component(component),
                found_by: FoundBy::Child,
                // Past the proxies, which would answer for it.
                canary: match component {
                    SERVICE => Some(addresses.direct.http.clone()),
                    AUTH => Some(addresses.auth.clone()),
                    _ => None,
                },
                start: None,
            };
            all.extend(COMPONENTS.map(known));
        }
        all
    }
}
