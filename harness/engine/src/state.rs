//! The state directory: runs, locks, keys.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Name of the undo ledger inside the directory of a run that left nothing in place.
pub const LEDGER_FILE: &str = "undo.ledger";
/// Ending of the undo ledger of a run that may have something in place.
const OPEN_LEDGER: &str = ".ledger";

/// Ending of a ledger that is being made.
pub(crate) const HALF_MADE: &str = "new";
/// A ledger is made within milliseconds; one that is half made for so long was given up.
const HALF_MADE_FOR: Duration = Duration::from_mins(1);

/// The state directory: `$DRDRILL_STATE`, else `.drdrill` in the working directory.
#[derive(Clone, Debug)]
pub struct StateDir {
    root: PathBuf,
}

/// The state directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// It cannot be made or written to.
    #[error(
        "use the state directory {path}: {source} (set DRDRILL_STATE to a directory that can be written to)"
    )]
    Unusable {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Others could forge undo instructions in it.
    #[error(
        "use the state directory {path}: others can write to it, and what stands in an undo ledger is carried out \
         (run: chmod go-w {path})"
    )]
    WritableByOthers {
        /// The directory.
        path: PathBuf,
    },
}

impl StateDir {
    /// The state directory at `root`, which is not touched.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Makes the directory where it is missing, readable by its owner alone, and proves that it can be written to.
    ///
    /// # Errors
    /// When it cannot be made or written to, or when others can write to it.
    pub fn prepare(&self) -> Result<(), StateError> {
        let unusable = |source| StateError::Unusable { path: self.root.clone(), source };
        for dir in [self.root.clone(), self.runs(), self.locks(), self.ledgers()] {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(&dir).map_err(unusable)?;
        }
        self.trusted()?;
        let probe = self.root.join(format!(".writable-{}", std::process::id()));
        fs::write(&probe, b"x").map_err(unusable)?;
        fs::remove_file(&probe).map_err(unusable)
    }

    /// Refuses a directory in which others could forge undo instructions. One that is missing has none.
    ///
    /// # Errors
    /// When others can write to it.
    pub fn trusted(&self) -> Result<(), StateError> {
        for dir in [self.root.clone(), self.ledgers()] {
            match fs::symlink_metadata(&dir) {
                Ok(facts) if is_ours_alone(&facts) => {}
                Ok(_) => return Err(StateError::WritableByOthers { path: dir }),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(source) => return Err(StateError::Unusable { path: dir, source }),
            }
        }
        Ok(())
    }

    /// The directory itself.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Directory of all runs.
    #[must_use]
    pub fn runs(&self) -> PathBuf {
        self.root.join("runs")
    }

    /// Directory of one run.
    #[must_use]
    pub fn run(&self, run_id: &str) -> PathBuf {
        self.runs().join(run_id)
    }

    /// Directory of the runs that came from other machines: a directory of its own for each, as it was there, and beside it
    /// `RUN.json`, which says where it came from.
    #[must_use]
    pub fn imported(&self) -> PathBuf {
        self.root.join("imported")
    }

    /// Ids of the runs that came from other machines, oldest first.
    ///
    /// # Errors
    /// When the directory cannot be read; a missing one has no runs.
    pub fn imported_ids(&self) -> io::Result<Vec<String>> {
        let mut names = names_in(&self.imported())?;
        // Beside them are files, and what is being copied begins with a dot.
        names.retain(|name| !name.starts_with('.') && self.imported().join(name).is_dir());
        Ok(names)
    }

    /// What people said of findings. It is no cache: nothing makes it again.
    #[must_use]
    pub fn findings(&self) -> PathBuf {
        self.root.join("findings.jsonl")
    }

    /// The index of all runs: a cache, which may be removed.
    #[must_use]
    pub fn index(&self) -> PathBuf {
        self.root.join("history.db")
    }

    /// Directory of the undo ledgers of runs that may have something in place. A run that left nothing moves its ledger
    /// to its evidence, so that looking for leftovers costs nothing however many runs there were.
    #[must_use]
    pub fn ledgers(&self) -> PathBuf {
        self.root.join("undo")
    }

    /// The undo ledger of a run that may have something in place.
    #[must_use]
    pub fn ledger(&self, run_id: &str) -> PathBuf {
        self.ledgers().join(format!("{run_id}{OPEN_LEDGER}"))
    }

    /// Ids of the runs that may have something in place, oldest first.
    ///
    /// # Errors
    /// When the directory cannot be read; a missing one has no ledgers.
    pub fn open_ledgers(&self) -> io::Result<Vec<String>> {
        let names = names_in(&self.ledgers())?;
        Ok(names
            .iter()
            .filter_map(|name| name.strip_suffix(OPEN_LEDGER))
            .map(str::to_owned)
            .collect())
    }

    /// Removes ledgers that a run was killed over while it made them: nothing was touched yet.
    pub fn sweep(&self) {
        for name in names_in(&self.ledgers()).unwrap_or_default() {
            let path = self.ledgers().join(&name);
            let age =
                fs::metadata(&path).and_then(|facts| facts.modified()).map(|made| made.elapsed());
            let old = matches!(age, Ok(Ok(age)) if age > HALF_MADE_FOR);
            if name.ends_with(HALF_MADE) && old {
                // One that cannot be removed harms nobody.
                let _ = fs::remove_file(&path);
            }
        }
    }

    /// Directory of the locks.
    #[must_use]
    pub fn locks(&self) -> PathBuf {
        self.root.join("locks")
    }

    /// Ids of all runs, oldest first. Ids begin with their time, so that their order is their age.
    ///
    /// # Errors
    /// When the directory cannot be read; a missing one has no runs.
    pub fn run_ids(&self) -> io::Result<Vec<String>> {
        names_in(&self.runs())
    }
}

/// Names of the entries of a directory, sorted; none when it is missing.
fn names_in(directory: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?,
    };
    let mut names = Vec::new();
    for entry in entries {
        if let Ok(name) = entry?.file_name().into_string() {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// Whether a file belongs to this user and only this user can write to it.
pub(crate) fn is_ours_alone(facts: &fs::Metadata) -> bool {
    facts.permissions().mode() & 0o022 == 0 && facts.uid() == nix::unistd::geteuid().as_raw()
}

/// A new run id, such as `20261121-075631-3fa9c1d2`: sortable by age, unique, safe as a file name.
#[must_use]
pub fn new_run_id(now: chrono::DateTime<chrono::Utc>) -> String {
    let unique = uuid::Uuid::new_v4().simple().to_string();
    format!("{}-{}", now.format("%Y%m%d-%H%M%S"), &unique[..8])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_others_can_write_to_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::at(dir.path().join("state"));
        state.prepare().unwrap();
        fs::set_permissions(state.root(), fs::Permissions::from_mode(0o777)).unwrap();
        assert!(matches!(state.prepare(), Err(StateError::WritableByOthers { .. })));
        assert!(matches!(state.trusted(), Err(StateError::WritableByOthers { .. })));
    }

    #[test]
    fn a_file_in_the_way_is_an_error_that_names_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        fs::write(&path, b"").unwrap();
        let error = StateDir::at(&path).prepare().unwrap_err().to_string();
        assert!(error.contains(&path.display().to_string()), "{error}");
    }
}
