//! Whole copies of a database, by the online backup of `SQLite`.

use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};

use super::{SiteState, StoreError};
use crate::durable;

/// Copies a database, consistent although others write to it, into one new file that needs no
/// companion files, and flushes it to the disk.
pub(crate) fn copy_to(source: &Connection, target: &Path) -> Result<(), StoreError> {
    durable::remove_database(target)?;
    let mut copy = Connection::open(target)?;
    copy_all(source, &mut copy)?;
    // The copy says "WAL" in its header as the source does; a copy is to be one file.
    copy.pragma_update(None, "journal_mode", "DELETE")?;
    copy.close().map_err(|(_, error)| error)?;
    durable::sync(target)?;
    Ok(())
}

/// Replaces the whole content of the live database by a snapshot, in one transaction.
///
/// The state of this site goes in with it, so that a crash finds either the old database or a
/// standby with the new content, and never the snapshot's author in this site's place.
pub(crate) fn adopt(
    live: &mut Connection,
    snapshot: &Path,
    state: &SiteState,
) -> Result<(), StoreError> {
    let incoming = Connection::open(snapshot)?;
    state.save(&incoming)?;
    copy_all(&incoming, live)?;
    incoming.close().map_err(|(_, error)| error)?;
    durable::remove_database(snapshot)?;
    Ok(())
}

/// Keeps a copy of a history that is about to be replaced, as `diverged-<epoch>-<lsn>.db`.
pub(crate) fn set_aside(
    live: &Connection,
    directory: &Path,
    state: &SiteState,
) -> Result<PathBuf, StoreError> {
    let stem = format!("diverged-{}-{}", state.lsn_epoch, state.lsn);
    let mut name = directory.join(format!("{stem}.db"));
    let mut copies = 1;
    while fs::exists(&name)? {
        copies += 1;
        name = directory.join(format!("{stem}-{copies}.db"));
    }
    let unfinished = directory.join("aside.tmp");
    copy_to(live, &unfinished)?;
    durable::publish(&unfinished, &name)?;
    Ok(name)
}

fn copy_all(source: &Connection, target: &mut Connection) -> Result<(), StoreError> {
    let copying = Backup::new(source, target)?;
    match copying.step(-1)? {
        StepResult::Done => Ok(()),
        _ => Err(StoreError::Gone),
    }
}
