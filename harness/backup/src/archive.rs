//! One source at one destination, as the machinery knows backups: so it is verified as the backups of drills are.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use drdrill_core::backup::{Archive, Described, RestorePoint, Restored};
use drdrill_core::backup_plan::RestoredCheck;
use walkdir::WalkDir;

use crate::exec;
use crate::point::{Outcome, Point};
use crate::restore;
use crate::store::{self, Store, read_point};
use crate::trouble::Trouble;

/// Says whether a program may be started.
pub type Trust = Arc<dyn Fn(&Path) -> Result<(), String> + Send + Sync>;

/// The backups of one source at one destination.
#[derive(Clone)]
pub struct SourceAt {
    store: Arc<dyn Store>,
    source: String,
    check: Option<RestoredCheck>,
    trust: Trust,
}

impl std::fmt::Debug for SourceAt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SourceAt")
            .field("store", &self.store)
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}

impl SourceAt {
    /// The backups of `source`, of which what is restored is looked at by `check`.
    #[must_use]
    pub fn new(
        store: Arc<dyn Store>,
        source: &str,
        check: Option<RestoredCheck>,
        trust: Trust,
    ) -> Self {
        Self { store, source: source.to_owned(), check, trust }
    }

    /// What a point says of itself.
    ///
    /// # Errors
    /// When it is damaged.
    pub fn point(&self, name: &str) -> Result<Point, Trouble> {
        read_point(&*self.store, name)
    }

    /// Restores a point into `target`, which must not be there, and looks at what is there then.
    ///
    /// # Errors
    /// With what is wrong with it.
    pub fn restore_checked(&self, name: &str, target: &Path) -> Result<restore::Got, Trouble> {
        let got = restore::restore(&*self.store, &self.point(name)?, &self.source, target)?;
        self.looks_right(target)?;
        Ok(got)
    }

    /// Everything that verifying does but for the age: whether a point is clean.
    ///
    /// # Errors
    /// With what is wrong with it.
    pub fn prove(&self, name: &str, scratch: &Path) -> Result<(), Trouble> {
        let target = scratch.join(format!("{}-{name}", self.source));
        let proved = self.restore_checked(name, &target).map(drop);
        restore::open_up(&target);
        // The scratch directory goes as a whole in the end; meanwhile it should not fill up.
        let _ = std::fs::remove_dir_all(&target);
        let _ = std::fs::remove_file(&target);
        proved
    }

    fn looks_right(&self, restored: &Path) -> Result<(), Trouble> {
        let Some(check) = &self.check else { return Ok(()) };
        let path = restored
            .to_str()
            .ok_or_else(|| "the path of what was restored is not UTF-8".to_owned())?;
        let (timeout, check) = (check.timeout.0, check.of(path));
        let program = check.command.first().map_or("", String::as_str);
        (self.trust)(Path::new(program))?;
        let mut said = Vec::new();
        let kept = |bytes: &[u8]| {
            let room = MOST_SAID.saturating_sub(said.len());
            said.extend_from_slice(bytes.get(..bytes.len().min(room)).unwrap_or_default());
            Ok(())
        };
        exec::run(&check.command, timeout, kept)
            .map_err(|trouble| trouble.with(|why| format!("its check: {why}")))?;
        match &check.output_contains {
            Some(wanted) if !String::from_utf8_lossy(&said).contains(wanted.as_str()) => {
                Err(Trouble::Unusable(format!("its check printed no `{wanted}`")))
            }
            _ => Ok(()),
        }
    }
}

/// So much of what a check prints is looked at, in bytes.
const MOST_SAID: usize = 64 * 1024;

impl Archive for SourceAt {
    fn place(&self) -> String {
        self.store.place()
    }

    fn points(&self) -> Result<Vec<RestorePoint>, String> {
        let mut points = Vec::new();
        for name in self.store.points()?.into_iter().rev() {
            let described = match self.point(&name) {
                Err(why) => Err(why.into()),
                Ok(point) => match point.entry(&self.source).map(|entry| &entry.outcome) {
                    // It was not in the plan then.
                    None => continue,
                    Some(Outcome::Failed { reason }) => Err(format!("its backup failed: {reason}")),
                    Some(Outcome::Done(done)) => {
                        Ok(Described { taken_at_ms: done.began_ms, bytes: done.bytes, position: 0 })
                    }
                },
            };
            points.push(RestorePoint { name, full: PathBuf::new(), files: Vec::new(), described });
        }
        Ok(points)
    }

    fn newest_position(&self) -> Result<u64, String> {
        Ok(0)
    }

    fn check(&self, point: &RestorePoint) -> Result<u64, String> {
        let mut checked = 0;
        for one in restore::chain(&*self.store, &self.point(&point.name)?, &self.source)? {
            let Some(done) = one.done(&self.source) else { continue };
            for object in &done.objects {
                let wrong = |why: Trouble| {
                    if one.point == point.name {
                        why.to_string()
                    } else {
                        format!("it needs {}: {why}", one.point)
                    }
                };
                store::check(&*self.store, &one.point, object).map_err(wrong)?;
                checked += object.bytes;
            }
        }
        Ok(checked)
    }

    fn restore(&self, point: &RestorePoint, target: &Path) -> Result<Restored, String> {
        let described = point.described.clone()?;
        let point = self.point(&point.name)?;
        let got = restore::restore(&*self.store, &point, &self.source, target)?;
        Ok(Restored {
            bytes: got.bytes,
            replayed: got.incrementals,
            position: 0,
            reaches_ms: described.taken_at_ms,
            stopped: None,
            took: got.took,
        })
    }

    fn open_up(&self, restored: &Path) {
        restore::open_up(restored);
    }

    fn consistent(&self, restored: &Path) -> Result<u64, String> {
        self.looks_right(restored)?;
        // So that all of it can be counted, too.
        restore::open_up(restored);
        Ok(u64::try_from(WalkDir::new(restored).into_iter().count()).unwrap_or(u64::MAX))
    }
}
