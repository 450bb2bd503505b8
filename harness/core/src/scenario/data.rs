//! Faults of data and of backups, as written in a scenario.

use garde::Validate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Known, known, one};

/// Rows that are changed.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize, Validate)]
#[serde(deny_unknown_fields)]
#[garde(context(Known))]
pub struct Corruption {
    /// The role whose data is changed.
    #[garde(custom(known::role))]
    pub on: String,
    /// So many rows at most, spread evenly over all, the oldest among them.
    #[garde(range(min = 1, max = 10_000))]
    pub rows: u32,
    /// Whether the copies of the other roles are changed alike, as storage that is mirrored carries a change everywhere;
    /// else they stay as they are.
    #[serde(default)]
    #[garde(skip)]
    pub replicated: bool,
}

/// Pages that are damaged on the disk.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize, Validate)]
#[serde(deny_unknown_fields)]
#[garde(context(Known))]
pub struct PageDamage {
    /// The role whose data is damaged; what replicates from it stays as it is.
    #[garde(custom(known::role))]
    pub on: String,
    /// So many pages at most, spread evenly over all that are full, the oldest among them.
    #[garde(range(min = 1, max = 100))]
    pub pages: u32,
}

/// Rows that are removed.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize, Validate)]
#[serde(deny_unknown_fields)]
#[garde(context(Known))]
pub struct Deletion {
    /// The role whose data is removed.
    #[garde(custom(known::role))]
    pub on: String,
    /// So many rows at most, spread evenly over all, the oldest among them; the whole table, dropped, when absent.
    #[serde(default)]
    #[garde(inner(range(min = 1, max = 10_000)))]
    pub rows: Option<u32>,
    /// Whether the copies of the other roles lose the same, as replication carries a statement everywhere; else they
    /// stay as they are.
    #[serde(default)]
    #[garde(skip)]
    pub replicated: bool,
    /// A table with more rows is not dropped.
    #[serde(default = "default_max_rows")]
    #[garde(range(min = 1, max = 1_000_000))]
    pub max_rows: u32,
}

const fn default_max_rows() -> u32 {
    10_000
}

/// Credentials that let nobody in any more.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize, Validate)]
#[serde(deny_unknown_fields)]
#[garde(context(Known))]
pub struct Revocation {
    /// The role whose users cannot log in any more.
    #[garde(custom(known::role))]
    pub on: String,
    /// Whether the copies of the other roles are changed alike; else they stay as they are.
    #[serde(default)]
    #[garde(skip)]
    pub replicated: bool,
}

/// A site of which nothing is left.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize, Validate)]
#[serde(deny_unknown_fields)]
#[garde(context(Known))]
pub struct Destruction {
    /// The role whose site is destroyed.
    #[garde(custom(known::role))]
    pub on: String,
    /// Whether its backups are gone with it, as they are where no copy is kept at another place.
    #[serde(default)]
    #[garde(skip)]
    pub backups: bool,
}

/// Backups that are damaged.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize, Validate)]
#[serde(deny_unknown_fields)]
#[garde(context(Known))]
pub struct BackupDamage {
    /// The role whose backups are meant.
    #[garde(custom(known::role))]
    pub on: String,
    /// So many restore points, or pieces of the log, the newest first.
    #[serde(default = "one")]
    #[garde(range(min = 1, max = 100))]
    pub newest: usize,
    /// Which part of the backups.
    #[serde(default)]
    #[garde(skip)]
    pub part: Part,
    /// What is done to each.
    #[garde(skip)]
    pub how: Harm,
}

/// A part of the backups of a site.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// Restore points: full backups, with what belongs to them.
    #[default]
    Full,
    /// The log that goes on from the full backups, where it is apart from them.
    Log,
}

/// What is done to a backup.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Harm {
    /// The full backup, or the piece of the log, loses its second half.
    Truncate,
    /// One bit of the full backup, or of the piece of the log, is flipped.
    Flip,
    /// Full backup, description and log are removed; or the piece of the log.
    Remove,
}

impl Harm {
    /// What is done, in words that follow "is".
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Truncate => "cut in half",
            Self::Flip => "changed in one bit",
            Self::Remove => "removed",
        }
    }
}
