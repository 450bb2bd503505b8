//! Verifying backups (requirement C8): from the newest restore point back to the last one that is clean.

use std::fs;
use std::path::Path;
use std::time::Duration;

use drdrill_core::backup::{Archive, RestorePoint, Restored};
use drdrill_core::units::Span;

/// A restore point that was looked at and is not used.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Unfit {
    /// Its name.
    pub point: String,
    /// Why not.
    pub why: String,
}

/// The newest restore point that is clean.
#[derive(Clone, Debug, PartialEq)]
pub struct Clean {
    /// The point.
    pub point: RestorePoint,
    /// Bytes that were compared with checksums.
    pub checked: u64,
    /// What the test restore came to.
    pub restored: Restored,
    /// Rows that were looked at.
    pub rows: u64,
    /// How old the state is that it restores.
    pub age: Duration,
}

/// What a walk came to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Walk {
    /// Points that are not used, newest first.
    pub unfit: Vec<Unfit>,
    /// The first that is, where there is one.
    pub clean: Option<Clean>,
}

/// How to walk.
#[derive(Clone, Copy, Debug)]
pub struct Terms<'a> {
    /// The wall clock, in milliseconds since 1970.
    pub now_ms: u64,
    /// A state that is older is not used.
    pub max_age: Duration,
    /// A directory for test restores, which is made where it is missing.
    pub scratch: &'a Path,
}

/// Walks the restore points from the newest back to the first that is whole, young enough, can be restored, and holds
/// together once it is. Restores into the scratch directory, and removes that again.
///
/// # Errors
/// When the backups or the scratch directory cannot be looked at: that is no reason for an older state.
pub fn walk(archive: &dyn Archive, terms: Terms<'_>) -> Result<Walk, String> {
    let mut walk = Walk::default();
    for point in archive.points()? {
        match try_one(archive, &point, terms) {
            Ok(clean) => {
                walk.clean = Some(clean);
                break;
            }
            Err(why) => match archive.trouble() {
                Some(trouble) => return Err(trouble),
                None => walk.unfit.push(Unfit { point: point.name, why }),
            },
        }
    }
    Ok(walk)
}

fn try_one(archive: &dyn Archive, point: &RestorePoint, terms: Terms<'_>) -> Result<Clean, String> {
    point.described.clone()?;
    let checked = archive.check(point)?;
    let failed = |error: std::io::Error| format!("{}: {error}", terms.scratch.display());
    fs::create_dir_all(terms.scratch).map_err(failed)?;
    let target = terms.scratch.join(&point.name);
    let tried = test(archive, point, &target, terms);
    // Left over from a test restore that failed, or that is over.
    archive.open_up(&target);
    fs::remove_dir_all(terms.scratch).map_err(failed)?;
    let (restored, rows, age) = tried?;
    Ok(Clean { point: point.clone(), checked, restored, rows, age })
}

fn test(
    archive: &dyn Archive,
    point: &RestorePoint,
    target: &Path,
    terms: Terms<'_>,
) -> Result<(Restored, u64, Duration), String> {
    let restored = archive.restore(point, target)?;
    let age = Duration::from_millis(terms.now_ms.saturating_sub(restored.reaches_ms));
    if age > terms.max_age {
        let (age, most) = (Span(whole_seconds(age)), Span(terms.max_age));
        return Err(format!("it restores a state that is {age} old, and {most} is the limit"));
    }
    let rows = archive.consistent(target)?;
    Ok((restored, rows, age))
}

fn whole_seconds(time: Duration) -> Duration {
    Duration::from_secs(time.as_secs())
}

/// An amount of data for people, in millions of bytes.
#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
pub(super) fn megabytes(bytes: u64) -> String {
    format!("{:.3} MB", bytes as f64 / 1e6)
}

impl Walk {
    /// What was found, in a sentence or two.
    #[must_use]
    pub fn words(&self) -> String {
        let unfit: Vec<String> =
            self.unfit.iter().map(|unfit| format!("{}: {}", unfit.point, unfit.why)).collect();
        let passed_over = if unfit.is_empty() {
            String::new()
        } else {
            format!("; not usable: {}", unfit.join("; "))
        };
        match &self.clean {
            Some(clean) => format!("{} is clean: {}{passed_over}", clean.point.name, clean.words()),
            None if unfit.is_empty() => "there is no backup".to_owned(),
            None => format!("no restore point is usable: {}", unfit.join("; ")),
        }
    }
}

impl Clean {
    /// What was looked at.
    #[must_use]
    pub fn words(&self) -> String {
        let Restored { position, stopped, .. } = &self.restored;
        let stopped = stopped.as_ref().map_or_else(String::new, |why| format!(", as {why}"));
        format!(
            "{} have their checksums, {} rows hold together, change {position}, {} old{stopped}",
            megabytes(self.checked),
            self.rows,
            Span(whole_seconds(self.age)),
        )
    }
}
