//! How far backups and logs go.

use std::path::Path;

use super::segment::Changes;
use super::{BackupError, catalog};

/// The newest change that is in any full backup, or in a log as far as that is whole; 0 when there is none.
///
/// # Errors
///
/// When the directory or a log cannot be read.
pub fn newest_lsn(directory: &Path) -> Result<u64, BackupError> {
    for found in catalog::survey_backups(directory)? {
        let log = Changes::open(&directory.join(&found.name).with_extension("log"))?;
        let last = log.map_while(Result::ok).last().map(|change| change.lsn);
        // The first that says anything is the newest.
        if let Some(lsn) = last.or(found.info.ok().map(|info| info.lsn)) {
            return Ok(lsn);
        }
    }
    Ok(0)
}
