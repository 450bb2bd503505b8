//! What backups there are, and whether they can be trusted.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{BackupError, segment};
use crate::durable;

/// The sidecar of a full backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupInfo {
    /// The site.
    pub site: String,
    /// The file of the database within the directory.
    pub file: String,
    /// The newest change in it.
    pub lsn: u64,
    /// The epoch of that change.
    pub epoch: u64,
    /// When that change was made, by the wall clock.
    pub changed_at_ms: u64,
    /// When the backup was begun, by the wall clock.
    pub taken_at_ms: u64,
    /// The size of the file.
    pub bytes: u64,
    /// The digest of the file, in hex.
    pub sha256: String,
    /// How long the backup took.
    pub duration_ms: u64,
}

impl BackupInfo {
    /// The copied database.
    #[must_use]
    pub fn database_in(&self, directory: &Path) -> PathBuf {
        directory.join(&self.file)
    }

    /// The log of the changes since.
    #[must_use]
    pub fn log_in(&self, directory: &Path) -> PathBuf {
        directory.join(&self.file).with_extension("log")
    }

    /// This information.
    #[must_use]
    pub fn sidecar_in(&self, directory: &Path) -> PathBuf {
        directory.join(&self.file).with_extension("json")
    }
}

/// Lists the full backups in a directory, oldest first. One without a sidecar was never finished.
///
/// # Errors
///
/// When the directory or a sidecar cannot be read.
pub fn list_backups(directory: &Path) -> Result<Vec<BackupInfo>, BackupError> {
    let mut backups = Vec::new();
    for entry in fs::read_dir(directory).map_err(BackupError::file(directory))? {
        let path = entry.map_err(BackupError::file(directory))?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            backups.push(read_sidecar(&path)?);
        }
    }
    backups.sort_by_key(|info| info.taken_at_ms);
    Ok(backups)
}

/// A full backup as its files stand in the directory, whole or not.
#[derive(Debug)]
pub struct Found {
    /// What its files are called, without their endings.
    pub name: String,
    /// Its sidecar, where that can be read.
    pub info: Result<BackupInfo, BackupError>,
}

/// Lists the full backups in a directory, newest first, also those that are not whole. What was never finished is one of
/// them as soon as its database is there.
///
/// # Errors
///
/// When the directory cannot be read.
pub fn survey_backups(directory: &Path) -> Result<Vec<Found>, BackupError> {
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(directory).map_err(BackupError::file(directory))? {
        let path = entry.map_err(BackupError::file(directory))?.path();
        let part = path.extension().is_some_and(|ending| ending == "json" || ending == "db");
        let stem = path.file_stem().and_then(|stem| stem.to_str());
        names.extend(stem.filter(|stem| part && stem.starts_with("full-")).map(str::to_owned));
    }
    // Names carry their time, padded.
    let found = names.into_iter().rev().map(|name| {
        let info = read_sidecar(&directory.join(&name).with_extension("json"));
        Found { name, info }
    });
    Ok(found.collect())
}

/// Checks one backup and its log against their checksums, without ever holding more than a piece of them; returns how
/// many bytes were read.
///
/// # Errors
///
/// When a file is missing or is not what was written.
pub fn verify_backup(directory: &Path, info: &BackupInfo) -> Result<u64, BackupError> {
    verify_database(directory, info)?;
    let mut log = segment::Changes::open(&info.log_in(directory))?;
    for change in &mut log {
        change?;
    }
    Ok(info.bytes + log.bytes_read())
}

fn read_sidecar(path: &Path) -> Result<BackupInfo, BackupError> {
    let text = fs::read(path).map_err(BackupError::file(path))?;
    let info: BackupInfo = serde_json::from_slice(&text)
        .map_err(|error| BackupError::damaged(path, error.to_string()))?;
    // A name that leads elsewhere is none of ours.
    let own = Path::new(&info.file).file_stem() == path.file_stem()
        && Path::new(&info.file).components().count() == 1;
    if own { Ok(info) } else { Err(BackupError::damaged(path, "it describes another file")) }
}

pub(super) fn verify_database(directory: &Path, info: &BackupInfo) -> Result<(), BackupError> {
    let path = info.database_in(directory);
    let sha256 = durable::sha256_file(&path).map_err(BackupError::file(&path))?;
    if sha256 == info.sha256 {
        Ok(())
    } else {
        let reason = format!("its SHA-256 is {sha256}, not {}", info.sha256);
        Err(BackupError::damaged(&path, reason))
    }
}
