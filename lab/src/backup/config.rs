//! How to run the backups of a site.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// How to run the backups of one site.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackupConfig {
    /// The site's name, for people.
    pub site: String,
    /// The site's database, see [`crate::database_path`]. It may come later.
    pub database: PathBuf,
    /// Where the backups go: outside the site, and this site's alone.
    pub directory: PathBuf,
    /// The time between two full backups.
    #[serde(default = "interval")]
    pub interval_ms: u64,
    /// The time between two looks at the change log.
    #[serde(default = "log_interval")]
    pub log_interval_ms: u64,
    /// Full backups that are kept, with their logs.
    #[serde(default = "keep")]
    pub keep: usize,
    /// Whether it also dies with the thread that started it; see the `node` module.
    #[serde(default)]
    pub die_with_starting_thread: bool,
}

fn interval() -> u64 {
    60_000
}

fn log_interval() -> u64 {
    1_000
}

fn keep() -> usize {
    5
}
