//! Taking backups for ever.

use std::path::Path;
use std::time::{Duration, Instant};

use super::segment::Segment;
use super::{BackupConfig, BackupError, BackupInfo, catalog, full};
use crate::durable;
use crate::node::{LabError, log};
use crate::store::{Change, StoreError, open_reader};

/// Changes that are appended and flushed together, at most.
const BATCH: usize = 1_000;
/// Bytes of payload that are appended and flushed together, after the first change.
const BATCH_BYTES: usize = 16 * 1024 * 1024;

/// Takes the backups of one site.
#[derive(Debug)]
pub(super) struct Agent {
    config: BackupConfig,
    current: Option<Current>,
}

/// The newest full backup and the log that goes on from it.
#[derive(Debug)]
struct Current {
    info: BackupInfo,
    segment: Segment,
    /// The newest change that is safe, to notice when the site's history was replaced.
    lsn: u64,
    epoch: u64,
    taken: Instant,
}

impl Agent {
    /// Goes on from the newest backup in the directory, which is made when it is missing.
    pub(super) fn new(config: BackupConfig) -> Result<Self, LabError> {
        let directory = &config.directory;
        std::fs::create_dir_all(directory)
            .map_err(LabError::io(format!("make the backup directory {}", directory.display())))?;
        let current = match catalog::list_backups(directory)?.pop() {
            Some(info) => resume(directory, info),
            None => None,
        };
        Ok(Self { config, current })
    }

    pub(super) fn directory(&self) -> &Path {
        &self.config.directory
    }

    /// Takes backups for ever; one that fails is said once and tried again.
    pub(super) fn run(mut self) {
        let pause = Duration::from_millis(self.config.log_interval_ms.min(self.config.interval_ms));
        let mut last_failure = String::new();
        loop {
            match self.turn() {
                Ok(()) => last_failure.clear(),
                Err(error) => {
                    let failure = error.to_string();
                    if failure != last_failure {
                        log("backup", &failure);
                        last_failure = failure;
                    }
                }
            }
            std::thread::sleep(pause);
        }
    }

    fn turn(&mut self) -> Result<(), BackupError> {
        let interval = Duration::from_millis(self.config.interval_ms);
        let goes_on = self.append_log()?;
        let due = self.current.as_ref().is_none_or(|current| current.taken.elapsed() >= interval);
        if due || !goes_on {
            self.take_full()?;
        }
        Ok(())
    }

    /// Appends what is new, and tells whether the site's history still goes on from the log's.
    fn append_log(&mut self) -> Result<bool, BackupError> {
        let database = &self.config.database;
        let Some(current) = &mut self.current else {
            return Ok(false);
        };
        let connection = open_reader(database).map_err(BackupError::database(database))?;
        loop {
            // The last safe change is read too: it must still be the one that was saved.
            let after = current.lsn.saturating_sub(1);
            let mut changes =
                Change::between(&connection, (after, u64::MAX >> 1), BATCH, BATCH_BYTES)
                    .map_err(BackupError::database(database))?;
            if current.lsn > 0 {
                if changes
                    .first()
                    .is_none_or(|first| first.lsn != current.lsn || first.epoch != current.epoch)
                {
                    return Ok(false);
                }
                changes.remove(0);
            }
            let Some(last) = changes.last() else {
                return Ok(true);
            };
            let (lsn, epoch) = (last.lsn, last.epoch);
            current.segment.append(&changes)?;
            (current.lsn, current.epoch) = (lsn, epoch);
        }
    }

    fn take_full(&mut self) -> Result<(), BackupError> {
        let directory = &self.config.directory;
        let not_before_ms = self.current.as_ref().map_or(0, |current| current.info.taken_at_ms + 1);
        let info = full::take(&self.config.site, &self.config.database, directory, not_before_ms)?;
        let segment = Segment::create(&info.log_in(directory))?;
        self.bring_up_to(&info)?;
        let (lsn, epoch) = (info.lsn, info.epoch);
        self.current = Some(Current { info, segment, lsn, epoch, taken: Instant::now() });
        prune(&self.config.directory, self.config.keep.max(1))
    }

    /// Lets the old log end where the new backup begins, so that an older backup is good for all
    /// that the newer ones hold.
    fn bring_up_to(&mut self, info: &BackupInfo) -> Result<(), BackupError> {
        let Some(current) = &mut self.current else {
            return Ok(());
        };
        let path = info.database_in(&self.config.directory);
        let read = |after| {
            let copy = open_reader(&path)?;
            let anchor = if after == 0 { None } else { Change::at(&copy, after)? };
            let changes = Change::between(&copy, (after, info.lsn), usize::MAX, usize::MAX)?;
            Ok::<_, StoreError>((anchor, changes))
        };
        let (anchor, changes) = read(current.lsn).map_err(BackupError::database(&path))?;
        if current.lsn == 0 || anchor.is_some_and(|anchor| anchor.epoch == current.epoch) {
            current.segment.append(&changes)?;
        }
        Ok(())
    }
}

/// The newest backup and its log as an earlier run left them, where they can be gone on with.
fn resume(directory: &Path, info: BackupInfo) -> Option<Current> {
    let path = info.log_in(directory);
    match Segment::reopen(&path) {
        Ok((segment, changes)) => {
            let last = changes.last();
            let (lsn, epoch) = last.map_or((info.lsn, info.epoch), |last| (last.lsn, last.epoch));
            Some(Current { info, segment, lsn, epoch, taken: Instant::now() })
        }
        Err(error) => {
            log("backup", format_args!("a new full backup is taken, because {error}"));
            None
        }
    }
}

/// Removes all but the newest backups; the sidecar goes first, so that no half of one counts.
fn prune(directory: &Path, keep: usize) -> Result<(), BackupError> {
    let mut backups = catalog::list_backups(directory)?;
    backups.truncate(backups.len().saturating_sub(keep));
    for info in backups {
        let files =
            [info.sidecar_in(directory), info.database_in(directory), info.log_in(directory)];
        for path in files {
            durable::remove(&path).map_err(BackupError::file(&path))?;
        }
    }
    Ok(())
}
