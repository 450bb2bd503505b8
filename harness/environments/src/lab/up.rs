//! Bringing the lab up: proxies, sites, gateway, bystander, and the first login.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::sync::Arc;

use drdrill_core::action::ActionError;
use drdrill_core::environment::{LinkControl, ProcessIdentity};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use tokio::time::{Duration, Instant, sleep};

use super::peers::PeerAddresses;
use super::reach::status_at;
use super::site::{Leader, ServiceAddresses, SiteAddresses, arguments};
use super::{Addresses, DR, PRIMARY, Shared};

/// Time the DR site may take until it follows the primary site.
const FOLLOW_TIMEOUT: Duration = Duration::from_secs(20);
/// The entry that the read probe reads; written before the drill, so that every side has it.
pub(super) const LANDMARK: &str = "landmark";

/// The hosts of one lab: addresses of the loopback network of its own.
///
/// Not 127.0.0.1: that is where outgoing connections come from, and one of those may sit on the very port that a
/// restarted service or a proxy that comes up again has to listen on.
struct Hosts([u8; 2]);

impl Hosts {
    fn of_seed(seed: u64) -> Self {
        let [a, b, ..] = SmallRng::seed_from_u64(seed).next_u64().to_le_bytes();
        // 127.0.x.x is left to others.
        Self([a.max(1), b])
    }

    fn host(&self, number: u8) -> String {
        format!("127.{}.{}.{number}", self.0[0], self.0[1])
    }
}

impl Shared {
    pub(super) async fn up(&self) -> Result<(), ActionError> {
        if self.addresses.get().is_some() {
            return Ok(());
        }
        let hosts = Hosts::of_seed(self.seed);
        let (links, proxy_server) = self.proxy_server(&hosts).await?;
        let proxy_host = hosts.host(10);
        let mut sites: BTreeMap<String, SiteAddresses> = BTreeMap::new();
        for (site, number) in [(PRIMARY, 1), (DR, 2)] {
            let leader = sites.get(PRIMARY).map(|primary| Leader {
                replication: &primary.proxied.replication,
                http: &primary.peer.http,
            });
            let any = ServiceAddresses::any(&hosts.host(number));
            let (logins, auth) = self.start_auth(site, &any.http).await?;
            let (service, direct) = self.start_service(site, &any, &auth, leader, false).await?;
            let mut nodes = vec![service, logins];
            nodes.extend(self.start_helpers(site, &direct).await?);
            self.adopt_site(site, nodes).await;
            sites.insert(
                site.to_owned(),
                self.proxies_of(site, direct, auth, &*links, &proxy_host).await?,
            );
        }
        let (front, gateway_admin) = self.gateway(&sites, &*links, &hosts).await?;
        let bystander = self.bystander(&*links, &hosts).await?;
        let login = self.log_in(&front).await?;
        let addresses =
            Addresses { links, proxy_server, front, gateway_admin, bystander, sites, login };
        self.write_landmark(&addresses).await?;
        self.wait_until_followed(&addresses).await?;
        self.addresses.set(addresses).map_err(|_| {
            ActionError::new("bring up", &self.name, "it was brought up twice at once")
        })
    }

    /// The proxy server of the environment file, or one of our own, with its process.
    async fn proxy_server(
        &self,
        hosts: &Hosts,
    ) -> Result<(Arc<dyn LinkControl>, Option<ProcessIdentity>), ActionError> {
        if let Some(api) = &self.spec.toxiproxy {
            return Ok(((self.make_links)(api)?, None));
        }
        let listen = format!("{}:0", hosts.host(10));
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
        site: &str,
        direct: ServiceAddresses,
        auth: String,
        links: &dyn LinkControl,
        host: &str,
    ) -> Result<SiteAddresses, ActionError> {
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
        let names = ["http", "admin", "replication", "peer_http", "peer_admin"].map(name).to_vec();
        Ok(SiteAddresses { direct, proxied, peer, auth, names, client_path })
    }

    /// The gateway outside both sites; returns where clients come and where it is administered.
    async fn gateway(
        &self,
        sites: &BTreeMap<String, SiteAddresses>,
        links: &dyn LinkControl,
        hosts: &Hosts,
    ) -> Result<(String, String), ActionError> {
        let any = format!("{}:0", hosts.host(3));
        let backends: BTreeMap<_, _> =
            sites.iter().map(|(name, site)| (name, &site.client_path)).collect();
        let config = json!({
            "http": any,
            "admin": any,
            "backends": backends,
            "weights": { PRIMARY: 100, DR: 0 },
        });
        let (_, ready) =
            self.start_outside("gateway", &arguments("gateway"), Some(&config)).await?;
        let listen = self.spec.listen.clone().unwrap_or_else(|| format!("{}:0", hosts.host(10)));
        let front = links.create(&self.proxy("front"), &listen, text(&ready, "http")?).await?;
        Ok((front, text(&ready, "admin")?.to_owned()))
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

    async fn write_landmark(&self, addresses: &Addresses) -> Result<(), ActionError> {
        let url = format!("http://{}/entries/{LANDMARK}", addresses.front);
        let body = super::streams::entry(0);
        self.http.text(reqwest::Method::PUT, &url, Some(&addresses.login), Some(&body)).await?;
        Ok(())
    }

    async fn wait_until_followed(&self, addresses: &Addresses) -> Result<(), ActionError> {
        let give_up = Instant::now() + FOLLOW_TIMEOUT;
        loop {
            let primary = status_at(&self.http, &addresses.sites[PRIMARY].proxied.admin).await?;
            let dr = status_at(&self.http, &addresses.sites[DR].proxied.admin).await?;
            if dr.following && dr.position >= primary.position {
                return Ok(());
            }
            if Instant::now() >= give_up {
                let reason = format!("it does not follow {PRIMARY} after {FOLLOW_TIMEOUT:?}");
                return Err(ActionError::new("bring up", DR, reason));
            }
            sleep(Duration::from_millis(10)).await;
        }
    }
}

fn text<'a>(ready: &'a Value, field: &str) -> Result<&'a str, ActionError> {
    ready[field]
        .as_str()
        .ok_or_else(|| ActionError::new("start", "the lab", format!("no `{field}` in {ready}")))
}
