//! Bringing the lab up: proxies, sites, gateway, bystander, and the first login.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::sync::Arc;

use drdrill_core::action::ActionError;
use drdrill_core::environment::{LinkControl, ProcessIdentity, TrafficControl};
use drdrill_core::inventory::Strategy;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::{Duration, Instant, sleep};

use super::containers::{CONTAINERS, ContainerHosts};
use super::node::Node;
use super::peers::PeerAddresses;
use super::reach::{pairing, status_at};
use super::site::{Leader, ServiceAddresses, SiteAddresses, ZoneAddresses, arguments};
use super::units::{Unit, units};
use super::{Addresses, DR, PRIMARY, Shared};

/// Time the others may take until they follow the one that serves normally.
const FOLLOW_TIMEOUT: Duration = Duration::from_secs(20);
/// The entry that the read probe reads; written before the drill, so that every side has it.
pub(super) const LANDMARK: &str = "landmark";

/// The hosts of one lab: addresses of the loopback network of its own.
///
/// Not 127.0.0.1: that is where outgoing connections come from, and one of those may sit on the very port that a
/// restarted service or a proxy that comes up again has to listen on.
pub(super) struct Hosts([u8; 2]);

impl Hosts {
    fn of_seed(seed: u64) -> Self {
        let [a, b, ..] = SmallRng::seed_from_u64(seed).next_u64().to_le_bytes();
        // 127.0.x.x is left to others.
        Self([a.max(1), b])
    }

    pub(super) fn host(&self, number: u8) -> String {
        format!("127.{}.{}.{number}", self.0[0], self.0[1])
    }
}

impl Shared {
    pub(super) async fn up(&self) -> Result<(), ActionError> {
        if self.addresses.get().is_some() {
            return Ok(());
        }
        let hosts = Hosts::of_seed(self.seed);
        let proxy_host = match self.hosts() {
            // Where containers reach this machine.
            Some(containers) => {
                containers.make_directories(&self.saved())?;
                containers.make_networks(self.seed).await?.to_string()
            }
            None => hosts.host(10),
        };
        let (links, proxy_server) = self.proxy_server(&proxy_host).await?;
        let mut sites: BTreeMap<String, SiteAddresses> = BTreeMap::new();
        let units = units(&self.spec);
        for unit in &units {
            let site = unit.name.as_str();
            let leads = units.first().filter(|first| *first != unit);
            let leader = leads.and_then(|first| Some(sites.get(&first.name)?.leader(first, unit)));
            let (nodes, direct, auth) = match self.hosts() {
                Some(containers) => self.start_hosts(containers, site, leader.as_ref()).await?,
                None => self.start_processes(site, &hosts.host(unit.host), leader.as_ref()).await?,
            };
            self.adopt_site(site, nodes).await;
            let addresses = self.proxies_of(unit, direct, auth, &*links, &proxy_host).await?;
            if self.hosts().is_some() && !self.spec.is_synchronous() {
                // PostgreSQL ships what it has at once; here the way is as long as it is to take.
                let way = self.proxy(&format!("{site}.replication"));
                links.lengthen(&way, self.spec.replication_lag.0).await?;
            }
            sites.insert(site.to_owned(), addresses);
        }
        if let Some(containers) = self.hosts() {
            let restorer = containers.start_restorer().await?;
            self.running.lock().await.outside.push(restorer);
        }
        let entrances = self.entrances(&sites, &*links, &hosts, &proxy_host).await?;
        let bystander = self.bystander(&*links, &hosts).await?;
        let front = entrances.first().map(|entrance| entrance.front.clone());
        let front =
            front.ok_or_else(|| ActionError::new("bring up", &self.name, "it has no entrance"))?;
        let login = self.log_in(&front).await?;
        let addresses = Addresses { links, proxy_server, entrances, bystander, sites, login };
        self.clients_have(addresses.login.clone())?;
        self.write_landmark(&addresses, &front).await?;
        self.open_accounts(&addresses, &front).await?;
        self.wait_until_followed(&addresses).await?;
        if self.spec.strategy == Strategy::Cold {
            self.wait_until_backed_up(&addresses).await?;
        }
        if self.spec.strategy == Strategy::ActiveActive {
            self.let_both_take_writes(&addresses).await?;
        }
        for unit in units.iter().filter(|unit| unit.role == DR) {
            self.stand_down(&unit.name).await?;
            if self.spec.strategy == Strategy::Cold {
                // Nor is there any data: it ran only to have its addresses.
                let empty = self.volume(&unit.name).directory;
                std::fs::remove_dir_all(&empty)
                    .map_err(|error| ActionError::new("empty", &unit.name, error))?;
            }
        }
        self.addresses.set(addresses).map_err(|_| {
            ActionError::new("bring up", &self.name, "it was brought up twice at once")
        })?;
        if self.spec.strategy == Strategy::ActiveActive {
            // Each serves half of the clients.
            self.set_shares(&[PRIMARY, DR].map(|site| (site.to_owned(), 50)).into()).await?;
        }
        Ok(())
    }

    /// Starts the processes of a site. What does not run in stand-by runs once, so that it has its addresses.
    async fn start_processes(
        &self,
        site: &str,
        host: &str,
        leader: Option<&Leader<'_>>,
    ) -> Result<(Vec<Node>, ServiceAddresses, String), ActionError> {
        let any = ServiceAddresses::any(host);
        let (logins, auth) = self.start_auth(site, &any.http).await?;
        let (service, direct) = self.start_service(site, &any, &auth, leader, false).await?;
        let mut nodes = vec![service, logins];
        nodes.extend(self.start_helpers(site, &direct).await?);
        Ok((nodes, direct, auth))
    }

    /// Starts the containers of a site.
    async fn start_hosts(
        &self,
        hosts: &ContainerHosts,
        site: &str,
        leader: Option<&Leader<'_>>,
    ) -> Result<(Vec<Node>, ServiceAddresses, String), ActionError> {
        let (direct, auth) = hosts.of_site(site)?;
        for directory in [self.volume(site).directory, self.backups_of(site)] {
            std::fs::create_dir_all(&directory)
                .map_err(|error| ActionError::new("make the volumes of", site, error))?;
        }
        let mut nodes = vec![self.start_database(hosts, site, leader, true).await?];
        // One after the other takes seconds.
        let [_, others @ ..] = CONTAINERS;
        let [a, b, c, d] = others.map(|component| self.start_host(hosts, site, component));
        let (a, b, c, d) = tokio::join!(a, b, c, d);
        nodes.extend([a?, b?, c?, d?]);
        Ok((nodes, direct, auth))
    }

    /// The proxy server of the environment file, or one of our own, with its process.
    async fn proxy_server(
        &self,
        host: &str,
    ) -> Result<(Arc<dyn LinkControl>, Option<ProcessIdentity>), ActionError> {
        if let Some(api) = &self.spec.toxiproxy {
            return Ok(((self.make_links)(api)?, None));
        }
        let listen = format!("{host}:0");
        let arguments = ["toxiproxy", "--listen", &listen].map(OsString::from);
        let (process, ready) = self.start_outside("toxiproxy", &arguments, None).await?;
        Ok(((self.make_links)(text(&ready, "api")?)?, Some(process)))
    }

    async fn start_outside(
        &self,
        name: &str,
        arguments: &[OsString],
        config: Option<&Value>,
    ) -> Result<(ProcessIdentity, Value), ActionError> {
        let (node, ready) = self.starter.start(name, arguments, config).await?;
        let process = node.identity().clone();
        self.running.lock().await.outside.push(node);
        Ok((process, ready))
    }

    async fn proxies_of(
        &self,
        unit: &Unit,
        direct: ServiceAddresses,
        auth: String,
        links: &dyn LinkControl,
        host: &str,
    ) -> Result<SiteAddresses, ActionError> {
        let site = unit.name.as_str();
        let listen = format!("{host}:0");
        let name = |link: &str| self.proxy(&format!("{site}.{link}"));
        let proxied = ServiceAddresses {
            http: links.create(&name("http"), &listen, &direct.http).await?,
            admin: links.create(&name("admin"), &listen, &direct.admin).await?,
            replication: links.create(&name("replication"), &listen, &direct.replication).await?,
        };
        let peer = PeerAddresses {
            http: links.create(&name("peer_http"), &listen, &direct.http).await?,
            admin: links.create(&name("peer_admin"), &listen, &direct.admin).await?,
        };
        let past = self.spec.bypass_proxies;
        let client_path = if past { direct.http.clone() } else { proxied.http.clone() };
        let mut ways = vec!["http", "admin", "replication", "peer_http", "peer_admin"];
        let mut within = None;
        if unit.name != unit.role {
            within = Some(ZoneAddresses {
                http: links.create(&name("zone_http"), &listen, &direct.http).await?,
                replication: links
                    .create(&name("zone_replication"), &listen, &direct.replication)
                    .await?,
            });
            ways.extend(["zone_http", "zone_replication"]);
        }
        let names = ways.into_iter().map(name).collect();
        Ok(SiteAddresses { direct, proxied, peer, within, auth, names, client_path })
    }

    async fn bystander(
        &self,
        links: &dyn LinkControl,
        hosts: &Hosts,
    ) -> Result<String, ActionError> {
        let config = json!({ "http": format!("{}:0", hosts.host(4)) });
        let (_, ready) =
            self.start_outside("bystander", &arguments("bystander"), Some(&config)).await?;
        let listen = format!("{}:0", hosts.host(10));
        links.create(&self.proxy("bystander"), &listen, text(&ready, "http")?).await
    }

    async fn write_landmark(&self, addresses: &Addresses, front: &str) -> Result<(), ActionError> {
        let url = format!("http://{front}/entries/{LANDMARK}");
        let body = super::streams::entry(0);
        self.http.text(Method::PUT, &url, Some(&addresses.login), Some(&body)).await?;
        Ok(())
    }

    /// Money that a workload moves.
    async fn open_accounts(&self, addresses: &Addresses, front: &str) -> Result<(), ActionError> {
        let url = format!("http://{front}/accounts");
        let body = super::workloads::opening();
        self.http.text(Method::POST, &url, Some(&addresses.login), Some(&body)).await?;
        Ok(())
    }

    /// From the same history on.
    async fn let_both_take_writes(&self, addresses: &Addresses) -> Result<(), ActionError> {
        let (one, other) = (&addresses.sites[PRIMARY], &addresses.sites[DR]);
        let nothing = json!({});
        let fence = format!("http://{}/fence", one.proxied.admin);
        self.http.text(Method::POST, &fence, None, Some(&nothing)).await?;
        self.wait_until_followed(addresses).await?;
        let status = status_at(&self.http, &one.proxied.admin).await?;
        for (site, source) in [(other, one), (one, other)] {
            let url = format!("http://{}/pair", site.proxied.admin);
            let body =
                pairing(status.epoch + 1, &source.proxied.replication, status.position, false);
            self.http.text(Method::POST, &url, None, Some(&body)).await?;
        }
        Ok(())
    }

    /// What the DR site is built from must have what clients read from the beginning.
    async fn wait_until_backed_up(&self, addresses: &Addresses) -> Result<(), ActionError> {
        let failed = |reason: String| ActionError::new("back up", PRIMARY, reason);
        let primary = status_at(&self.http, &addresses.sites[PRIMARY].proxied.admin).await?;
        let patience = FOLLOW_TIMEOUT + self.spec.log_interval.0;
        let give_up = Instant::now() + patience;
        loop {
            let archive = (self.open_archive)(&self.backups_of(PRIMARY));
            let look = tokio::task::spawn_blocking(move || archive.newest_position());
            let saved = look.await.map_err(|error| failed(error.to_string()))?;
            if saved.map_err(failed)? >= primary.position {
                return Ok(());
            }
            if Instant::now() >= give_up {
                return Err(failed(format!("its backups lack something after {patience:?}")));
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    async fn wait_until_followed(&self, addresses: &Addresses) -> Result<(), ActionError> {
        let give_up = Instant::now() + FOLLOW_TIMEOUT;
        let units = units(&self.spec);
        let Some((first, others)) = units.split_first() else { return Ok(()) };
        let status = async |unit: &Unit| {
            status_at(&self.http, &addresses.sites[&unit.name].proxied.admin).await
        };
        let goal = status(first).await?.position;
        for other in others {
            loop {
                let follows = status(other).await?;
                if follows.following && follows.position >= goal {
                    break;
                }
                if Instant::now() >= give_up {
                    let reason =
                        format!("it does not follow {} after {FOLLOW_TIMEOUT:?}", first.name);
                    return Err(ActionError::new("bring up", &other.name, reason));
                }
                sleep(Duration::from_millis(10)).await;
            }
        }
        Ok(())
    }
}

pub(super) fn text<'a>(ready: &'a Value, field: &str) -> Result<&'a str, ActionError> {
    ready[field]
        .as_str()
        .ok_or_else(|| ActionError::new("start", "the lab", format!("no `{field}` in {ready}")))
}
