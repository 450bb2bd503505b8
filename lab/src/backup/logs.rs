//! The logs on from one full backup, as far as they can be trusted.

use std::path::{Path, PathBuf};

use super::catalog::{self, Found};
use super::segment::Changes;
use super::{BackupError, BackupInfo};
use crate::store::Change;

/// The changes after a full backup, one after the other. They end where a log is damaged or missing, where another history
/// begins, or before a change that is corrupt in itself.
#[derive(Debug)]
pub(super) struct Logs {
    directory: PathBuf,
    /// Later backups, the next one last.
    later: Vec<Found>,
    log: Option<Changes>,
    /// Place and epoch of the newest change.
    end: (u64, u64),
    stopped: Option<String>,
}

impl Logs {
    /// The logs on from `info`.
    pub(super) fn after(directory: &Path, info: &BackupInfo) -> Result<Self, BackupError> {
        let mut later = catalog::survey_backups(directory)?;
        later.retain(|found| {
            Path::new(&info.file).file_stem().is_some_and(|own| *own < *found.name)
        });
        let log = Some(Changes::open(&info.log_in(directory))?);
        let directory = directory.to_owned();
        Ok(Self { directory, later, log, end: (info.lsn, info.epoch), stopped: None })
    }

    /// Why they end, where there is more behind.
    pub(super) fn stopped(self) -> Option<String> {
        self.stopped
    }

    fn stop(&mut self, why: impl Into<String>) -> Option<Change> {
        self.stopped = Some(why.into());
        (self.log, self.later) = (None, Vec::new());
        None
    }

    fn accept(&mut self, change: Change) -> Option<Change> {
        let (end, _) = self.end;
        if change.lsn != end + 1 {
            let why =
                format!("change {} follows change {end}: those between are missing", change.lsn);
            return self.stop(why);
        }
        if let Err(why) = change.is_sound() {
            let why = format!("change {} is corrupt in itself: {why}", change.lsn);
            return self.stop(why);
        }
        self.end = (change.lsn, change.epoch);
        Some(change)
    }

    /// Goes on with the log of the next backup; false when there is none, or none that goes on from here.
    fn next_log(&mut self) -> bool {
        let Some(found) = self.later.pop() else { return false };
        if let Ok(info) = &found.info
            && (info.lsn, info.epoch) != self.end
        {
            let (end, _) = self.end;
            let why = format!("{} begins at change {}, not at {end}", found.name, info.lsn);
            self.stop(why);
            return false;
        }
        let path = self.directory.join(&found.name).with_extension("log");
        match Changes::open(&path) {
            Ok(log) => self.log = Some(log),
            Err(error) => {
                self.stop(error.to_string());
            }
        }
        self.log.is_some()
    }
}

impl Iterator for Logs {
    type Item = Change;

    fn next(&mut self) -> Option<Change> {
        loop {
            match self.log.as_mut()?.next() {
                Some(Ok(change)) => return self.accept(change),
                Some(Err(error)) => return self.stop(error.to_string()),
                None if self.next_log() => {}
                None => return None,
            }
        }
    }
}
