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

use super::containers::DATABASE;
use super::site::{AUTH, SERVICE, node_name};
use super::units::meant;
use super::{Shared, haproxy};

const NOTHING: Option<&Value> = None;

impl Shared {
    /// Where the gateways that run are administered.
    async fn admins(&self) -> Result<Vec<&str>, ActionError> {
        let running = self.gateways().await;
        let all = self.addresses()?.entrances.iter();
        let admins: Vec<&str> = all
            .filter(|entrance| running.iter().any(|(site, _)| *site == entrance.site))
            .map(|entrance| &*entrance.admin)
            .collect();
        if admins.is_empty() {
            return Err(ActionError::new("reach", &self.name, "no gateway runs"));
        }
        Ok(admins)
    }

    /// The shares that a gateway has.
    async fn shares_at(&self, admin: &str) -> Result<BTreeMap<SiteName, u32>, ActionError> {
        if self.hosts().is_some() {
            return haproxy::shares(admin, self.addresses()?.sites.keys()).await;
        }
        let url = format!("http://{admin}/weights");
        self.http.call(Method::GET, &url, None, NOTHING).await
    }

    /// Tells a gateway the shares; returns those that it has then.
    async fn tell_shares(
        &self,
        admin: &str,
        shares: &BTreeMap<SiteName, u32>,
    ) -> Result<BTreeMap<SiteName, u32>, ActionError> {
        if self.hosts().is_some() {
            haproxy::set_shares(admin, shares).await?;
            return self.shares_at(admin).await;
        }
        let url = format!("http://{admin}/weights");
        self.http.call(Method::PUT, &url, None, Some(shares)).await
    }
}

#[async_trait]
impl TrafficControl for Shared {
    async fn shares(&self) -> Result<BTreeMap<SiteName, u32>, ActionError> {
        let admins = self.admins().await?;
        self.shares_at(admins[0]).await
    }

    async fn set_shares(&self, shares: &BTreeMap<SiteName, u32>) -> Result<(), ActionError> {
        // Before any is told: one that starts meanwhile has to send clients the same way.
        shares.clone_into(&mut self.shares.lock().unwrap_or_else(PoisonError::into_inner));
        for admin in self.admins().await? {
            let now = self.tell_shares(admin, shares).await?;
            if now != *shares {
                let why = format!("the gateway at {admin} has {now:?}");
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
                    DATABASE => Some(addresses.direct.replication.clone()),
                    _ => None,
                },
                start: None,
            };
            all.extend(self.components().iter().map(|&component| known(component)));
        }
        all
    }
}
