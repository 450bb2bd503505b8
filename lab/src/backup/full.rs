//! Taking one full backup.

use std::path::Path;
use std::time::Instant;

use super::{BackupError, BackupInfo};
use crate::durable;
use crate::node::now_ms;
use crate::store::{copy_to, last_change, open_reader};

/// Copies the site's database into the directory; the sidecar comes last and makes it a backup.
pub(super) fn take(
    site: &str,
    database: &Path,
    directory: &Path,
    not_before_ms: u64,
) -> Result<BackupInfo, BackupError> {
    let begun = Instant::now();
    // Two backups never share a name, whatever the wall clock does.
    let taken_at_ms = now_ms().max(not_before_ms);
    let file = format!("full-{taken_at_ms:015}.db");
    let path = directory.join(&file);
    let unfinished = directory.join("full.tmp");
    let source = open_reader(database).map_err(BackupError::database(database))?;
    copy_to(&source, &unfinished).map_err(BackupError::database(&unfinished))?;
    let (lsn, epoch, changed_at_ms) = open_reader(&unfinished)
        .and_then(|copy| last_change(&copy))
        .map_err(BackupError::database(&unfinished))?;
    let sha256 = durable::sha256_file(&unfinished).map_err(BackupError::file(&unfinished))?;
    let bytes = std::fs::metadata(&unfinished).map_err(BackupError::file(&unfinished))?.len();
    durable::publish(&unfinished, &path).map_err(BackupError::file(&path))?;
    let info = BackupInfo {
        site: site.to_owned(),
        file,
        lsn,
        epoch,
        changed_at_ms,
        taken_at_ms,
        bytes,
        sha256,
        duration_ms: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
    };
    write_sidecar(directory, &info)?;
    Ok(info)
}

fn write_sidecar(directory: &Path, info: &BackupInfo) -> Result<(), BackupError> {
    let unfinished = directory.join("sidecar.tmp");
    let sidecar = info.sidecar_in(directory);
    let text = serde_json::to_vec_pretty(info)
        .map_err(|error| BackupError::damaged(&sidecar, error.to_string()))?;
    std::fs::write(&unfinished, text).map_err(BackupError::file(&unfinished))?;
    durable::publish(&unfinished, &sidecar).map_err(BackupError::file(&sidecar))
}
