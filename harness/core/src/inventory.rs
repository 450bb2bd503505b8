//! Environment files: an inventory of the system under drill and the machinery that answers for it.

mod checks;
mod headers;
mod host;
mod machinery;
mod notify;
mod pin;
mod strategy;
mod url;
mod window;

pub use checks::{CheckSpec, ExecCheck, NamedCheck, NamedCommand, SqliteCheck};
pub use headers::{HeaderSource, Headers, SecretSource};
pub(crate) use headers::{secret_source, some_secret_source};
pub use host::{HostDirectory, HostProcess};
pub(crate) use host::{absolute, argv};
pub use machinery::{Fence, Machinery, Monitor};
pub use notify::{Channel, Email, MailTls, Notify, Recipient, StatusPage, Webhook};
pub use pin::{IdentityPage, Pin};
pub use strategy::{Planted, Strategy, ZONES, Zones};
pub use url::{SecretUrl, web_host};
pub use window::{Day, TimeOfDay, Window, Zone};

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use garde::Validate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::names::{distinct, simple_name};
use crate::network::NetworkPlace;
use crate::probe::Purpose;
use crate::scenario::Targets;
use crate::units::{Span, within};
use url::address_and_port;

/// Name of a site, which is its role in scenarios: `primary`, `dr`.
pub type SiteName = String;

/// An environment, as written in a file.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct Inventory {
    /// Name: lower-case letters, digits, `_` and `-`.
    #[garde(custom(simple_name))]
    #[schemars(regex(pattern = r"^[a-z0-9_-]{1,64}$"))]
    pub environment: String,
    /// Title, for people.
    #[serde(default)]
    #[garde(length(max = 200))]
    pub title: String,
    /// Whether parts of it only imitate the real thing: an RTO measured on an emulated cloud means nothing, and
    /// records and reports say so.
    #[serde(default)]
    #[garde(skip)]
    pub emulated: bool,
    /// Whether real users depend on it: faults then need `--yes-production NAME`, and the environment a pin.
    #[serde(default)]
    #[garde(custom(pin::production_is_pinned(self.pin.is_some())))]
    pub production: bool,
    /// What must be read from the target itself before anything of it is broken.
    #[serde(default)]
    #[garde(custom(pin::pins_something(self.pin.as_ref())), dive)]
    pub pin: Option<Pin>,
    /// When faults may be injected; at any time when absent.
    #[serde(default)]
    #[garde(dive)]
    pub window: Option<Window>,
    /// What it is made of.
    #[garde(dive)]
    pub provider: Provider,
    /// The services that clients use, with their tiers and targets.
    #[garde(length(min = 1, max = 100), dive)]
    pub services: Vec<ServiceFacts>,
    /// Functionality checks of the operator's own, which scenarios may ask for by name.
    #[serde(default)]
    #[garde(length(max = 100), custom(distinct(|one: &NamedCheck| &one.name)), dive)]
    pub checks: Vec<NamedCheck>,
    /// Commands of the operator's own, which steps of runbooks may ask for by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[garde(length(max = 100), custom(distinct(|one: &NamedCommand| &one.name)), dive)]
    pub commands: Vec<NamedCommand>,
    /// How recovery is recognised.
    #[serde(default)]
    #[garde(dive)]
    pub measure: Measure,
    /// The machinery that fails over.
    #[serde(default)]
    #[garde(custom(machinery::stands_somewhere(&self.provider)), dive)]
    pub machinery: Machinery,
    /// Who is told of drills; nobody when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[garde(dive)]
    pub notify: Option<Notify>,
}

/// A service that clients use.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct ServiceFacts {
    /// Its name.
    #[garde(custom(simple_name))]
    #[schemars(regex(pattern = r"^[a-z0-9_-]{1,64}$"))]
    pub name: String,
    /// Its tier, 1 (most critical) to 4.
    #[garde(range(min = 1, max = 4))]
    pub tier: u8,
    /// Objectives of its own; they tighten those of the scenario.
    #[serde(default)]
    #[garde(skip)]
    pub targets: Targets,
}

/// What an environment is made of: a map with one key.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize, Validate)]
#[serde(rename_all = "snake_case")]
pub enum Provider {
    /// The embedded two-site lab.
    Lab(#[garde(dive)] LabSpec),
    /// A system that is already there and that drdrill only watches.
    Host(#[garde(dive)] HostSpec),
}

/// Settings of the embedded lab.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize, Validate)]
#[serde(deny_unknown_fields, default)]
pub struct LabSpec {
    /// How the DR site stands by.
    #[garde(custom(strategy::fits_zones(self.zones)))]
    pub strategy: Strategy,
    /// The primary site has two zones, `a` and `b`, each with all of its processes and a replica of its data; one zone only
    /// when absent.
    #[garde(skip)]
    pub zones: Option<Zones>,
    /// A change is shipped to the DR site so long after it was committed. What was acknowledged within that time
    /// is lost with the primary site.
    #[garde(custom(within(Duration::ZERO, Duration::from_hours(1))))]
    pub replication_lag: Span,
    /// Time between two full backups.
    #[garde(custom(within(Duration::from_millis(100), Duration::from_hours(24))))]
    pub backup_interval: Span,
    /// Time between two backups of the change log.
    #[garde(custom(within(Duration::from_millis(100), Duration::from_hours(24))))]
    pub log_interval: Span,
    /// Time the application thinks about each request.
    #[garde(custom(within(Duration::ZERO, Duration::from_secs(10))))]
    pub think_time: Span,
    /// Connect client and sites directly instead of through proxies: faults of the network then have no effect.
    #[garde(skip)]
    pub bypass_proxies: bool,
    /// Address (`host:port`) at which clients reach the lab; any free port when absent.
    #[garde(skip)]
    pub listen: Option<String>,
    /// Whether clients know that they may also come to the entrance of the DR region; else they only know that of the primary
    /// region, as clients do whose name service has one address.
    #[garde(skip)]
    pub second_entrance: bool,
    /// Directory into which the databases of both sites are copied before the lab is removed, for whoever wants to
    /// count for themselves.
    #[garde(skip)]
    pub keep_data: Option<String>,
    /// Base URL of a Toxiproxy server on this machine, such as `http://127.0.0.1:8474`; the embedded one when absent.
    #[garde(inner(custom(url::valid_url)))]
    pub toxiproxy: Option<String>,
    /// A defect on purpose, which a drill with the workloads has to notice; none when absent.
    #[garde(skip)]
    pub planted: Option<Planted>,
}

impl Default for LabSpec {
    fn default() -> Self {
        Self {
            strategy: Strategy::default(),
            zones: None,
            replication_lag: Span(Duration::from_millis(250)),
            backup_interval: Span(Duration::from_secs(10)),
            log_interval: Span(Duration::from_secs(2)),
            think_time: Span(Duration::ZERO),
            bypass_proxies: false,
            listen: None,
            second_entrance: true,
            keep_data: None,
            toxiproxy: None,
            planted: None,
        }
    }
}

/// A system that is already there.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct HostSpec {
    /// What clients do.
    #[garde(length(min = 1, max = 50), dive)]
    pub probes: Vec<HostProbe>,
    /// Nodes on this machine of which drdrill may disturb the network.
    #[serde(default)]
    #[garde(length(max = 100), dive)]
    pub nodes: Vec<HostNode>,
    /// Processes on this machine that drdrill may pause or end.
    #[serde(default)]
    #[garde(length(max = 100), custom(distinct(|one: &HostProcess| &one.name)), dive)]
    pub processes: Vec<HostProcess>,
    /// Directories on this machine whose file systems drdrill may fill.
    #[serde(default)]
    #[garde(length(max = 100), custom(distinct(|one: &HostDirectory| &one.name)), dive)]
    pub directories: Vec<HostDirectory>,
}

/// A node of a system that is already there.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct HostNode {
    /// Its name.
    #[garde(custom(simple_name))]
    #[schemars(regex(pattern = r"^[a-z0-9_-]{1,64}$"))]
    pub name: String,
    /// The site it belongs to: the role by which scenarios know it.
    #[garde(custom(simple_name))]
    #[schemars(regex(pattern = r"^[a-z0-9_-]{1,64}$"))]
    pub site: SiteName,
    /// Its network: `own`, `netns: NAME` or `pid: NUMBER`.
    #[garde(skip)]
    pub network: NetworkPlace,
    /// The addresses by which other nodes know it.
    #[garde(length(min = 1, max = 64))]
    pub addresses: Vec<IpAddr>,
    /// Where it accepts TCP connections, `address:port`: drdrill sends canary connections there, to see that a fault
    /// is in effect and strikes nothing else.
    #[garde(custom(address_and_port))]
    pub canary: String,
}

/// A probe of a system that is already there.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct HostProbe {
    /// Name of the stream.
    #[garde(custom(simple_name))]
    #[schemars(regex(pattern = r"^[a-z0-9_-]{1,64}$"))]
    pub name: String,
    /// The service that it watches.
    #[garde(length(min = 1, max = 64))]
    pub service: String,
    /// What it is evidence of.
    #[serde(default = "read")]
    #[garde(custom(no_workload))]
    pub purpose: Purpose,
    /// The attempt.
    #[garde(dive)]
    pub attempt: Attempt,
}

/// What a workload writes and reads is known of the lab only.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "what garde calls it with")]
fn no_workload<C>(purpose: &Purpose, _: &C) -> garde::Result {
    if *purpose == Purpose::Workload {
        return Err(garde::Error::new("must be `read`, `write` or `bystander`"));
    }
    Ok(())
}

const fn read() -> Purpose {
    Purpose::Read
}

/// One attempt: a map with one key.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize, Validate)]
#[serde(rename_all = "snake_case")]
pub enum Attempt {
    /// An HTTP request that must be answered with a success status.
    Http(#[garde(dive)] HttpAttempt),
    /// A TCP connection that must be accepted.
    Tcp(#[garde(dive)] TcpAttempt),
}

/// An HTTP request.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct HttpAttempt {
    /// Where to, such as `http://10.0.0.5:8080/health`.
    #[serde(deserialize_with = "url::http_url")]
    #[garde(skip)]
    pub url: String,
    /// Headers of the request. Credentials never stand here: `Authorization: { env: NAME }` or `{ file: PATH }`.
    #[serde(default)]
    #[garde(skip)]
    pub headers: Headers,
    /// The body must contain this text, where given: catches a 200 that carries an error.
    #[serde(default)]
    #[garde(length(max = 1000))]
    pub body_contains: Option<String>,
}

/// A TCP connection.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct TcpAttempt {
    /// Where to, `host:port`.
    #[serde(deserialize_with = "url::host_and_port")]
    #[garde(skip)]
    pub address: String,
}

/// How recovery is recognised.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize, Validate)]
#[serde(deny_unknown_fields, default)]
pub struct Measure {
    /// How long the service must be good again to count as restored. The clock stops at the start of that time.
    #[garde(custom(within(Duration::from_millis(500), Duration::from_hours(1))))]
    pub sustained: Span,
}

impl Default for Measure {
    fn default() -> Self {
        Self { sustained: Span(Duration::from_secs(10)) }
    }
}

/// The environment, as the history knows it.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct EnvironmentFacts {
    /// Its name.
    pub name: String,
    /// Its provider: `lab`, `host`.
    pub provider: String,
    /// Whether it only imitates the real thing.
    pub emulated: bool,
    /// What identifies it exactly.
    pub fingerprint: String,
    /// SHA-256 of [`Inventory::definition`]; absent where nobody says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub definition: Option<String>,
    /// Whether real users depend on it.
    #[serde(default)]
    pub production: bool,
    /// What was read from the target before the drill and before each fault, to see that it is the one that is meant.
    #[serde(default)]
    pub pin: Vec<String>,
    /// Its services, targets of the scenario already applied.
    pub services: Vec<ServiceFacts>,
    /// How recovery is recognised.
    pub measure: Measure,
    /// Accounts between which workloads move money, and what each had before the first transfer; none where nobody says.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub accounts: BTreeMap<u32, i64>,
}

impl Inventory {
    /// What it says of the system, the same text for the same system: without its title and those who are told of drills.
    #[must_use]
    pub fn definition(&self) -> String {
        let bare = Self { title: String::new(), notify: None, ..self.clone() };
        // Maps of strings and numbers: nothing in it that JSON has no words for.
        serde_json::to_string(&bare).unwrap_or_default()
    }
}

impl Provider {
    /// Its name in files, records and reports.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Lab(_) => "lab",
            Self::Host(_) => "host",
        }
    }
}

#[cfg(test)]
mod tests;
