//! The faults of a drill, by name.

use std::time::Duration;

use garde::Validate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    BackupDamage, Corruption, Deletion, Destruction, DiskFull, FilesReadOnly, Kill, Known, Limit,
    Loss, NetworkDelay, On, PageDamage, Partition, Pause, ReplicationStall, Revocation, Stop,
    ZoneLoss,
};
use crate::network::Via;
use crate::units::{Span, within};

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
    /// Pages of a table are damaged on the disk, below the database.
    PageCorruption(PageDamage),
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
            Self::PageCorruption(_) => "page_corruption",
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
            Self::PageCorruption(fault) => &fault.on,
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
            Self::PageCorruption(fault) => fault.validate_into(known, parent, report),
            Self::DataDeletion(fault) => fault.validate_into(known, parent, report),
            Self::BackupDamage(fault) => fault.validate_into(known, parent, report),
        }
    }
}
