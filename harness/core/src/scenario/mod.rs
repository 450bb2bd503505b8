//! Scenario files: what breaks, what heals it, what must hold. They speak of roles, never of mechanisms.

mod data;
mod delay;
mod expect;
mod known;
mod node;
mod parse;
mod restore;

pub use data::{BackupDamage, Corruption, Deletion, Destruction, Harm, Revocation};
pub use delay::NetworkDelay;
pub use expect::Expect;
pub use known::Known;
pub use node::{DiskFull, FilesReadOnly, Kill, Pause, ReplicationStall, Stop, ZoneLoss};
pub(crate) use parse::parse;
pub use parse::{
    FileError, LARGEST_FILE_BYTES, parse_backup_plan, parse_followed, parse_inventory,
    parse_runbook, parse_scenario, parse_script,
};
pub use restore::RestorePlan;

use std::time::Duration;

use garde::Validate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::names::simple_name;
use crate::network::{Via, Way};
use crate::units::{Rate, Share, Span, within};

/// A drill, as written in a file.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize, Validate)]
#[serde(deny_unknown_fields)]
#[garde(context(Known))]
pub struct Scenario {
    /// Name: lower-case letters, digits, `_` and `-`.
    #[garde(custom(simple_name))]
    #[schemars(regex(pattern = r"^[a-z0-9_-]{1,64}$"))]
    pub scenario: String,
    /// Title, for people.
    #[garde(length(min = 1, max = 200))]
    pub title: String,
    /// What happens in it, for people.
    #[serde(default)]
    #[garde(length(max = 4000))]
    pub description: String,
    /// What a pass proves, a sentence each.
    #[serde(default)]
    #[garde(length(max = 50))]
    pub proves: Vec<String>,
    /// What it is about, such as `site`, `network` or `data`: `run --tag` picks by them, `list` groups by the first.
    #[serde(default)]
    #[garde(length(max = 20), inner(custom(simple_name)))]
    #[schemars(inner(regex(pattern = r"^[a-z0-9_-]{1,64}$")))]
    pub tags: Vec<String>,
    /// The runbook that people follow: the name of a shipped one, or the path of a file, from where this file is.
    #[serde(default)]
    #[garde(inner(length(min = 1, max = 1000)))]
    pub runbook: Option<String>,
    /// What people answer in a drill that follows its runbook, where they are not asked at a terminal: the name of a
    /// shipped script, or the path of a file, from where this file is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[garde(inner(length(min = 1, max = 1000)))]
    pub script: Option<String>,
    /// How a scenario that must fail has to end; only those have it.
    #[serde(default)]
    #[garde(dive)]
    pub expect: Option<Expect>,
    /// Kind of drill.
    #[garde(skip)]
    pub kind: Kind,
    /// Objectives. The tier of a service may tighten them.
    #[serde(default)]
    #[garde(skip)]
    pub targets: Targets,
    /// How the system is watched.
    #[serde(default)]
    #[garde(dive)]
    pub probes: ProbePlan,
    /// What breaks, in order.
    #[garde(length(max = 50), dive)]
    pub faults: Vec<FaultAt>,
    /// What heals it.
    #[serde(default)]
    #[garde(custom(follows_a_runbook(self.runbook.is_some())), dive)]
    pub recovery: Recovery,
    /// Functions that must work again after the recovery (requirement C10).
    #[serde(default)]
    #[garde(length(max = 50), inner(custom(known::function)))]
    pub verify: Vec<String>,
    /// How long the restored service is watched before faults are taken back.
    #[serde(default = "default_soak")]
    #[garde(skip)]
    pub soak: Span,
    /// The way back to the original site; absent when the drill ends on the DR site.
    #[serde(default)]
    #[garde(custom(restore::no_way_back(self.recovery.restore)), dive)]
    pub failback: Option<Failback>,
    /// When to abort, undo everything and keep the evidence.
    #[serde(default)]
    #[garde(length(max = 20), custom(known::are_sampled(&self.probes.also)), dive)]
    pub stop_when: Vec<StopWhen>,
}

const fn default_soak() -> Span {
    Span(Duration::from_secs(3))
}

/// Kind of a drill.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// People walk through it.
    Tabletop,
    /// A controlled failover of a test or standby environment.
    Simulated,
    /// Real traffic.
    Full,
}

/// Objectives; an absent one is not judged.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Targets {
    /// Recovery time objective: from the fault to the restored service.
    pub rto: Option<Span>,
    /// Recovery point objective: age of the first lost acknowledged write at the fault.
    pub rpo: Option<Span>,
    /// Recovery level objective: the least share of normal goodput between restored and full capacity.
    pub rlo: Option<Share>,
}

impl Targets {
    /// These objectives, tightened by others: the stricter of each wins.
    #[must_use]
    pub fn tightened_by(self, other: Self) -> Self {
        Self {
            rto: stricter(self.rto, other.rto, Ord::min),
            rpo: stricter(self.rpo, other.rpo, Ord::min),
            rlo: stricter(self.rlo, other.rlo, Ord::max),
        }
    }
}

fn stricter<T>(one: Option<T>, other: Option<T>, choose: fn(T, T) -> T) -> Option<T> {
    match (one, other) {
        (Some(one), Some(other)) => Some(choose(one, other)),
        (one, other) => one.or(other),
    }
}

/// How the system is watched.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize, Validate)]
#[serde(deny_unknown_fields, default)]
#[garde(context(Known))]
pub struct ProbePlan {
    /// Time between two attempts of a stream. Attempts overlap: a slow answer delays no later attempt.
    #[garde(custom(within(Duration::from_micros(500), Duration::from_mins(1))))]
    pub every: Span,
    /// Time one attempt may take, at most 900 ms: a lost connection request is repeated by the kernel after
    /// about 1.03 s, which would look like an outage of the service.
    #[garde(custom(within(Duration::from_millis(1), LONGEST_DEADLINE)))]
    pub deadline: Span,
    /// End after so many samples of each stream; only for drills without faults.
    #[garde(inner(range(min = 1, max = 1_000_000)))]
    pub samples: Option<u64>,
    /// Streams that the environment offers besides those that every drill has, such as `login`.
    #[garde(length(max = 20), inner(custom(known::also)))]
    pub also: Vec<String>,
}

/// Longest time one attempt may take; see [`ProbePlan::deadline`].
pub const LONGEST_DEADLINE: Duration = Duration::from_millis(900);

impl Default for ProbePlan {
    fn default() -> Self {
        Self {
            every: Span(Duration::from_millis(20)),
            deadline: Span(LONGEST_DEADLINE),
            samples: None,
            also: Vec::new(),
        }
    }
}

/// A fault and its time.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize, Validate)]
#[serde(deny_unknown_fields)]
#[garde(context(Known))]
pub struct FaultAt {
    /// Time after the probes began; what comes before the first fault is the baseline.
    #[garde(custom(within(Duration::from_secs(1), Duration::from_hours(1))))]
    pub at: Span,
    /// The fault.
    #[garde(dive)]
    pub inject: Inject,
}

/// A fault: a map with one key, so that an error points at the exact line.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Inject {
    /// Every process of the site is killed and its network goes dark.
    SiteLoss(On),
    /// Every process of one zone of the site is killed and its network goes dark.
    ZoneLoss(ZoneLoss),
    /// The site is lost, and with it the way by which clients come to its region: they have to come by another one.
    RegionOutage(On),
    /// The network of the site goes dark; its processes live on.
    NetworkDown(On),
    /// The processes of the site stand still: connections to them stay open, and nothing answers.
    ProcessPause(Pause),
    /// Processes of the site are killed; they are started again when the fault is taken back.
    ProcessKill(Kill),
    /// Processes of the site are asked to end (SIGTERM); they are started again when the fault is taken back.
    ProcessStop(Stop),
    /// Processes of the site are killed and at once started again.
    ProcessRestart(Kill),
    /// Processes of the site can read files and not write to them.
    StorageReadOnly(FilesReadOnly),
    /// The file system of a directory of the site is full.
    DiskFull(DiskFull),
    /// Nothing is replicated to a standby any more, until it is further behind than a limit.
    ReplicationStall(ReplicationStall),
    /// Nothing gets from one site to another; whatever else they talk to, they still reach.
    NetworkPartition(Partition),
    /// A share of the packets between nodes is dropped.
    PacketLoss(Loss),
    /// Of the packets between nodes, those beyond a number of bytes a second are dropped.
    RateLimit(Limit),
    /// Packets leave the nodes later.
    NetworkDelay(NetworkDelay),
    /// Rows are changed behind the application's back.
    DataCorruption(Corruption),
    /// Rows, or a whole table, are removed as an operator would.
    DataDeletion(Deletion),
    /// Backups are cut short, changed or removed.
    BackupDamage(BackupDamage),
    /// Rows are encrypted with a random key that nobody has.
    DataEncryption(Corruption),
    /// The credentials of all users are changed behind the application's back: nobody can log in.
    CredentialsRevoked(Revocation),
    /// Somebody uses a token that was stolen from a client.
    CredentialsStolen(On),
    /// The site is lost with the way by which clients come to its region, and all of its data is gone.
    SiteDestruction(Destruction),
}

impl Inject {
    /// The fault's name in files, records and reports.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::SiteLoss(_) => "site_loss",
            Self::ZoneLoss(_) => "zone_loss",
            Self::RegionOutage(_) => "region_outage",
            Self::NetworkDown(_) => "network_down",
            Self::ProcessPause(_) => "process_pause",
            Self::ProcessKill(_) => "process_kill",
            Self::ProcessStop(_) => "process_stop",
            Self::ProcessRestart(_) => "process_restart",
            Self::StorageReadOnly(_) => "storage_read_only",
            Self::DiskFull(_) => "disk_full",
            Self::ReplicationStall(_) => "replication_stall",
            Self::NetworkPartition(_) => "network_partition",
            Self::PacketLoss(_) => "packet_loss",
            Self::RateLimit(_) => "rate_limit",
            Self::NetworkDelay(_) => "network_delay",
            Self::DataCorruption(_) => "data_corruption",
            Self::DataDeletion(_) => "data_deletion",
            Self::BackupDamage(_) => "backup_damage",
            Self::DataEncryption(_) => "data_encryption",
            Self::CredentialsRevoked(_) => "credentials_revoked",
            Self::CredentialsStolen(_) => "credentials_stolen",
            Self::SiteDestruction(_) => "site_destruction",
        }
    }

    /// What drops the packets, where it says so.
    #[must_use]
    pub const fn via(&self) -> Option<Via> {
        match self {
            Self::NetworkPartition(fault) => fault.via,
            Self::PacketLoss(fault) => fault.via,
            _ => None,
        }
    }

    /// The role it acts on.
    #[must_use]
    pub fn on(&self) -> &str {
        match self {
            Self::SiteLoss(on)
            | Self::RegionOutage(on)
            | Self::NetworkDown(on)
            | Self::CredentialsStolen(on) => &on.on,
            Self::ZoneLoss(fault) => &fault.on,
            Self::ProcessPause(fault) => &fault.on,
            Self::ProcessKill(fault) | Self::ProcessRestart(fault) => &fault.on,
            Self::ProcessStop(fault) => &fault.on,
            Self::StorageReadOnly(fault) => &fault.on,
            Self::DiskFull(fault) => &fault.on,
            Self::ReplicationStall(fault) => &fault.on,
            Self::NetworkPartition(fault) => &fault.on,
            Self::PacketLoss(fault) => &fault.on,
            Self::RateLimit(fault) => &fault.on,
            Self::NetworkDelay(fault) => &fault.on,
            Self::DataCorruption(fault) | Self::DataEncryption(fault) => &fault.on,
            Self::DataDeletion(fault) => &fault.on,
            Self::CredentialsRevoked(fault) => &fault.on,
            Self::SiteDestruction(fault) => &fault.on,
            Self::BackupDamage(fault) => &fault.on,
        }
    }
}

/// Written out because the derived one names the variant by number, which no line of the file answers to.
impl Validate for Inject {
    type Context = Known;

    fn validate_into(
        &self,
        known: &Known,
        parent: &mut dyn FnMut() -> garde::Path,
        report: &mut garde::Report,
    ) {
        match self {
            Self::SiteLoss(on)
            | Self::RegionOutage(on)
            | Self::NetworkDown(on)
            | Self::CredentialsStolen(on) => {
                on.validate_into(known, parent, report);
            }
            Self::ZoneLoss(fault) => fault.validate_into(known, parent, report),
            Self::ProcessPause(fault) => fault.validate_into(known, parent, report),
            Self::ProcessKill(fault) | Self::ProcessRestart(fault) => {
                fault.validate_into(known, parent, report);
            }
            Self::ProcessStop(fault) => fault.validate_into(known, parent, report),
            Self::StorageReadOnly(fault) => fault.validate_into(known, parent, report),
            Self::DiskFull(fault) => fault.validate_into(known, parent, report),
            Self::ReplicationStall(fault) => fault.validate_into(known, parent, report),
            Self::NetworkPartition(fault) => fault.validate_into(known, parent, report),
            Self::PacketLoss(fault) => fault.validate_into(known, parent, report),
            Self::RateLimit(fault) => fault.validate_into(known, parent, report),
            Self::NetworkDelay(fault) => fault.validate_into(known, parent, report),
            Self::DataCorruption(fault) | Self::DataEncryption(fault) => {
                fault.validate_into(known, parent, report);
            }
            Self::CredentialsRevoked(fault) => fault.validate_into(known, parent, report),
            Self::SiteDestruction(fault) => fault.validate_into(known, parent, report),
            Self::DataDeletion(fault) => fault.validate_into(known, parent, report),
            Self::BackupDamage(fault) => fault.validate_into(known, parent, report),
        }
    }
}

/// A role of the environment.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize, Validate)]
#[serde(deny_unknown_fields)]
#[garde(context(Known))]
pub struct On {
    /// The role, such as `primary` or `dr`.
    #[garde(custom(known::role))]
    pub on: String,
}

/// A network partition.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize, Validate)]
#[serde(deny_unknown_fields)]
#[garde(context(Known))]
pub struct Partition {
    /// The role whose nodes are struck.
    #[garde(custom(known::role))]
    pub on: String,
    /// The role of the peers; without it all traffic of the nodes is meant.
    #[serde(default)]
    #[garde(inner(custom(known::role)))]
    pub from: Option<String>,
    /// Direction, as the struck node sees it.
    #[serde(default)]
    #[garde(skip)]
    pub way: Way,
    /// TCP and UDP ports of the struck node; all traffic when empty.
    #[serde(default)]
    #[garde(length(max = 64))]
    pub ports: Vec<u16>,
    /// The most nodes that may be struck at once.
    #[serde(default = "one")]
    #[garde(range(min = 1, max = 100))]
    pub max_targets: usize,
    /// What drops the packets; when absent `nftables`, or `iptables` where this kernel has no tables with an owner.
    #[serde(default)]
    #[garde(skip)]
    pub via: Option<Via>,
}

/// Loss of packets.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize, Validate)]
#[serde(deny_unknown_fields)]
#[garde(context(Known))]
pub struct Loss {
    /// The role whose nodes are struck.
    #[garde(custom(known::role))]
    pub on: String,
    /// The role of the peers; without it all traffic of the nodes is meant.
    #[serde(default)]
    #[garde(inner(custom(known::role)))]
    pub from: Option<String>,
    /// Direction, as the struck node sees it.
    #[serde(default)]
    #[garde(skip)]
    pub way: Way,
    /// TCP and UDP ports of the struck node; all traffic when empty.
    #[serde(default)]
    #[garde(length(max = 64))]
    pub ports: Vec<u16>,
    /// The most nodes that may be struck at once.
    #[serde(default = "one")]
    #[garde(range(min = 1, max = 100))]
    pub max_targets: usize,
    /// What drops the packets; when absent `nftables`, or `iptables` where this kernel has no tables with an owner.
    #[serde(default)]
    #[garde(skip)]
    pub via: Option<Via>,
    /// The share of the packets that is dropped.
    #[garde(custom(some_share))]
    pub share: Share,
}

/// A limit of the rate.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize, Validate)]
#[serde(deny_unknown_fields)]
#[garde(context(Known))]
pub struct Limit {
    /// The role whose nodes are struck.
    #[garde(custom(known::role))]
    pub on: String,
    /// The role of the peers; without it all traffic of the nodes is meant.
    #[serde(default)]
    #[garde(inner(custom(known::role)))]
    pub from: Option<String>,
    /// Direction, as the struck node sees it.
    #[serde(default)]
    #[garde(skip)]
    pub way: Way,
    /// TCP and UDP ports of the struck node; all traffic when empty.
    #[serde(default)]
    #[garde(length(max = 64))]
    pub ports: Vec<u16>,
    /// The most nodes that may be struck at once.
    #[serde(default = "one")]
    #[garde(range(min = 1, max = 100))]
    pub max_targets: usize,
    /// So much gets through to a node, and so much from it; all its peers share that. One second's worth may pass at
    /// once.
    #[garde(custom(provable_rate))]
    pub rate: Rate,
}

/// Whether a limit is in effect is found out by pushing more bytes than it lets through, for a second: slower ones are
/// too few packets to count, faster ones more than a machine pushes.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "what garde calls it with")]
fn provable_rate<C>(rate: &Rate, _: &C) -> garde::Result {
    if (10_000..=1_000_000_000).contains(&rate.bytes_per_second) {
        return Ok(());
    }
    Err(garde::Error::new("must be from 10kB/s to 1GB/s"))
}

/// Source: design, section 6: one target, unless the scenario says otherwise.
const fn one() -> usize {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "what garde calls it with")]
fn some_share<C>(share: &Share, _: &C) -> garde::Result {
    if (Share::percent(1)..=Share::percent(99)).contains(share) {
        return Ok(());
    }
    Err(garde::Error::new("must be from 1% to 99%; for all of it use network_partition"))
}

/// What heals the system.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize, Validate)]
#[serde(deny_unknown_fields, default)]
#[garde(context(Known))]
pub struct Recovery {
    /// Who fails over.
    #[garde(skip)]
    pub failover: Failover,
    /// drdrill restores the primary site from its backups when its data is damaged; nobody fails over then.
    #[garde(custom(restore::instead_of(self.failover)), dive)]
    pub restore: Option<RestorePlan>,
    /// How long the service may stay away before the drill stops waiting. The RTO then reads "> N".
    #[garde(custom(within(Duration::from_secs(1), Duration::from_hours(24))))]
    pub give_up_after: Span,
}

impl Recovery {
    /// Whether drdrill's own machinery watches the system, and acts.
    #[must_use]
    pub fn acts(&self) -> bool {
        self.failover.is_ours() || self.failover == Failover::Runbook || self.restore.is_some()
    }
}

/// Who follows a runbook has one.
fn follows_a_runbook<C>(has_one: bool) -> impl Fn(&Recovery, &C) -> garde::Result {
    move |recovery, _| {
        if recovery.failover == Failover::Runbook && !has_one {
            return Err(garde::Error::new(
                "says `failover: runbook`, and the scenario names none; write `runbook: NAME_OR_FILE` into it",
            ));
        }
        Ok(())
    }
}

impl Default for Recovery {
    fn default() -> Self {
        Self {
            failover: Failover::BuiltIn,
            restore: None,
            give_up_after: Span(Duration::from_hours(1)),
        }
    }
}

/// Who fails over.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Failover {
    /// drdrill's health monitor and failover plan.
    BuiltIn,
    /// The system itself; drdrill only watches.
    Own,
    /// Nobody.
    None,
    /// drdrill's health monitor and failover plan are at work and have to hold back: the service never goes away, and a
    /// failover is a failure.
    Refrain,
    /// The steps of the scenario's runbook, in order, by people, by commands and by drdrill's machinery. They begin when
    /// the health monitor decides that something was lost, and where there is none as soon as the last fault is in effect.
    Runbook,
}

impl Failover {
    /// Whether drdrill's own machinery is at work.
    #[must_use]
    pub const fn is_ours(self) -> bool {
        matches!(self, Self::BuiltIn | Self::Refrain)
    }
}

/// The way back to the original site (requirement C5).
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize, Validate)]
#[serde(deny_unknown_fields)]
#[garde(context(Known))]
pub struct Failback {
    /// Shares of the traffic that the original site takes, one after the other, ending with 100%.
    #[serde(default = "default_shift")]
    #[garde(length(min = 1, max = 20), custom(rises_to_all))]
    pub shift: Vec<Share>,
    /// How long each share is held before the health check that allows the next.
    #[serde(default = "default_hold")]
    #[garde(custom(within(Duration::from_millis(100), Duration::from_hours(1))))]
    pub hold: Span,
}

impl Default for Failback {
    fn default() -> Self {
        Self { shift: default_shift(), hold: default_hold() }
    }
}

/// Source: requirement C5.
fn default_shift() -> Vec<Share> {
    [10, 25, 50, 75, 100].map(Share::percent).to_vec()
}

const fn default_hold() -> Span {
    Span(Duration::from_secs(1))
}

fn rises_to_all<C>(shift: &[Share], _: &C) -> garde::Result {
    if shift.is_sorted_by(|a, b| a < b) && shift.last() == Some(&Share::percent(100)) {
        return Ok(());
    }
    Err(garde::Error::new("must rise from share to share and end with 100%"))
}

/// A stop condition.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize, Validate)]
#[serde(deny_unknown_fields)]
#[garde(context(Known))]
pub struct StopWhen {
    /// Name of the probe stream to watch, such as `bystander`.
    #[garde(custom(known::probe))]
    pub probe: String,
    /// Abort when the share of successes falls below this.
    #[garde(skip)]
    pub success_below: Share,
    /// Over so much time.
    #[serde(default = "default_over")]
    #[garde(custom(within(Duration::from_millis(100), Duration::from_mins(10))))]
    pub over: Span,
}

const fn default_over() -> Span {
    Span(Duration::from_secs(1))
}
