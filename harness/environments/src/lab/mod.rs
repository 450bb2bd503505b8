//! The embedded two-site lab: real processes on this machine, made for one drill and gone after it.
//!
//! ```text
//!                                   ┌── primary.http ──► service ◄─ worker        backup ─► backups/primary
//! client ── primary.front ─► gateway┤                       │ primary.replication
//!        └─ dr.front ──────► gateway┤                       ▼
//!                                   └── dr.http ───────► service ◄─ worker        backup ─► backups/dr
//! client ── bystander ──► bystander
//! ```
//!
//! Beside these, `primary.peer_http`, `primary.peer_admin` and the same of `dr` are the ways by which one site reaches the
//! other, as `name.replication` is: writes that a standby sends on, and what machinery at a site asks of the other one.
//!
//! A primary site with zones has all of that twice, as `primary-a` and `primary-b`, in place of `primary`; between them
//! are `primary-a.zone_replication`, `primary-a.zone_http` and the same of `primary-b`.
//!
//! Each region has an entrance, a gateway; clients come to that of the primary region, and to that of the DR region where
//! the first lets nobody in.
//!
//! Everything written `name.something` is a proxy of a Toxiproxy-compatible server, so that every link can
//! be spoiled. Sites are administered through proxies too: a site that is lost cannot be told anything.

mod archive;
mod audit;
mod containers;
mod control;
mod credentials;
mod data;
mod entrance;
mod functions;
mod haproxy;
mod health;
mod http;
mod intruder;
mod isolation;
mod network;
mod node;
mod peers;
mod processes;
mod provision;
mod reach;
mod reverter;
mod site;
mod streams;
mod units;
mod up;
mod volumes;
mod workloads;

pub use containers::CONTAINERS;
pub use node::MARK;
pub use reverter::{FindEngine, LabReverter, MakeLinks};
pub use units::components;

/// Opens the backups in a directory of the lab.
pub type OpenArchive = fn(&Path) -> Arc<dyn Archive>;

/// What the lab needs from other parts of drdrill.
#[derive(Clone, Debug)]
pub struct Tools {
    /// Makes the control of a proxy server.
    pub make_links: MakeLinks,
    /// Opens backups.
    pub open_archive: OpenArchive,
    /// The container engine, where sites are to be containers.
    pub containers: Option<Arc<dyn Containers>>,
}

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use drdrill_core::action::{ActionError, Undo};
use drdrill_core::backup::{Archive, RestoreControl};
use drdrill_core::containers::Containers;
use drdrill_core::data::DataAccess;
use drdrill_core::environment::{
    Environment, Functions, HealthSource, LinkControl, Power, ProbeStream, ProcessControl,
    ProcessIdentity, SiteControl, SiteLinks, TrafficControl, Vantage, WriteAudit,
};
use drdrill_core::intruder::Intruder;
use drdrill_core::inventory::{Inventory, LabSpec, ServiceFacts, SiteName, Strategy};
use drdrill_core::links::PeerLinks;
use drdrill_core::network::NetworkNode;
use drdrill_core::secret::Secret;
use tokio::sync::Mutex;

use containers::ContainerHosts;
use credentials::Credentials;
use entrance::{Entrance, RegionProcesses};
use http::Http;
use intruder::Users;
use node::{Node, Starter};
use reach::Reach;
use reverter::LabUndo;
use site::Site;
use volumes::Volumes;

/// The site that serves normally.
pub const PRIMARY: &str = "primary";
/// The site that takes over.
pub const DR: &str = "dr";
/// Names of the processes of a site. The service is what clients use; the others work behind it.
pub const COMPONENTS: [&str; 4] = ["service", "worker", "backup", "auth"];
/// Names of the functionality checks, in the order of requirement C10, and what must not work: after an attack nobody gets
/// in with what was stolen.
pub const FUNCTIONS: [&str; 5] = [
    "application_availability",
    "user_authentication",
    "data_access",
    "job_submission",
    "intruders_refused",
];
/// Names of the probe streams.
pub const STREAMS: [&str; 4] = ["write", "read", "read_kept", "bystander"];
/// Names by which scenarios ask for further probe streams: logins, and the workloads, each of which is several streams.
pub const OPTIONAL_STREAMS: [&str; 3] = ["login", "registers", "bank"];
/// Those of them that are workloads.
pub const WORKLOADS: [&str; 2] = ["registers", "bank"];

/// The embedded lab.
#[derive(Debug)]
pub struct Lab {
    shared: Arc<Shared>,
}

/// What the parts of the lab share.
#[derive(Debug)]
struct Shared {
    name: String,
    services: Vec<ServiceFacts>,
    spec: LabSpec,
    starter: Starter,
    seed: u64,
    make_links: MakeLinks,
    open_archive: OpenArchive,
    http: Http,
    /// For what takes long.
    orders: Http,
    credentials: Arc<std::sync::Mutex<Credentials>>,
    running: Mutex<Running>,
    volumes: std::sync::Mutex<Volumes>,
    /// The share of each site in the traffic, the same at all entrances.
    shares: std::sync::Mutex<BTreeMap<SiteName, u32>>,
    /// Where everything listens; known once the lab is up.
    addresses: std::sync::OnceLock<Addresses>,
}

/// The processes that run.
#[derive(Debug, Default)]
struct Running {
    outside: Vec<Node>,
    /// The gateways, by the site in whose region each is.
    gateways: BTreeMap<SiteName, Node>,
    sites: BTreeMap<SiteName, Site>,
}

/// Where everything listens.
#[derive(Debug)]
struct Addresses {
    links: Arc<dyn LinkControl>,
    /// The process of the proxy server, where it is the lab's own.
    proxy_server: Option<ProcessIdentity>,
    /// Where clients come, in the order in which they try it.
    entrances: Vec<Entrance>,
    bystander: String,
    sites: BTreeMap<SiteName, site::SiteAddresses>,
    /// The token that clients were given when the lab came up, good for the whole drill unless credentials are made anew:
    /// what an intruder has stolen.
    login: Secret,
}

impl Lab {
    /// Refuses hosts whose data nobody but root could remove.
    fn may_remove_their_data(&self) -> Result<(), ActionError> {
        if nix::unistd::geteuid().is_root() {
            return Ok(());
        }
        let reason = "their databases belong to a user of the image, and only root can remove them; run drdrill as root";
        Err(ActionError::new("start the hosts of", &self.shared.name, reason))
    }

    /// The lab of `inventory`, whose provider is `spec`, for one run: its files go below `run_dir`, its processes are
    /// subcommands of `program`, its addresses follow from `seed`.
    ///
    /// # Errors
    /// When no HTTP client can be made.
    pub fn new(
        inventory: &Inventory,
        spec: &LabSpec,
        run_id: &str,
        run_dir: &Path,
        program: &Path,
        seed: u64,
        tools: Tools,
    ) -> Result<Self, ActionError> {
        let dir = run_dir.join("lab");
        let hosts = tools.containers.map(|engine| ContainerHosts::new(engine, run_id, &dir));
        let http = Http::new()?;
        let orders = match &hosts {
            Some(_) => Http::within(reach::FOLLOW_TIMEOUT)?,
            None => http.clone(),
        };
        let shared = Shared {
            name: inventory.environment.clone(),
            services: inventory.services.clone(),
            spec: spec.clone(),
            starter: Starter { program: program.to_owned(), run_id: run_id.to_owned(), dir, hosts },
            seed,
            make_links: tools.make_links,
            open_archive: tools.open_archive,
            http,
            orders,
            credentials: Arc::new(std::sync::Mutex::new(Credentials::new()?)),
            running: Mutex::default(),
            volumes: std::sync::Mutex::default(),
            shares: std::sync::Mutex::new(all_to_the_first(&units::units(spec))),
            addresses: std::sync::OnceLock::new(),
        };
        Ok(Self { shared: Arc::new(shared) })
    }
}

/// All traffic to the one that serves normally.
fn all_to_the_first(units: &[units::Unit]) -> BTreeMap<SiteName, u32> {
    let share = |(place, unit): (usize, &units::Unit)| {
        (unit.name.clone(), if place == 0 { 100 } else { 0 })
    };
    units.iter().enumerate().map(share).collect()
}

impl Shared {
    fn addresses(&self) -> Result<&Addresses, ActionError> {
        self.addresses.get().ok_or_else(|| ActionError::new("use", &self.name, "the lab is not up"))
    }

    fn site(&self, name: &str) -> Result<&site::SiteAddresses, ActionError> {
        let addresses = self.addresses()?;
        addresses.sites.get(name).ok_or_else(|| {
            let known = addresses.sites.keys().map(String::as_str);
            let known = drdrill_core::names::known_names(name, known);
            ActionError::new("use", name, format!("the lab has no such site; {known}"))
        })
    }

    fn undo(&self) -> LabUndo {
        LabUndo {
            run_id: self.starter.run_id.clone(),
            dir: self.starter.dir.display().to_string(),
            external_proxies: self.spec.toxiproxy.clone(),
            containers: self.hosts().is_some(),
            engine: self.hosts().map(|hosts| hosts.engine.address()),
        }
    }

    /// The name of a proxy: unique on a server that others use too.
    fn proxy(&self, link: &str) -> String {
        format!("{}{link}", self.undo().proxy_prefix())
    }
}

impl Shared {
    /// Copies the databases of all sites to where the environment file wants them.
    fn keep_data(&self) -> Result<(), ActionError> {
        let Some(keep) = &self.spec.keep_data else { return Ok(()) };
        for unit in units::units(&self.spec) {
            let site = unit.name.as_str();
            let fail = |error| ActionError::new("copy the databases of", site, error);
            let keep = Path::new(keep);
            copy_files(&self.volume(site).directory, &keep.join(site)).map_err(fail)?;
            for volume in self.detached(site) {
                let name = if volume.name == site { format!("{site}-0") } else { volume.name };
                copy_files(&volume.directory, &keep.join("detached").join(name)).map_err(fail)?;
            }
            let backups = self.backups_of(site);
            copy_files(&backups, &keep.join("backups").join(site)).map_err(fail)?;
        }
        Ok(())
    }
}

/// Copies the files of a directory; one in which nothing ever ran, or that a fault took away and nobody put back, has
/// none.
fn copy_files(from: &Path, to: &Path) -> std::io::Result<()> {
    if !from.exists() {
        return Ok(());
    }
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            std::fs::copy(entry.path(), to.join(entry.file_name()))?;
        }
    }
    Ok(())
}

#[async_trait]
impl Environment for Lab {
    fn name(&self) -> &str {
        &self.shared.name
    }

    fn sites(&self) -> Vec<SiteName> {
        units::units(&self.shared.spec).into_iter().map(|unit| unit.name).collect()
    }

    fn services(&self) -> Vec<ServiceFacts> {
        self.shared.services.clone()
    }

    fn accounts(&self) -> BTreeMap<u32, i64> {
        workloads::accounts()
    }

    fn powers(&self) -> Vec<Power> {
        let mut powers = vec![Power::Processes, Power::Links, Power::Failover, Power::Functions];
        if self.shared.hosts().is_some() {
            powers.extend([Power::Data, Power::Backups, Power::Regions, Power::Partition]);
            powers.extend([Power::Replication, Power::Workloads, Power::Network]);
            powers.extend([Power::Credentials, Power::Destruction]);
            powers.extend([Power::Pages, Power::Logs]);
            return powers;
        }
        if self.shared.spec.zones.is_some() {
            // The rest is about two sites, of which each is one.
            powers.extend([Power::Zones, Power::Workloads]);
            return powers;
        }
        let damaged =
            [Power::Data, Power::Backups, Power::Credentials, Power::Regions, Power::Destruction];
        match self.shared.spec.strategy {
            // There is nothing to cut off.
            Strategy::Cold => {
                powers.extend(damaged);
                powers.push(Power::Workloads);
            }
            // What a side has is only all there is once both have exchanged it.
            Strategy::ActiveActive => {}
            Strategy::PilotLight | Strategy::Warm | Strategy::Hot => {
                powers.extend(damaged);
                powers.extend([Power::Partition, Power::Replication, Power::Workloads]);
            }
        }
        powers
    }

    fn fingerprint(&self) -> String {
        let machine = std::fs::read_to_string("/etc/machine-id").unwrap_or_default();
        let what = if self.shared.hosts().is_some() { "containers" } else { "lab" };
        format!("{what} of run {} on machine {}", self.shared.starter.run_id, machine.trim())
    }

    fn undo(&self) -> Undo {
        self.shared.undo().to_undo()
    }

    async fn is_ready(&self) -> Result<(), ActionError> {
        match self.shared.hosts() {
            Some(hosts) => {
                self.may_remove_their_data()?;
                hosts.engine.image().await.map(drop)
            }
            None => Ok(()),
        }
    }

    async fn up(&self) -> Result<(), ActionError> {
        if self.shared.hosts().is_some() {
            self.may_remove_their_data()?;
        }
        self.shared.up().await
    }

    async fn down(&self) -> Result<(), ActionError> {
        if let Some(hosts) = self.shared.hosts() {
            // All at once: to end one after the other takes seconds.
            hosts.engine.remove(&self.shared.starter.run_id).await?;
        }
        let mut running = self.shared.running.lock().await;
        let sites = std::mem::take(&mut running.sites).into_values();
        for site in sites {
            site.kill().await?;
        }
        let gateways = std::mem::take(&mut running.gateways).into_values();
        for node in std::mem::take(&mut running.outside).into_iter().chain(gateways) {
            node.kill().await?;
        }
        self.shared.keep_data()
    }

    fn streams(&self) -> Result<Vec<ProbeStream>, ActionError> {
        self.shared.streams()
    }

    fn processes(&self) -> Option<Arc<dyn ProcessControl>> {
        Some(self.shared.clone())
    }

    fn links(&self) -> Option<Arc<dyn LinkControl>> {
        self.shared.addresses.get().map(|addresses| addresses.links.clone())
    }

    fn site_links(&self, site: &str) -> Option<SiteLinks> {
        let addresses = self.shared.addresses.get()?;
        let meant = units::meant(&self.shared.spec, site);
        let meant = meant.iter().map(|unit| addresses.sites.get(&unit.name));
        let meant: Vec<_> = meant.collect::<Option<_>>()?;
        if meant.is_empty() {
            return None;
        }
        Some(SiteLinks {
            proxies: meant.iter().flat_map(|one| one.names.clone()).collect(),
            client_paths: meant.iter().map(|one| one.client_path.clone()).collect(),
            server: addresses.proxy_server.clone(),
        })
    }

    fn zone(&self, site: &str, zone: &str) -> Option<SiteName> {
        let meant = units::meant(&self.shared.spec, &units::zone_name(site, zone));
        meant.into_iter().next().map(|unit| unit.name)
    }

    fn region_links(&self, site: &str) -> Option<SiteLinks> {
        self.shared.links_of_region(site)
    }

    fn region_processes(&self) -> Option<Arc<dyn ProcessControl>> {
        Some(Arc::new(RegionProcesses(self.shared.clone())))
    }

    fn peer_links(&self, site: &str, peer: &str) -> Option<PeerLinks> {
        self.shared.peer_links(site, peer)
    }

    fn seen_from(&self, site: &str) -> Option<Vantage> {
        let reach = Arc::new(Reach::from_site(&self.shared, site).ok()?);
        Some(Vantage { sites: reach.clone(), health: reach })
    }

    fn network_nodes(&self, of: &str) -> Vec<NetworkNode> {
        self.shared.hosts().map(|hosts| network::nodes(hosts, of)).unwrap_or_default()
    }

    fn network_names(&self, of: &str) -> Vec<String> {
        self.shared.hosts().map(|_| network::names(of)).unwrap_or_default()
    }

    fn site_control(&self) -> Option<Arc<dyn SiteControl>> {
        Some(Arc::new(Reach::from_outside(&self.shared)))
    }

    fn traffic(&self) -> Option<Arc<dyn TrafficControl>> {
        Some(self.shared.clone())
    }

    fn health(&self) -> Option<Arc<dyn HealthSource>> {
        Some(Arc::new(Reach::from_outside(&self.shared)))
    }

    fn functions(&self) -> Option<Arc<dyn Functions>> {
        Some(self.shared.clone())
    }

    fn data(&self) -> Option<Arc<dyn DataAccess>> {
        Some(self.shared.clone())
    }

    fn credentials(&self) -> Option<Arc<dyn DataAccess>> {
        Some(Arc::new(Users(self.shared.clone())))
    }

    fn intruder(&self) -> Option<Arc<dyn Intruder>> {
        Some(self.shared.clone())
    }

    fn restore_control(&self) -> Option<Arc<dyn RestoreControl>> {
        Some(self.shared.clone())
    }

    fn audit(&self) -> Option<Arc<dyn WriteAudit>> {
        Some(self.shared.clone())
    }
}
