//! What a place must offer so that a drill can run on it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::action::ActionError;
use crate::backup::RestoreControl;
use crate::data::DataAccess;
use crate::directory::Directory;
use crate::intruder::Intruder;
use crate::inventory::{ServiceFacts, SiteName};
use crate::links::{Block, PeerLinks};
use crate::network::NetworkNode;
use crate::probe::{Call, Connection, Purpose};
use crate::process::KnownProcess;
use crate::ranges::Ranges;

/// A process, so exactly that no later process can be mistaken for it.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub struct ProcessIdentity {
    /// The node's name in the inventory, such as `primary/service`.
    pub node: String,
    /// Process id.
    pub pid: i32,
    /// Clock ticks after boot at which it started (field 22 of `/proc/PID/stat`).
    pub start_time: u64,
}

/// A stream of samples that an environment offers for one of its services.
#[derive(Clone, Debug)]
pub struct ProbeStream {
    /// Its name, such as `write` or `read-kept`.
    pub name: String,
    /// The service it watches.
    pub service: String,
    /// What it is evidence of.
    pub purpose: Purpose,
    /// Whether each attempt opens its own connection.
    pub connection: Connection,
    /// Bytes of payload that one acknowledged write carries; 0 for other purposes.
    pub write_bytes: u64,
    /// What an attempt does.
    pub call: Call,
    /// The name by which scenarios ask for it (`probes: { also: [NAME] }`); every drill has it when absent.
    pub asked_for_as: Option<String>,
    /// Attempts are no closer than this, however often the scenario samples.
    pub at_least_every: Duration,
}

/// The data role of a site.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// It decides about writes.
    Primary,
    /// It follows another site.
    Standby,
}

/// What a site says about its data.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct SiteStatus {
    /// Its role.
    pub role: Role,
    /// The fencing token it acts under; a higher one wins.
    pub epoch: u64,
    /// Whether it refuses writes.
    pub fenced: bool,
    /// Position in the change log.
    pub position: u64,
    /// How far it is behind what it follows, in milliseconds; `None` when it follows nothing or cannot tell.
    pub lag_ms: Option<u64>,
    /// Whether the stream it follows is connected.
    pub following: bool,
    /// How far the change log of the other site is merged here, while both take writes.
    #[serde(default)]
    pub merged: Option<u64>,
    /// How often two changes at two sites that both take writes did not know of each other.
    #[serde(default)]
    pub conflicts: u64,
}

/// Power over the data of sites: what failover and failback are made of. Every call may be repeated.
#[async_trait]
pub trait SiteControl: fmt::Debug + Send + Sync {
    /// Reads the state of a site.
    async fn status(&self, site: &str) -> Result<SiteStatus, ActionError>;
    /// Makes a site refuse writes; returns when none is under way.
    async fn fence(&self, site: &str) -> Result<(), ActionError>;
    /// Takes a fence back.
    async fn unfence(&self, site: &str) -> Result<(), ActionError>;
    /// Makes a site the primary under `epoch`, which must be higher than any before.
    async fn promote(&self, site: &str, epoch: u64) -> Result<(), ActionError>;
    /// Makes a site follow another; a history that forked is replaced, and what is dropped is kept aside.
    async fn follow(&self, site: &str, source: &str) -> Result<(), ActionError>;
    /// Starts what of a site does not run, and waits until it answers.
    async fn start(&self, site: &str) -> Result<(), ActionError>;
    /// Makes a primary acknowledge, from now on, only what these sites have too.
    async fn wait_for(&self, site: &str, _standbys: &[SiteName]) -> Result<(), ActionError> {
        Err(ActionError::new("replicate synchronously from", site, "there is no power to"))
    }
    /// Makes a site, fenced, and another one that has all of its changes take writes side by side.
    async fn pair(&self, site: &str, _with: &str, _epoch: u64) -> Result<(), ActionError> {
        Err(ActionError::new("let two sites take writes beside", site, "there is no power to"))
    }
    /// Ends what of a site does not run while it stands by.
    async fn stand_down(&self, site: &str) -> Result<(), ActionError> {
        Err(ActionError::new("end what runs at", site, "there is no power to"))
    }
}

/// Power over where clients' requests go.
#[async_trait]
pub trait TrafficControl: fmt::Debug + Send + Sync {
    /// The share of each site, in percent of the requests.
    async fn shares(&self) -> Result<BTreeMap<SiteName, u32>, ActionError>;
    /// Sets the share of each site; they sum to 100. In effect for the first request after the return.
    async fn set_shares(&self, shares: &BTreeMap<SiteName, u32>) -> Result<(), ActionError>;
}

/// A kind of health check (requirement C1).
#[derive(
    Clone, Copy, Debug, Deserialize, Eq, JsonSchema, Ord, PartialEq, PartialOrd, Serialize,
)]
#[serde(rename_all = "snake_case")]
pub enum HealthKind {
    /// The service answers 200 in time.
    Service,
    /// The database says that it is healthy.
    Database,
    /// The queue or cache says that it is healthy.
    Queue,
    /// The site's network accepts connections.
    Network,
    /// Users can log in.
    Login,
    /// The data that the site serves is what was written.
    Data,
}

/// Eyes on the health of sites.
#[async_trait]
pub trait HealthSource: fmt::Debug + Send + Sync {
    /// The kinds it can look at.
    fn kinds(&self) -> Vec<HealthKind>;
    /// Looks once; `Err` says what is wrong.
    async fn look(&self, site: &str, kind: HealthKind) -> Result<(), String>;
}

/// What machinery that stands at a site can see and do: other sites only by the links between them.
#[derive(Clone, Debug)]
pub struct Vantage {
    /// Data of sites.
    pub sites: Arc<dyn SiteControl>,
    /// Health of sites.
    pub health: Arc<dyn HealthSource>,
}

/// What one functionality check came to (requirement C10).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Function {
    /// Whether it works.
    pub works: bool,
    /// What was seen.
    pub detail: String,
}

/// Functions of the system that must work again after recovery, tried as a client would.
#[async_trait]
pub trait Functions: fmt::Debug + Send + Sync {
    /// Names of the checks it knows.
    fn names(&self) -> Vec<String>;
    /// Tries one.
    async fn check(&self, name: &str) -> Function;
}

/// Which of the drill's writes one side holds.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct FoundWrites {
    /// Sequence numbers present, intact or not.
    pub present: Ranges,
    /// Present more than once.
    pub duplicate: Ranges,
    /// Present, but not what was written.
    pub corrupt: Ranges,
    /// Ids of this drill that no sample ever sent.
    pub phantom: Vec<String>,
}

/// A side from which writes are read back.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Side {
    /// Its name: a site, or an address.
    pub name: SiteName,
    /// Whether it decides what became of the writes: it is where clients' requests go now.
    pub authoritative: bool,
}

/// Reads back every write of the drill from one side.
#[async_trait]
pub trait WriteAudit: fmt::Debug + Send + Sync {
    /// The service whose clients wrote them: several may write, and of the others nothing is read back.
    fn service(&self) -> String;
    /// The sides, where the audit itself knows where clients' requests go. When `None`, they are the sites of the
    /// environment, and the machinery says which of them serves.
    fn sides(&self) -> Option<Vec<Side>> {
        None
    }
    /// All writes of this drill that `site` holds, read from its own storage.
    async fn read_all(&self, site: &str) -> Result<FoundWrites, ActionError>;
}

/// Power over links: proxies that speak Toxiproxy's API.
#[async_trait]
pub trait LinkControl: fmt::Debug + Send + Sync {
    /// Base URL of the API, for the ledger.
    fn api(&self) -> String;
    /// Creates a proxy; returns the address it really listens on.
    async fn create(&self, name: &str, listen: &str, upstream: &str)
    -> Result<String, ActionError>;
    /// Names of all proxies of the server.
    async fn names(&self) -> Result<Vec<String>, ActionError>;
    /// Removes a proxy; one that is gone already is fine.
    async fn delete(&self, name: &str) -> Result<(), ActionError>;
    /// Whether the proxy accepts connections.
    async fn is_up(&self, name: &str) -> Result<bool, ActionError>;
    /// Takes a proxy down or brings it up, and reads back that it is so.
    async fn set_up(&self, name: &str, up: bool) -> Result<(), ActionError>;
    /// Lets nothing through in one direction of a proxy, and reads back that it is so.
    async fn block(&self, proxy: &str, block: &Block) -> Result<(), ActionError>;
    /// Takes a block away by its name; one that is gone already is fine. Connections that it struck are cut.
    async fn unblock(&self, proxy: &str, name: &str) -> Result<(), ActionError>;
    /// Makes the way of data through a proxy, from the one who listens, so much longer, for as long as the proxy is there.
    async fn lengthen(&self, proxy: &str, by: Duration) -> Result<(), ActionError>;
    /// Everything that is put in the way of the data of a proxy, by whomever, and does not belong to the way itself.
    async fn blocks(&self, proxy: &str) -> Result<Vec<Block>, ActionError>;
}

/// Power over the processes of a site.
#[async_trait]
pub trait ProcessControl: fmt::Debug + Send + Sync {
    /// The processes of a site that run now.
    async fn processes(&self, site: &str) -> Result<Vec<ProcessIdentity>, ActionError>;
    /// All processes of a site, whether they run or not.
    fn known(&self, site: &str) -> Vec<KnownProcess>;
    /// What the processes of a site are in or leave behind when they end, such as containers, a name each. Most leave nothing.
    ///
    /// # Errors
    /// When nobody can tell.
    async fn remains(&self, _site: &str) -> Result<Vec<String>, ActionError> {
        Ok(Vec::new())
    }
    /// Removes all of that; what still runs in it is killed.
    ///
    /// # Errors
    /// When something stays.
    async fn clear_away(&self, _site: &str) -> Result<(), ActionError> {
        Ok(())
    }
}

/// The links of a site, and where a client reaches the site.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct SiteLinks {
    /// Names of the proxies in front of the site.
    pub proxies: Vec<String>,
    /// The addresses (`host:port`) by which the clients' traffic reaches the site: one, or one a zone.
    pub client_paths: Vec<String>,
    /// The process of the proxy server, where it belongs to the environment: when it is gone, so are its proxies.
    pub server: Option<ProcessIdentity>,
}

/// What an environment can do for a drill. A scenario that needs a power its environment lacks is refused before
/// anything is touched.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Power {
    /// Pause, end and start processes of sites.
    Processes,
    /// Take links of sites down.
    Links,
    /// Take one zone of a site.
    Zones,
    /// Fence, promote and redirect: what failover and failback are made of, with the health checks they need.
    Failover,
    /// Try functions as a client would.
    Functions,
    /// Drop packets of nodes.
    Network,
    /// Cut sites off from each other.
    Partition,
    /// Hold up the replication of a standby.
    Replication,
    /// Fill file systems.
    Directories,
    /// Damage data.
    Data,
    /// Damage the files of a database server below it.
    Pages,
    /// Restore from backups, and damage them.
    Backups,
    /// Damage the log apart from the full backups.
    Logs,
    /// Revoke and steal credentials.
    Credentials,
    /// Take a site away together with the way by which clients come to its region.
    Regions,
    /// Take away all that a site has: processes, network, data and backups.
    Destruction,
    /// Registers and accounts of which one site decides at a time.
    Workloads,
}

impl Power {
    /// The power in words, for errors.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Processes => "pause, end and start processes of sites",
            Self::Links => "take links of sites down",
            Self::Zones => "take one zone of a site",
            Self::Failover => "fail over and back",
            Self::Functions => "try functions",
            Self::Network => "drop packets of nodes",
            Self::Partition => "cut sites off from each other",
            Self::Replication => "hold up replication",
            Self::Directories => "fill file systems",
            Self::Data => "damage data",
            Self::Pages => {
                "damage pages of a database on its disk, which takes PostgreSQL in containers"
            }
            Self::Backups => "restore from backups, or damage them",
            Self::Logs => {
                "damage the log of backups apart from them, which takes PostgreSQL in containers"
            }
            Self::Credentials => "revoke and steal credentials",
            Self::Regions => "take whole regions away",
            Self::Destruction => "destroy all that a site has",
            Self::Workloads => {
                "run registers and accounts, which sites that both take writes cannot merge \
                 (`--set also=none` goes without)"
            }
        }
    }
}

/// Where the system under drill lives. A power it lacks is `None`.
#[async_trait]
pub trait Environment: fmt::Debug + Send + Sync {
    /// Name, as on the command line.
    fn name(&self) -> &str;
    /// Sites by role, those that take over behind the one that serves normally: a scenario's `primary` and `dr` are keys
    /// here. A site with zones is as many, one a zone.
    fn sites(&self) -> Vec<SiteName>;
    /// The services and their targets.
    fn services(&self) -> Vec<ServiceFacts>;
    /// Accounts between which workloads move money, and what each has before the first transfer; none where it has none, or
    /// nobody knows.
    fn accounts(&self) -> BTreeMap<u32, i64> {
        BTreeMap::new()
    }

    /// What it can do for a drill.
    fn powers(&self) -> Vec<Power>;
    /// What identifies the target exactly, for the record.
    fn fingerprint(&self) -> String;
    /// Undo of the whole environment, to be written down before [`Environment::up`].
    fn undo(&self) -> crate::action::Undo;
    /// Looks whether it could be brought up, before its undo is written down; touches nothing.
    ///
    /// # Errors
    /// When it could not.
    async fn is_ready(&self) -> Result<(), ActionError> {
        Ok(())
    }
    /// Brings it up. May be repeated.
    async fn up(&self) -> Result<(), ActionError>;
    /// Takes it down, also when it is half up. May be repeated.
    async fn down(&self) -> Result<(), ActionError>;
    /// What it did while it came up that stays when it is down, a line each, for the history.
    fn remarks(&self) -> Vec<String> {
        Vec::new()
    }
    /// The probe streams; valid once it is up.
    ///
    /// # Errors
    /// Before it is up.
    fn streams(&self) -> Result<Vec<ProbeStream>, ActionError>;
    /// Processes of sites.
    fn processes(&self) -> Option<Arc<dyn ProcessControl>> {
        None
    }
    /// Links, through a Toxiproxy-compatible server.
    fn links(&self) -> Option<Arc<dyn LinkControl>> {
        None
    }
    /// The links of one site; `None` where the environment has no such site or no links.
    fn site_links(&self, _site: &str) -> Option<SiteLinks> {
        None
    }
    /// What stands in [`Environment::sites`] for a zone of a site; `None` where there is no such zone.
    fn zone(&self, _site: &str, _zone: &str) -> Option<SiteName> {
        None
    }
    /// Everything by which two sites talk to each other; `None` where the environment knows no such links.
    fn peer_links(&self, _site: &str, _peer: &str) -> Option<PeerLinks> {
        None
    }
    /// What machinery at a site can see and do; `None` where there is no such place.
    fn seen_from(&self, _site: &str) -> Option<Vantage> {
        None
    }
    /// The links of a site and of the way by which clients come to its region, as [`Environment::site_links`] of a site;
    /// its `client_path` is where they come.
    fn region_links(&self, _site: &str) -> Option<SiteLinks> {
        None
    }
    /// Processes of sites, with those that let clients into the region of each.
    fn region_processes(&self) -> Option<Arc<dyn ProcessControl>> {
        None
    }
    /// The nodes of which it can disturb the network: those of a site, or one of them as `site/node`. Those that are made when
    /// it comes up are there from then on.
    fn network_nodes(&self, _of: &str) -> Vec<NetworkNode> {
        Vec::new()
    }
    /// Their names, which it knows before it is up too.
    fn network_names(&self, of: &str) -> Vec<String> {
        self.network_nodes(of).into_iter().map(|node| node.node).collect()
    }
    /// The directories of one site whose file systems it may fill.
    fn directories(&self, _site: &str) -> Vec<Directory> {
        Vec::new()
    }
    /// Data of sites.
    fn site_control(&self) -> Option<Arc<dyn SiteControl>> {
        None
    }
    /// Clients' traffic.
    fn traffic(&self) -> Option<Arc<dyn TrafficControl>> {
        None
    }
    /// Health of sites.
    fn health(&self) -> Option<Arc<dyn HealthSource>> {
        None
    }
    /// Functionality checks.
    fn functions(&self) -> Option<Arc<dyn Functions>> {
        None
    }
    /// Data that may be damaged.
    fn data(&self) -> Option<Arc<dyn DataAccess>> {
        None
    }
    /// The credentials of users, as data that may be damaged: a value that is read is a login that was let in.
    fn credentials(&self) -> Option<Arc<dyn DataAccess>> {
        None
    }
    /// Those who must not be let in.
    fn intruder(&self) -> Option<Arc<dyn Intruder>> {
        None
    }
    /// Backups and volumes.
    fn restore_control(&self) -> Option<Arc<dyn RestoreControl>> {
        None
    }
    /// Reading writes back.
    fn audit(&self) -> Option<Arc<dyn WriteAudit>> {
        None
    }
}
