//! Backups of one site, kept outside it, and what is restored from them.
//!
//! Each full backup is three files in the site's backup directory, of one name:
//!
//! - `full-<taken at>.db`: the database, copied online;
//! - `full-<taken at>.json`: its sidecar, which makes it a backup;
//! - `full-<taken at>.log`: the changes since, one line each with its own checksum.

mod agent;
mod catalog;
mod config;
mod full;
mod logs;
mod reach;
mod restore;
mod segment;

use std::path::PathBuf;

pub use catalog::{BackupInfo, Found, list_backups, survey_backups, verify_backup};
pub use config::BackupConfig;
pub use reach::newest_lsn;
pub use restore::{RestoreReport, Until, check_consistency, restore_clean, restore_point_in_time};

use crate::node::{self, LabError};
use crate::store::StoreError;

/// Runs the backups of one site until its standard input ends.
///
/// # Errors
///
/// When the backup directory cannot be used. A site whose database is away is waited for.
pub async fn run(config: BackupConfig) -> Result<(), LabError> {
    node::hold_lifeline("backup", config.die_with_starting_thread)?;
    node::survive_refused_writes()?;
    let agent = agent::Agent::new(config)?;
    let mut fields = node::ready_fields("backup");
    fields.insert("directory".to_owned(), agent.directory().display().to_string().into());
    node::ready(fields)?;
    tokio::task::spawn_blocking(move || agent.run())
        .await
        .map_err(|error| LabError::io("run the backups")(error.into()))
}

/// Why a backup cannot be taken, trusted or restored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// A file or directory cannot be used.
    #[error("{path}: {source}")]
    File {
        /// Which one.
        path: PathBuf,
        /// The kernel's answer.
        source: std::io::Error,
    },
    /// A database cannot be used.
    #[error("{path}: {reason}")]
    Database {
        /// Which one.
        path: PathBuf,
        /// What the database library says.
        reason: String,
    },
    /// What is in a backup is not what was put there.
    #[error("{path} is damaged: {reason}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// How that shows.
        reason: String,
    },
    /// No backup and log reach the point asked for.
    #[error("no backup in {directory} reaches {point} ({available})")]
    OutOfReach {
        /// Where was looked.
        directory: PathBuf,
        /// What was asked for.
        point: String,
        /// What there is.
        available: String,
    },
    /// A restore never writes over data.
    #[error("{path} is not empty; a restore takes only an empty target")]
    TargetNotEmpty {
        /// The target.
        path: PathBuf,
    },
}

impl BackupError {
    fn file(path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { path, source }
    }

    fn database<E: Into<StoreError>>(path: &std::path::Path) -> impl FnOnce(E) -> Self {
        let path = path.to_owned();
        move |error| Self::Database { path, reason: error.into().to_string() }
    }

    fn damaged(path: &std::path::Path, reason: impl Into<String>) -> Self {
        Self::Damaged { path: path.to_owned(), reason: reason.into() }
    }
}
