//! A lab whose sites are containers: PostgreSQL in place of the lab's own database, HAProxy in place of its gateways.
//!
//! ```text
//! primary network       between                        DR network
//!  database ◄─ service   proxies on this machine        service ─► database
//!     ▲   ◄─ auth, worker  primary.http, .admin, …      …             │
//!     └──────────────────── primary.replication ◄─────────────────────┘
//!                        gateway (HAProxy), one a region
//! ```
//!
//! Each container is a host with an address of its own that never changes. The networks of the sites are apart: from one to
//! the other there is no way but through the proxies, which listen on this machine.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use drdrill_core::action::ActionError;
use drdrill_core::containers::{
    ConfigFile, ContainerNetwork, ContainerSpec, Containers, Mount, RunningContainer,
};
use drdrill_core::inventory::SiteName;
use drdrill_core::secret::Secret;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Duration, Instant, sleep, timeout};

use super::archive::PostgresArchive;
use super::node::Node;
use super::site::{
    AUTH, LOGIN_LIFETIME, Leader, PASSWORD_ITERATIONS, SERVICE, ServiceAddresses, SiteAddresses,
    USER, WORKER, node_name, whole_millis,
};
use super::volumes::BACKUP;
use super::{DR, PRIMARY, Shared, haproxy};

/// The component that keeps the data.
pub(super) const DATABASE: &str = "database";
/// Names of the containers of a site. Clients use the service; the others work behind it.
pub const CONTAINERS: [&str; 5] = [DATABASE, SERVICE, WORKER, AUTH, BACKUP];
/// The container that lets clients into a region.
pub(super) const GATEWAY: &str = "gateway";
/// The network that the gateways are in.
const BETWEEN: &str = "between";
/// Time a host may take until it listens. A standby copies its primary's data first.
const READY_WITHIN: Duration = Duration::from_mins(1);
/// Time between two looks at whether it does.
const LOOK_AGAIN: Duration = Duration::from_millis(25);
/// Time one of these looks may take.
const LOOK_WITHIN: Duration = Duration::from_secs(2);

const CONFIG: &str = "/etc/drdrill.json";
const HAPROXY_CONFIG: &str = "/etc/drdrill-haproxy.cfg";
/// Where the programs are in the image.
const PROGRAMS: &str = "/usr/local/lib/drdrill";
/// Where the database has its volume.
pub(super) const VOLUME: &str = "/data";
/// Where it sees what faults keep of it.
pub(super) const SAVED: &str = "/saved";
/// Where hosts see the backups of their site; the operators' host, those of all sites.
const BACKUPS: &str = "/backups";
/// Where the operators' host makes what is restored.
const RESTORES: &str = "/restores";
/// Full backups that a site keeps: more than a drill takes, and few beside the disks of this machine.
const BACKUPS_KEPT: usize = 20;
/// The operators' host for restores.
const RESTORER: &str = "restore";

pub(super) const POSTGRESQL: u16 = 5432;
const ADMIN: u16 = 7000;
pub(super) const HTTP: u16 = 8000;
const STATISTICS: u16 = 9999;

/// The containers of one lab.
#[derive(Debug)]
pub(super) struct ContainerHosts {
    pub(super) engine: Arc<dyn Containers>,
    run_id: String,
    /// The directory of the lab.
    dir: PathBuf,
    /// The engine's names of hosts.
    names: Mutex<BTreeMap<String, String>>,
    networks: OnceLock<BTreeMap<String, ContainerNetwork>>,
    /// The first process of each host that was started, as this machine numbers it.
    first_processes: Mutex<BTreeMap<String, i32>>,
}

impl ContainerHosts {
    pub(super) fn new(engine: Arc<dyn Containers>, run_id: &str, dir: &Path) -> Self {
        Self {
            engine,
            run_id: run_id.to_owned(),
            dir: dir.to_owned(),
            names: Mutex::default(),
            networks: OnceLock::new(),
            first_processes: Mutex::default(),
        }
    }

    /// Makes the networks; returns the address at which the proxies listen.
    pub(super) async fn make_networks(&self, seed: u64) -> Result<Ipv4Addr, ActionError> {
        let names = [PRIMARY, DR, BETWEEN];
        let made = self.engine.make_networks(&self.run_id, &names, seed).await?;
        let networks = self.networks.get_or_init(|| made);
        Ok(network(networks, BETWEEN)?.gateway())
    }

    fn address(&self, host: &str) -> Result<(String, Ipv4Addr), ActionError> {
        let networks = self.networks.get();
        let networks =
            networks.ok_or_else(|| ActionError::new("start", host, "it has no network yet"))?;
        let (site, component) = host.split_once('/').unwrap_or((BETWEEN, host));
        let (name, number) = match component {
            DATABASE => (site, 10),
            SERVICE => (site, 11),
            WORKER => (site, 12),
            AUTH => (site, 13),
            BACKUP => (site, 14),
            RESTORER => (site, 30),
            _ if site == PRIMARY => (BETWEEN, 20),
            _ => (BETWEEN, 21),
        };
        Ok((name.to_owned(), network(networks, name)?.host(number)))
    }

    fn first_processes(&self) -> MutexGuard<'_, BTreeMap<String, i32>> {
        self.first_processes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The address of a host that was started, and its first process, which its network belongs to.
    pub(super) fn network_of(&self, host: &str) -> Option<(Ipv4Addr, i32)> {
        let pid = *self.first_processes().get(host)?;
        Some((self.address(host).ok()?.1, pid))
    }

    /// Where a host listens.
    fn at(&self, host: &str, port: u16) -> Result<String, ActionError> {
        Ok(format!("{}:{port}", self.address(host)?.1))
    }

    /// Starts one host and waits until it listens on `port`, where it does on any.
    async fn start(
        &self,
        host: &str,
        program: &[&str],
        config: ConfigFile,
        mounts: Vec<Mount>,
        port: Option<u16>,
    ) -> Result<Node, ActionError> {
        let (network, address) = self.address(host)?;
        let spec = ContainerSpec {
            host: host.to_owned(),
            network,
            address,
            program: program.iter().map(|&word| word.to_owned()).collect(),
            config: Some(config),
            mounts,
        };
        let running = self.engine.start(&self.run_id, &spec).await?;
        self.first_processes().insert(host.to_owned(), running.pid);
        self.names().insert(host.to_owned(), running.id.clone());
        let ended = async |running: &RunningContainer| {
            let reason = format!("it ended: {}", self.engine.last_words(&running.id).await);
            ActionError::new("start", host, reason)
        };
        let Some(identity) = drdrill_process::of_process(host, running.pid) else {
            return Err(ended(&running).await);
        };
        let node = Node::of_container(self.engine.clone(), running.id.clone(), identity);
        let Some(port) = port else { return Ok(node) };
        let give_up = Instant::now() + READY_WITHIN;
        while !listens(&format!("{address}:{port}")).await {
            if !drdrill_process::is_alive(node.identity()) {
                return Err(ended(&running).await);
            }
            if Instant::now() >= give_up {
                let words = self.engine.last_words(&running.id).await;
                let reason = format!("it does not listen after {READY_WITHIN:?}: {words}");
                return Err(ActionError::new("start", host, reason));
            }
            sleep(LOOK_AGAIN).await;
        }
        Ok(node)
    }

    async fn start_program(
        &self,
        host: &str,
        program: &str,
        mut config: Value,
        mounts: Vec<Mount>,
        port: Option<u16>,
    ) -> Result<Node, ActionError> {
        config["port"] = json!(port);
        let config = ConfigFile { path: CONFIG, text: config.to_string() };
        let program = format!("{PROGRAMS}/{program}.py");
        self.start(host, &["python3", "-B", &program, CONFIG], config, mounts, port).await
    }

    /// Where the hosts of a site listen, and where its logins are checked.
    pub(super) fn of_site(&self, site: &str) -> Result<(ServiceAddresses, String), ActionError> {
        let (database, service) = (node_name(site, DATABASE), node_name(site, SERVICE));
        let addresses = ServiceAddresses {
            http: self.at(&service, HTTP)?,
            admin: self.at(&database, ADMIN)?,
            replication: self.at(&database, POSTGRESQL)?,
        };
        Ok((addresses, self.at(&node_name(site, AUTH), HTTP)?))
    }

    fn names(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The engine's name for the container of a site's database; `None` before it was started.
    pub(super) fn database_of(&self, site: &str) -> Option<String> {
        self.names().get(&node_name(site, DATABASE)).cloned()
    }

    /// The engine's names for the containers of a site that were started so far, that of its region's entrance among them.
    pub(super) fn containers_of(&self, site: &str) -> Vec<String> {
        let names = self.names();
        let of_site =
            names.iter().filter(|(host, _)| host.split_once('/').is_some_and(|of| of.0 == site));
        of_site.map(|(_, container)| container.clone()).collect()
    }

    /// Those of them that are there, whether they run or not, in words.
    pub(super) async fn remains_of(&self, site: &str) -> Result<Vec<String>, ActionError> {
        let mut looks = JoinSet::new();
        for container in self.containers_of(site) {
            let engine = self.engine.clone();
            looks.spawn(async move {
                let there = engine.is_there(&container).await?;
                Ok::<_, ActionError>(there.then(|| format!("container {container}")))
            });
        }
        let mut there = Vec::new();
        while let Some(looked) = looks.join_next().await {
            let looked = looked.map_err(|error| ActionError::new("look for", site, error))?;
            there.extend(looked?);
        }
        there.sort();
        Ok(there)
    }

    /// Removes the containers of a site, whether they run or not. They are made again when its hosts are started.
    pub(super) async fn discard_all_of(&self, site: &str) -> Result<(), ActionError> {
        // All at once: one after the other takes seconds.
        let mut discards = JoinSet::new();
        for container in self.containers_of(site) {
            let engine = self.engine.clone();
            discards.spawn(async move { engine.discard(&container).await });
        }
        while let Some(discarded) = discards.join_next().await {
            discarded
                .map_err(|error| ActionError::new("remove the containers of", site, error))??;
        }
        Ok(())
    }

    /// Where what is restored is made.
    pub(super) fn restores(&self) -> PathBuf {
        self.dir.join("restores")
    }

    fn backups(&self) -> PathBuf {
        self.dir.join("backups")
    }

    /// Makes the directories that hosts share.
    pub(super) fn make_directories(&self, saved: &Path) -> Result<(), ActionError> {
        for directory in [&*self.restores(), &*self.backups(), saved] {
            std::fs::create_dir_all(directory).map_err(|error| {
                ActionError::new("make", directory.display().to_string(), error)
            })?;
        }
        Ok(())
    }

    /// Starts the operators' host for restores, which belongs to no site.
    pub(super) async fn start_restorer(&self) -> Result<Node, ActionError> {
        let mut backups = mount("backups", self.backups(), BACKUPS);
        backups.read_only = true;
        let mounts = vec![backups, mount("restores", self.restores(), RESTORES)];
        let config = ConfigFile { path: CONFIG, text: json!({}).to_string() };
        let program = format!("{PROGRAMS}/restore.py");
        self.start(RESTORER, &["python3", "-B", &program, "wait"], config, mounts, None).await
    }

    /// The backups of a site, as the operators' host reads them.
    pub(super) fn archive(&self, site: &str) -> Result<PostgresArchive, ActionError> {
        let container = self.names().get(RESTORER).cloned();
        let unstarted = || ActionError::new("open the backups of", site, "nothing reads them yet");
        Ok(PostgresArchive {
            engine: self.engine.clone(),
            container: container.ok_or_else(unstarted)?,
            program: format!("{PROGRAMS}/restore.py"),
            directory: self.backups().join(site),
            seen_at: format!("{BACKUPS}/{site}"),
            restores: (self.restores(), RESTORES),
            trouble: Mutex::default(),
        })
    }

    /// How who takes backups of a site reaches its database.
    fn replication_of(&self, site: &str, password: &Secret) -> Result<String, ActionError> {
        let (_, address) = self.address(&node_name(site, DATABASE))?;
        let password = password.expose();
        Ok(format!(
            "host={address} port={POSTGRESQL} user=replicator password={password} connect_timeout=2"
        ))
    }

    /// What a program of a site needs to ask its database.
    fn database(&self, site: &str, role: &str, password: &Secret) -> Result<String, ActionError> {
        let (_, address) = self.address(&node_name(site, DATABASE))?;
        let password = password.expose();
        Ok(format!(
            "host={address} port={POSTGRESQL} dbname=store user={role} password={password} application_name={site}"
        ))
    }
}

/// A directory of this machine as a volume that may be written to.
fn mount(volume: &str, directory: PathBuf, at: &'static str) -> Mount {
    Mount { volume: volume.to_owned(), directory, at, read_only: false }
}

fn network(
    networks: &BTreeMap<String, ContainerNetwork>,
    name: &str,
) -> Result<ContainerNetwork, ActionError> {
    let network = networks.get(name).copied();
    network.ok_or_else(|| ActionError::new("use the network of", name, "there is none"))
}

async fn listens(address: &str) -> bool {
    matches!(timeout(LOOK_WITHIN, TcpStream::connect(address)).await, Ok(Ok(_)))
}

impl Shared {
    /// The hosts, where the sites are containers.
    pub(super) const fn hosts(&self) -> Option<&ContainerHosts> {
        self.starter.hosts.as_ref()
    }

    /// Starts the database of a site, for the `first` time or again; one that has no data yet follows a leader where it has one.
    pub(super) async fn start_database(
        &self,
        hosts: &ContainerHosts,
        site: &str,
        leader: Option<&Leader<'_>>,
        first: bool,
    ) -> Result<Node, ActionError> {
        let secrets = self.secrets();
        let config = json!({
            "site": site,
            // Only once: one whose data is gone must not begin anew with none.
            "create": first && leader.is_none(),
            "follow": leader.map(|leader| json!({
                "source": leader.replication,
                "leader_url": format!("http://{}", leader.http),
            })),
            "synchronous": self.waited_for_by(site),
            "log_interval_s": self.spec.log_interval.0.as_secs().max(1),
            "user": {
                "name": USER,
                "password": secrets.password.expose(),
                "iterations": PASSWORD_ITERATIONS,
            },
            "passwords": {
                "app": secrets.application.expose(),
                "replicator": secrets.replicator.expose(),
            },
        });
        let volume = self.volume(site);
        let data = mount(&format!("{}-data", volume.name), volume.directory, VOLUME);
        let mounts = vec![data, self.backups_mount(site), mount("saved", self.saved(), SAVED)];
        hosts.start_program(&node_name(site, DATABASE), DATABASE, config, mounts, Some(ADMIN)).await
    }

    /// Starts one host of a site that works with its database.
    pub(super) async fn start_host(
        &self,
        hosts: &ContainerHosts,
        site: &str,
        component: &str,
    ) -> Result<Node, ActionError> {
        let (addresses, auth) = hosts.of_site(site)?;
        let secrets = self.secrets();
        let (config, port) = match component {
            SERVICE => {
                let config = json!({
                    "site": site,
                    "reads": hosts.database(site, "reader", &secrets.application)?,
                    "writes": hosts.database(site, "app", &secrets.application)?,
                    "admin_url": format!("http://{}", addresses.admin),
                    "auth_url": format!("http://{auth}"),
                    "token_secret": secrets.token.expose(),
                    "worker_token": secrets.worker.expose(),
                    "timing": { "think_time_ms": whole_millis(self.spec.think_time.0) },
                });
                (config, Some(HTTP))
            }
            AUTH => {
                let config = json!({
                    "database": hosts.database(site, "reader", &secrets.application)?,
                    "token_secret": secrets.token.expose(),
                    "token_lifetime_ms": whole_millis(LOGIN_LIFETIME),
                });
                (config, Some(HTTP))
            }
            WORKER => {
                let config = json!({
                    "service_url": format!("http://{}", addresses.http),
                    "worker_token": secrets.worker.expose(),
                });
                (config, None)
            }
            BACKUP => {
                let config = json!({
                    "site": site,
                    "database": hosts.replication_of(site, &secrets.replicator)?,
                    "keep": BACKUPS_KEPT,
                    "interval_ms": whole_millis(self.spec.backup_interval.0),
                });
                let (name, mounts) = (node_name(site, BACKUP), vec![self.backups_mount(site)]);
                return hosts.start_program(&name, BACKUP, config, mounts, None).await;
            }
            DATABASE => return self.start_database(hosts, site, None, false).await,
            other => return Err(ActionError::new("start", other, "there is no such host")),
        };
        let name = node_name(site, component);
        hosts.start_program(&name, component, config, Vec::new(), port).await
    }

    /// The backups of a site, which are not on its volumes.
    fn backups_mount(&self, site: &str) -> Mount {
        mount(&format!("{site}-backups"), self.backups_of(site), BACKUPS)
    }

    /// Starts the HAProxy of a region; returns it, where clients come, and where it is administered.
    pub(super) async fn start_haproxy(
        &self,
        hosts: &ContainerHosts,
        site: &str,
        sites: &BTreeMap<SiteName, SiteAddresses>,
        shares: &BTreeMap<SiteName, u32>,
    ) -> Result<(Node, String, String), ActionError> {
        let host = node_name(site, GATEWAY);
        let text = haproxy::config(HTTP, STATISTICS, sites, shares);
        let config = ConfigFile { path: HAPROXY_CONFIG, text };
        let program = ["haproxy", "-db", "-f", HAPROXY_CONFIG];
        let node = hosts.start(&host, &program, config, Vec::new(), Some(STATISTICS)).await?;
        Ok((node, hosts.at(&host, HTTP)?, hosts.at(&host, STATISTICS)?))
    }
}
