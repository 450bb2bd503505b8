//! The embedded two-site lab: real processes on this machine, made for one drill and gone after it.
//!
//! ```text
//!                                   ┌── primary.http ──► service ◄─ worker        backup ─► backups/primary
//! client ── front ──► gateway ──────┤                       │ primary.replication
//!                                   │                       ▼
//!                                   └── dr.http ───────► service ◄─ worker        backup ─► backups/dr
//! client ── bystander ──► bystander
//! ```
//!
//! Beside these, `primary.peer_http`, `primary.peer_admin` and the same of `dr` are the ways by which one site reaches the
//! other, as `name.replication` is: writes that a standby sends on, and what machinery at a site asks of the other one.
//!
//! Everything written `name.something` or `front` is a proxy of a Toxiproxy-compatible server, so that every link can
//! be spoiled. Sites are administered through proxies too: a site that is lost cannot be told anything.

mod audit;
mod control;
mod data;
mod functions;
mod health;
mod http;
mod node;
mod peers;
mod processes;
mod reach;
mod reverter;
mod site;
mod streams;
mod up;
mod volumes;

pub use node::MARK;
pub use reverter::{LabReverter, MakeLinks};

/// Opens the backups in a directory of the lab.
pub type OpenArchive = fn(&Path) -> Arc<dyn Archive>;

/// What the lab needs from other parts of drdrill.
#[derive(Clone, Copy, Debug)]
pub struct Tools {
    /// Makes the control of a proxy server.
    pub make_links: MakeLinks,
    /// Opens backups.
    pub open_archive: OpenArchive,
}

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use drdrill_core::action::{ActionError, Undo};
use drdrill_core::backup::{Archive, RestoreControl};
use drdrill_core::data::DataAccess;
use drdrill_core::environment::{
    Environment, Functions, HealthSource, LinkControl, Power, ProbeStream, ProcessControl,
    ProcessIdentity, SiteControl, SiteLinks, TrafficControl, Vantage, WriteAudit,
};
use drdrill_core::inventory::{Inventory, LabSpec, ServiceFacts, SiteName};
use drdrill_core::links::PeerLinks;
use drdrill_core::secret::Secret;
use tokio::sync::Mutex;

use http::Http;
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
/// Names of the functionality checks, in the order of requirement C10.
pub const FUNCTIONS: [&str; 4] =
    ["application_availability", "user_authentication", "data_access", "job_submission"];
/// Names of the probe streams.
pub const STREAMS: [&str; 4] = ["write", "read", "read_kept", "bystander"];
/// Names of the probe streams that only scenarios that ask for them have.
pub const OPTIONAL_STREAMS: [&str; 1] = ["login"];

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
    secrets: Secrets,
    running: Mutex<Running>,
    volumes: std::sync::Mutex<Volumes>,
    /// Where everything listens; known once the lab is up.
    addresses: std::sync::OnceLock<Addresses>,
}

/// Made anew for each lab and never written anywhere but into the configurations of its processes.
#[derive(Clone, Debug)]
struct Secrets {
    token: Secret,
    worker: Secret,
    password: Secret,
}

/// The processes that run.
#[derive(Debug, Default)]
struct Running {
    outside: Vec<Node>,
    sites: BTreeMap<SiteName, Site>,
}

/// Where everything listens.
#[derive(Debug)]
struct Addresses {
    links: Arc<dyn LinkControl>,
    /// The process of the proxy server, where it is the lab's own.
    proxy_server: Option<ProcessIdentity>,
    /// Where clients come.
    front: String,
    gateway_admin: String,
    bystander: String,
    sites: BTreeMap<SiteName, site::SiteAddresses>,
    /// A login that is good for the whole drill.
    login: Secret,
}

impl Lab {
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
        let secret = || {
            Secret::new(format!("{:032x}", rand::random::<u128>()))
                .map_err(|error| ActionError::new("make a secret for", "the lab", error))
        };
        let shared = Shared {
            name: inventory.environment.clone(),
            services: inventory.services.clone(),
            spec: spec.clone(),
            starter: Starter {
                program: program.to_owned(),
                run_id: run_id.to_owned(),
                dir: run_dir.join("lab"),
            },
            seed,
            make_links: tools.make_links,
            open_archive: tools.open_archive,
            http: Http::new()?,
            secrets: Secrets { token: secret()?, worker: secret()?, password: secret()? },
            running: Mutex::default(),
            volumes: std::sync::Mutex::default(),
            addresses: std::sync::OnceLock::new(),
        };
        Ok(Self { shared: Arc::new(shared) })
    }
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
        }
    }

    /// The name of a proxy: unique on a server that others use too.
    fn proxy(&self, link: &str) -> String {
        format!("{}{link}", self.undo().proxy_prefix())
    }
}

impl Shared {
    /// Copies the databases of both sites to where the environment file wants them.
    fn keep_data(&self) -> Result<(), ActionError> {
        let Some(keep) = &self.spec.keep_data else { return Ok(()) };
        for site in [PRIMARY, DR] {
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

fn copy_files(from: &Path, to: &Path) -> std::io::Result<()> {
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
        vec![PRIMARY.to_owned(), DR.to_owned()]
    }

    fn services(&self) -> Vec<ServiceFacts> {
        self.shared.services.clone()
    }

    fn powers(&self) -> Vec<Power> {
        vec![
            Power::Processes,
            Power::Links,
            Power::Failover,
            Power::Functions,
            Power::Partition,
            Power::Replication,
            Power::Data,
            Power::Backups,
        ]
    }

    fn fingerprint(&self) -> String {
        let machine = std::fs::read_to_string("/etc/machine-id").unwrap_or_default();
        format!("lab of run {} on machine {}", self.shared.starter.run_id, machine.trim())
    }

    fn undo(&self) -> Undo {
        self.shared.undo().to_undo()
    }

    async fn up(&self) -> Result<(), ActionError> {
        self.shared.up().await
    }

    async fn down(&self) -> Result<(), ActionError> {
        let mut running = self.shared.running.lock().await;
        let sites = std::mem::take(&mut running.sites).into_values();
        for site in sites {
            site.kill().await?;
        }
        for node in std::mem::take(&mut running.outside) {
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
        let site = addresses.sites.get(site)?;
        Some(SiteLinks {
            proxies: site.names.clone(),
            client_path: site.client_path.clone(),
            server: addresses.proxy_server.clone(),
        })
    }

    fn peer_links(&self, site: &str, peer: &str) -> Option<PeerLinks> {
        self.shared.peer_links(site, peer)
    }

    fn seen_from(&self, site: &str) -> Option<Vantage> {
        let reach = Arc::new(Reach::from_site(&self.shared, site).ok()?);
        Some(Vantage { sites: reach.clone(), health: reach })
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

    fn restore_control(&self) -> Option<Arc<dyn RestoreControl>> {
        Some(self.shared.clone())
    }

    fn audit(&self) -> Option<Arc<dyn WriteAudit>> {
        Some(self.shared.clone())
    }
}
