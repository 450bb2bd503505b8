//! The backups of a lab, as the machinery and the faults know backups.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use drdrill_core::backup::{Archive, Described, RestorePoint, Restored};
use drdrill_lab::backup::{
    BackupError, BackupInfo, check_consistency, newest_lsn, restore_clean, survey_backups,
    verify_backup,
};

/// A directory of backups that a lab has taken.
#[derive(Debug)]
pub(crate) struct LabArchive(PathBuf);

/// Endings of the files of a backup.
const ENDINGS: [&str; 3] = ["db", "json", "log"];

impl LabArchive {
    pub(crate) fn open(directory: &Path) -> Arc<dyn Archive> {
        Arc::new(Self(directory.to_owned()))
    }

    /// What is wrong, with names of files and not the way to them, which whoever asks knows.
    fn wrong(&self, error: &BackupError) -> String {
        error.to_string().replace(&format!("{}/", self.0.display()), "")
    }

    /// The description of a restore point as it stands there now.
    fn info(&self, point: &RestorePoint) -> Result<BackupInfo, String> {
        let found = survey_backups(&self.0).map_err(|error| error.to_string())?;
        let found = found.into_iter().find(|found| found.name == point.name);
        let found = found.ok_or_else(|| "it is not there any more".to_owned())?;
        found.info.map_err(|error| self.wrong(&error))
    }
}

impl Archive for LabArchive {
    fn place(&self) -> String {
        self.0.display().to_string()
    }

    fn points(&self) -> Result<Vec<RestorePoint>, String> {
        if !self.0.exists() {
            // Gone with whatever it was on.
            return Ok(Vec::new());
        }
        let found = survey_backups(&self.0).map_err(|error| error.to_string())?;
        let points = found.into_iter().map(|found| {
            let file = |ending: &&str| self.0.join(&found.name).with_extension(ending);
            let files = ENDINGS.iter().map(file).filter(|file| file.exists()).collect();
            let full = file(&ENDINGS[0]);
            let described = found.info.map_err(|error| self.wrong(&error));
            let described = described.map(|info| Described {
                taken_at_ms: info.taken_at_ms,
                bytes: info.bytes,
                position: info.lsn,
            });
            RestorePoint { name: found.name, full, files, described }
        });
        Ok(points.collect())
    }

    fn newest_position(&self) -> Result<u64, String> {
        newest_lsn(&self.0).map_err(|error| error.to_string())
    }

    fn check(&self, point: &RestorePoint) -> Result<u64, String> {
        verify_backup(&self.0, &self.info(point)?).map_err(|error| self.wrong(&error))
    }

    fn restore(&self, point: &RestorePoint, target: &Path) -> Result<Restored, String> {
        let info = self.info(point)?;
        let report = restore_clean(&self.0, &info, target).map_err(|error| self.wrong(&error))?;
        Ok(Restored {
            bytes: report.bytes,
            replayed: report.replayed,
            position: report.lsn,
            // Where nothing changes there is nothing newer than the backup itself.
            reaches_ms: report.changed_at_ms.max(info.taken_at_ms),
            stopped: report.stopped,
            took: Duration::from_millis(report.duration_ms),
        })
    }

    fn consistent(&self, restored: &Path) -> Result<u64, String> {
        let seen = check_consistency(restored).map_err(|error| error.to_string())?;
        if seen.problems.is_empty() { Ok(seen.entries) } else { Err(seen.problems.join("; ")) }
    }
}
