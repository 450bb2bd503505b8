//! Restoring a site's database to a chosen point.

use std::fmt;
use std::path::Path;
use std::time::Instant;

use rusqlite::{Connection, TransactionBehavior};
use serde::{Deserialize, Serialize};

use super::catalog::{self, BackupInfo};
use super::logs::Logs;
use super::{BackupError, segment};
use crate::durable;
use crate::store::{
    Change, Consistency, Role, SiteState, StoreError, consistency, last_change, open_reader,
    open_writer,
};

/// How far to restore.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Until {
    /// As far as the backups go.
    Latest,
    /// Up to and with this change, which must be there.
    Lsn(u64),
    /// All changes made up to this wall time in milliseconds since 1970.
    AtMs(u64),
}

/// What was restored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoreReport {
    /// The full backup that it began with.
    pub backup: String,
    /// The newest change in that backup.
    pub backup_lsn: u64,
    /// Changes that were carried out again from the logs.
    pub replayed: u64,
    /// The newest change in the restored database.
    pub lsn: u64,
    /// The epoch of that change.
    pub epoch: u64,
    /// The newest epoch that the restored site knows; promote it to a newer one.
    pub known_epoch: u64,
    /// When the newest change was made, by the wall clock.
    pub changed_at_ms: u64,
    /// Bytes of the full backup that were copied.
    pub bytes: u64,
    /// Why the logs were not followed to their end, where they were not.
    pub stopped: Option<String>,
    /// How long it took.
    pub duration_ms: u64,
}

/// Restores a database from the newest backup and logs that reach the point, each checked first.
///
/// The restored site is a standby that follows nobody: promote it to an epoch newer than
/// `known_epoch` to use it, or let it follow.
///
/// # Errors
///
/// When the target is not empty, when what would be restored from is damaged, or when nothing
/// reaches the point. Damage is an error and never a reason to silently take an older backup;
/// `list_backups` and `verify_backup` tell which ones there are and which are good.
pub fn restore_point_in_time(
    backup_dir: &Path,
    target_db: &Path,
    until: Until,
) -> Result<RestoreReport, BackupError> {
    let begun = Instant::now();
    require_empty(target_db)?;
    let backups = catalog::list_backups(backup_dir)?;
    let (info, changes) = plan(backup_dir, &backups, until)?;
    catalog::verify_database(backup_dir, info)?;

    let mut changes = changes.into_iter();
    let restored = write(backup_dir, info, target_db, &mut changes)?;
    Ok(report(info, &restored, None, begun))
}

/// Restores a database from one full backup, and goes on with the logs for as long as they are
/// whole, are of one history, and hold no change that is corrupt in itself.
///
/// What is restored is not known to hold together: see [`check_consistency`]. As with
/// [`restore_point_in_time`] it is a standby that follows nobody.
///
/// # Errors
///
/// When the target is not empty, or the full backup is damaged.
pub fn restore_clean(
    backup_dir: &Path,
    info: &BackupInfo,
    target_db: &Path,
) -> Result<RestoreReport, BackupError> {
    let begun = Instant::now();
    require_empty(target_db)?;
    catalog::verify_database(backup_dir, info)?;
    let mut logs = Logs::after(backup_dir, info)?;
    let restored = write(backup_dir, info, target_db, &mut logs)?;
    Ok(report(info, &restored, logs.stopped(), begun))
}

/// Looks whether a database that nobody uses holds together.
///
/// # Errors
///
/// When it cannot be looked at.
pub fn check_consistency(database: &Path) -> Result<Consistency, BackupError> {
    open_reader(database)
        .and_then(|connection| consistency(&connection))
        .map_err(BackupError::database(database))
}

/// Writes a full backup and changes into the target, which is there when it is whole.
fn write(
    backup_dir: &Path,
    info: &BackupInfo,
    target_db: &Path,
    changes: &mut dyn Iterator<Item = Change>,
) -> Result<Replayed, BackupError> {
    let unfinished = target_db.with_extension("restoring");
    durable::remove_database(&unfinished).map_err(BackupError::file(&unfinished))?;
    if let Some(parent) = target_db.parent() {
        std::fs::create_dir_all(parent).map_err(BackupError::file(parent))?;
    }
    let source = info.database_in(backup_dir);
    std::fs::copy(&source, &unfinished).map_err(BackupError::file(&source))?;
    let restored = replay(&unfinished, changes).map_err(BackupError::database(&unfinished))?;
    durable::publish(&unfinished, target_db).map_err(BackupError::file(target_db))?;
    Ok(restored)
}

fn report(
    info: &BackupInfo,
    restored: &Replayed,
    stopped: Option<String>,
    begun: Instant,
) -> RestoreReport {
    let Replayed { state, changes } = restored;
    RestoreReport {
        backup: info.file.clone(),
        backup_lsn: info.lsn,
        replayed: *changes,
        lsn: state.lsn,
        epoch: state.lsn_epoch,
        known_epoch: state.epoch,
        changed_at_ms: state.changed_at_ms,
        bytes: info.bytes,
        stopped,
        duration_ms: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
    }
}

/// The newest backup from which the point can be reached, and the changes that lead there.
fn plan<'a>(
    directory: &Path,
    backups: &'a [BackupInfo],
    until: Until,
) -> Result<(&'a BackupInfo, Vec<Change>), BackupError> {
    let mut available = Vec::new();
    for (place, info) in backups.iter().enumerate().rev() {
        let in_time = match until {
            Until::Latest => true,
            Until::Lsn(lsn) => info.lsn <= lsn,
            Until::AtMs(at_ms) => info.changed_at_ms <= at_ms,
        };
        if !in_time {
            available.push(format!("{} begins at lsn {}", info.file, info.lsn));
            continue;
        }
        let mut changes = chain(directory, &backups[place..])?;
        let end = changes.last().map_or(info.lsn, |last| last.lsn);
        match until {
            Until::Lsn(lsn) if lsn > end => {
                available.push(format!("{} ends at lsn {end}", info.file));
                continue;
            }
            Until::Lsn(lsn) => changes.retain(|change| change.lsn <= lsn),
            Until::AtMs(at_ms) => changes.retain(|change| change.at_ms <= at_ms),
            Until::Latest => {}
        }
        return Ok((info, changes));
    }
    if available.is_empty() {
        available.push("there is none".to_owned());
    }
    Err(BackupError::OutOfReach {
        directory: directory.to_owned(),
        point: until.to_string(),
        available: available.join("; "),
    })
}

/// All changes that the logs hold on from the first backup, as long as they are of one history.
fn chain(directory: &Path, backups: &[BackupInfo]) -> Result<Vec<Change>, BackupError> {
    let mut changes: Vec<Change> = Vec::new();
    let mut end: Option<(u64, u64)> = None;
    for info in backups {
        if end.is_some_and(|end| end != (info.lsn, info.epoch)) {
            break;
        }
        let log = info.log_in(directory);
        let next = segment::read(&log)?;
        if next.first().is_some_and(|first| first.lsn != info.lsn + 1) {
            let reason = format!("it does not go on from lsn {}", info.lsn);
            return Err(BackupError::damaged(&log, reason));
        }
        changes.extend(next);
        end = Some(changes.last().map_or((info.lsn, info.epoch), |last| (last.lsn, last.epoch)));
    }
    Ok(changes)
}

/// The state of a restored site, and how many changes were carried out again.
struct Replayed {
    state: SiteState,
    changes: u64,
}

fn replay(
    database: &Path,
    changes: &mut dyn Iterator<Item = Change>,
) -> Result<Replayed, StoreError> {
    let mut connection = open_writer(database)?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut carried_out = 0;
    for change in changes {
        change.record(&transaction)?;
        carried_out += 1;
    }
    let (lsn, lsn_epoch, changed_at_ms) = last_change(&transaction)?;
    let known = SiteState::load(&transaction)?.map_or(0, |state| state.epoch);
    let restored = SiteState {
        role: Role::Standby,
        epoch: known.max(lsn_epoch),
        fenced: false,
        source: None,
        leader_url: None,
        synchronous: Vec::new(),
        peer: None,
        clock: 0,
        lsn,
        lsn_epoch,
        changed_at_ms,
        stream: 0,
    };
    restored.save(&transaction)?;
    transaction.commit()?;
    check(&connection)?;
    connection.pragma_update(None, "journal_mode", "DELETE")?;
    connection.close().map_err(|(_, error)| error)?;
    Ok(Replayed { state: restored, changes: carried_out })
}

fn check(connection: &Connection) -> Result<(), StoreError> {
    let verdict: String =
        connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    if verdict == "ok" {
        Ok(())
    } else {
        Err(StoreError::Conflict(format!("integrity check: {verdict}")))
    }
}

fn require_empty(target: &Path) -> Result<(), BackupError> {
    for suffix in ["", "-wal", "-journal"] {
        let mut name = target.as_os_str().to_owned();
        name.push(suffix);
        let path = Path::new(&name);
        if std::fs::metadata(path).is_ok_and(|found| found.len() > 0 || found.is_dir()) {
            return Err(BackupError::TargetNotEmpty { path: path.to_owned() });
        }
    }
    Ok(())
}

impl fmt::Display for Until {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Latest => formatter.write_str("the latest change"),
            Self::Lsn(lsn) => write!(formatter, "lsn {lsn}"),
            Self::AtMs(at_ms) => write!(formatter, "{at_ms} ms since 1970"),
        }
    }
}
