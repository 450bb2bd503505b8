//! Faults of zones, of processes, of disks and of replication, as written in a scenario.

use std::time::Duration;

use garde::Validate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Known, known, one};
use crate::units::{Size, Span, within};

/// The loss of a zone.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize, Validate)]
#[serde(deny_unknown_fields)]
#[garde(context(Known))]
pub struct ZoneLoss {
    /// The role whose zone is lost.
    #[garde(custom(known::role))]
    pub on: String,
    /// The zone of the role, such as `a`.
    #[garde(custom(known::zone(&self.on)))]
    pub zone: String,
}

/// A pause of processes.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize, Validate)]
#[serde(deny_unknown_fields)]
#[garde(context(Known))]
pub struct Pause {
    /// The role whose processes stand still.
    #[garde(custom(known::role))]
    pub on: String,
    /// The one process of the role that is meant, such as `service`; all of them without it.
    #[serde(default)]
    #[garde(inner(custom(known::component(&self.on))))]
    pub component: Option<String>,
    /// The most processes that may be struck.
    #[serde(default = "one")]
    #[garde(range(min = 1, max = 1000))]
    pub max_targets: usize,
}

/// Processes that are ended at once.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize, Validate)]
#[serde(deny_unknown_fields)]
#[garde(context(Known))]
pub struct Kill {
    /// The role whose processes are ended.
    #[garde(custom(known::role))]
    pub on: String,
    /// The one process of the role that is meant, such as `service`; all of them without it.
    #[serde(default)]
    #[garde(inner(custom(known::component(&self.on))))]
    pub component: Option<String>,
    /// The most processes that may be struck.
    #[serde(default = "one")]
    #[garde(range(min = 1, max = 1000))]
    pub max_targets: usize,
}

/// Processes that are asked to end.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize, Validate)]
#[serde(deny_unknown_fields)]
#[garde(context(Known))]
pub struct Stop {
    /// The role whose processes are asked to end.
    #[garde(custom(known::role))]
    pub on: String,
    /// The one process of the role that is meant, such as `service`; all of them without it.
    #[serde(default)]
    #[garde(inner(custom(known::component(&self.on))))]
    pub component: Option<String>,
    /// Time they have to end. One that is still there then makes the drill invalid: it is not killed.
    #[serde(default = "default_grace")]
    #[garde(custom(within(Duration::ZERO, LONGEST_GRACE)))]
    pub grace: Span,
    /// The most processes that may be struck.
    #[serde(default = "one")]
    #[garde(range(min = 1, max = 1000))]
    pub max_targets: usize,
}

/// Less than the 10 s within which a fault has to show.
const LONGEST_GRACE: Duration = Duration::from_secs(8);

const fn default_grace() -> Span {
    Span(Duration::from_secs(5))
}

/// A file system that is full.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize, Validate)]
#[serde(deny_unknown_fields)]
#[garde(context(Known))]
pub struct DiskFull {
    /// The role whose directory is meant.
    #[garde(custom(known::role))]
    pub on: String,
    /// The directory of the role whose file system is filled; may be left out where it has only one.
    #[serde(default)]
    #[garde(inner(custom(known::directory(&self.on))))]
    pub directory: Option<String>,
    /// So much stays free.
    #[serde(default)]
    #[garde(skip)]
    pub leave: Size,
}

/// Files that processes can read and not write to.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize, Validate)]
#[serde(deny_unknown_fields)]
#[garde(context(Known))]
pub struct FilesReadOnly {
    /// The role whose processes are struck.
    #[garde(custom(known::role))]
    pub on: String,
    /// The one process of the role that is meant, such as `service`; all of them without it.
    #[serde(default)]
    #[garde(inner(custom(known::component(&self.on))))]
    pub component: Option<String>,
    /// The most processes that may be struck.
    #[serde(default = "one")]
    #[garde(range(min = 1, max = 1000))]
    pub max_targets: usize,
}

/// Replication that stands still.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize, Validate)]
#[serde(deny_unknown_fields)]
#[garde(context(Known))]
pub struct ReplicationStall {
    /// The role of the standby that gets nothing any more.
    #[garde(custom(known::role))]
    pub on: String,
    /// The role that it follows.
    #[garde(custom(known::role))]
    pub from: String,
    /// The fault counts as in effect once the standby is so far behind; the next fault waits for that.
    #[garde(custom(within(Duration::from_millis(100), LONGEST_GRACE)))]
    pub limit: Span,
}
