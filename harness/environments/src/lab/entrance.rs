//! The entrances by which clients come: a gateway in each region, which sends them to whichever site serves.
//!
//! Clients try them in turn. Which sites serve is the same at all of them; one that was away learns it when it is back.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use async_trait::async_trait;
use drdrill_core::action::ActionError;
use drdrill_core::environment::{LinkControl, ProcessControl, ProcessIdentity, SiteLinks};
use drdrill_core::inventory::SiteName;
use drdrill_core::process::KnownProcess;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::{Duration, timeout};

use super::containers::GATEWAY;
use super::node::Node;
use super::site::{SiteAddresses, arguments, node_name};
use super::up::{Hosts, text};
use super::{Addresses, DR, PRIMARY, Shared};

/// Time a look at whether an entrance lets anybody in may take.
const CANARY_TIMEOUT: Duration = Duration::from_millis(300);

/// An entrance.
#[derive(Clone, Debug)]
pub(super) struct Entrance {
    /// The site in whose region it is.
    pub(super) site: SiteName,
    /// Where clients come.
    pub(super) front: String,
    /// The proxy that listens there.
    proxy: String,
    /// Where the gateway behind it listens.
    http: String,
    /// Where it is administered.
    pub(super) admin: String,
}

impl Addresses {
    /// The entrances that clients know, in the order in which they try them.
    fn known(&self, second: bool) -> &[Entrance] {
        if second { &self.entrances } else { &self.entrances[..self.entrances.len().min(1)] }
    }
}

impl Shared {
    /// Where clients come, in the order in which they try it.
    pub(super) fn fronts(&self) -> Result<Vec<&str>, ActionError> {
        let known = self.addresses()?.known(self.spec.second_entrance);
        Ok(known.iter().map(|entrance| entrance.front.as_str()).collect())
    }

    /// Where a client comes in now: the first entrance that it knows and that lets it in; the last one where none does.
    pub(super) async fn front(&self) -> Result<&str, ActionError> {
        let fronts = self.fronts()?;
        for front in &fronts {
            if let Ok(Ok(_)) = timeout(CANARY_TIMEOUT, TcpStream::connect(front)).await {
                return Ok(front);
            }
        }
        let none = || ActionError::new("come to", &self.name, "it has no entrance");
        fronts.last().copied().ok_or_else(none)
    }

    /// Starts the gateway of a region; it sends clients where all others do.
    async fn start_gateway(
        &self,
        site: &str,
        (http, admin): (&str, &str),
        sites: &BTreeMap<SiteName, SiteAddresses>,
    ) -> Result<(Node, Value), ActionError> {
        if let Some(hosts) = self.hosts() {
            let shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let (node, http, admin) = self.start_haproxy(hosts, site, sites, &shares).await?;
            return Ok((node, json!({ "http": http, "admin": admin })));
        }
        let backends: BTreeMap<_, _> =
            sites.iter().map(|(name, site)| (name, &site.client_path)).collect();
        let weights = self.shares.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let config =
            json!({ "http": http, "admin": admin, "backends": backends, "weights": weights });
        self.starter.start(&node_name(site, GATEWAY), &arguments(GATEWAY), Some(&config)).await
    }

    /// The entrances of both regions, that of the primary one first.
    pub(super) async fn entrances(
        &self,
        sites: &BTreeMap<SiteName, SiteAddresses>,
        links: &dyn LinkControl,
        hosts: &Hosts,
        proxy_host: &str,
    ) -> Result<Vec<Entrance>, ActionError> {
        let mut entrances = Vec::new();
        for (site, number) in [(PRIMARY, 3), (DR, 6)] {
            let any = format!("{}:0", hosts.host(number));
            let (node, ready) = self.start_gateway(site, (&any, &any), sites).await?;
            self.running.lock().await.gateways.insert(site.to_owned(), node);
            let (http, admin) = (text(&ready, "http")?.to_owned(), text(&ready, "admin")?);
            // Those who are told one address of the lab are told that of the first.
            let asked = self.spec.listen.clone().filter(|_| site == PRIMARY);
            let listen = asked.unwrap_or_else(|| format!("{proxy_host}:0"));
            let proxy = self.proxy(&format!("{site}.front"));
            let front = links.create(&proxy, &listen, &http).await?;
            let admin = admin.to_owned();
            entrances.push(Entrance { site: site.to_owned(), front, proxy, http, admin });
        }
        Ok(entrances)
    }

    /// Starts the gateway of a site's region where it does not run, at the addresses that it always had.
    pub(super) async fn start_entrance(&self, site: &str) -> Result<(), ActionError> {
        let addresses = self.addresses()?;
        let Some(entrance) = addresses.entrances.iter().find(|one| one.site == site) else {
            return Ok(());
        };
        let mut running = self.running.lock().await;
        let alive = |node: &Node| drdrill_process::is_alive(node.identity());
        if running.gateways.get(site).is_some_and(alive) {
            return Ok(());
        }
        if let Some(ended) = running.gateways.remove(site) {
            ended.kill().await?;
        }
        let at = (&*entrance.http, &*entrance.admin);
        let (node, _) = self.start_gateway(site, at, &addresses.sites).await?;
        running.gateways.insert(site.to_owned(), node);
        Ok(())
    }

    /// Ends the gateway of a site's region.
    pub(super) async fn end_entrance(&self, site: &str) -> Result<(), ActionError> {
        match self.running.lock().await.gateways.remove(site) {
            Some(node) => node.kill().await,
            None => Ok(()),
        }
    }

    /// The gateways that run, with the sites in whose regions they are.
    pub(super) async fn gateways(&self) -> Vec<(SiteName, ProcessIdentity)> {
        let running = self.running.lock().await;
        let all =
            running.gateways.iter().map(|(site, node)| (site.clone(), node.identity().clone()));
        all.filter(|(_, process)| drdrill_process::is_alive(process)).collect()
    }

    /// The links of a site, and of the entrance to its region.
    pub(super) fn links_of_region(&self, site: &str) -> Option<SiteLinks> {
        let addresses = self.addresses.get()?;
        let entrance = addresses.entrances.iter().find(|one| one.site == site)?;
        let mut proxies = addresses.sites.get(site)?.names.clone();
        proxies.push(entrance.proxy.clone());
        Some(SiteLinks {
            proxies,
            client_paths: vec![entrance.front.clone()],
            server: addresses.proxy_server.clone(),
        })
    }
}

/// The processes of sites, and the gateway of the region of each.
#[derive(Debug)]
pub(super) struct RegionProcesses(pub(super) Arc<Shared>);

#[async_trait]
impl ProcessControl for RegionProcesses {
    async fn processes(&self, site: &str) -> Result<Vec<ProcessIdentity>, ActionError> {
        let mut processes = self.0.processes(site).await?;
        let gateways = self.0.gateways().await.into_iter();
        processes.extend(gateways.filter(|(of, _)| of == site).map(|(_, process)| process));
        Ok(processes)
    }

    fn known(&self, site: &str) -> Vec<KnownProcess> {
        self.0.known(site)
    }

    async fn remains(&self, site: &str) -> Result<Vec<String>, ActionError> {
        match self.0.hosts() {
            Some(hosts) => hosts.remains_of(site).await,
            None => Ok(Vec::new()),
        }
    }

    async fn clear_away(&self, site: &str) -> Result<(), ActionError> {
        match self.0.hosts() {
            Some(hosts) => hosts.discard_all_of(site).await,
            None => Ok(()),
        }
    }
}
