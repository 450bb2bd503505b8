//! A backup: all sources at once, then to all destinations at once, then what is superfluous goes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use drdrill_core::backup_plan::{BackupPlan, Origin, Source};
use serde::Serialize;

use crate::archive::{SourceAt, Trust};
use crate::keep::{chain, sources, superfluous};
use crate::point::{Extent, FORMAT, OriginKind, Outcome, Point, SourceEntry, name_at, time};
use crate::source::{Base, Job, kind, take};
use crate::store::{Store, Written, read_point};
use crate::trouble::Trouble;
use crate::{machine, now_ms, restore};

/// A destination, or why it cannot be used.
#[derive(Clone, Debug)]
pub struct At {
    /// Its name in the plan.
    pub name: String,
    /// Where points of the plan are kept there.
    pub store: Result<Arc<dyn Store>, String>,
}

/// What a backup needs.
pub struct Run<'a> {
    /// The plan.
    pub plan: &'a BackupPlan,
    /// Its destinations.
    pub at: Vec<At>,
    /// An empty directory for what is packed, and for test restores.
    pub staging: &'a Path,
    /// Directories that must not be backed up themselves, with all links in their paths followed.
    pub ours: Vec<PathBuf>,
    /// Whether to go on also where another machine has written.
    pub any_machine: bool,
    /// Whether everything is to be backed up, whatever the plan says.
    pub full: bool,
    /// What programs may be started.
    pub trust: Trust,
}

/// What became of a backup.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The restore point; `None` when no source could be backed up, so that there is none.
    pub point: Option<String>,
    /// What became of the sources.
    pub sources: Vec<SourceEntry>,
    /// What became of the destinations.
    pub destinations: Vec<Stored>,
}

/// What became of a destination.
#[derive(Clone, Debug, Serialize)]
pub struct Stored {
    /// Its name in the plan.
    pub name: String,
    /// Why it does not have the point.
    pub failed: Option<String>,
    /// Bytes that were written and read back.
    pub bytes: u64,
    /// How long that took, in milliseconds.
    pub took_ms: u64,
    /// Points that were removed.
    pub removed: Vec<String>,
    /// Why what could be removed was not.
    pub not_removed: Option<String>,
}

impl Report {
    /// Whether every source is at every destination, and what should go is gone.
    #[must_use]
    pub fn is_good(&self) -> bool {
        let sources = self.sources.iter().all(|entry| matches!(entry.outcome, Outcome::Done(_)));
        let mut stored = self.destinations.iter();
        sources && stored.all(|one| one.failed.is_none() && one.not_removed.is_none())
    }
}

/// A destination that can be used, and the points that are there.
struct Usable {
    store: Arc<dyn Store>,
    points: Vec<Point>,
}

/// Runs a backup. What fails is in the report.
#[must_use]
pub fn run(run: &Run<'_>) -> Report {
    let looked = run.at.iter().map(look_at);
    let looked = looked.map(|one| one.and_then(|one| ours(one, run.any_machine)));
    let usable: Vec<Result<Usable, String>> = looked.collect();
    let began = now_ms();
    let name = name_at(began);
    let usable: Vec<_> =
        usable.into_iter().map(|one| one.and_then(|one| none_later(one, &name, began))).collect();
    if usable.iter().all(Result::is_err) {
        // Nothing is read that could not be written anywhere.
        let failed = |(at, usable): (&At, Result<Usable, String>)| {
            Stored::failed(at.name.clone(), usable.err().unwrap_or_default())
        };
        let destinations = run.at.iter().zip(usable).map(failed).collect();
        return Report { point: None, sources: Vec::new(), destinations };
    }
    let entries = take_all(run, &name, &usable);
    let point = Point {
        format: FORMAT.to_owned(),
        plan: run.plan.backup.clone(),
        point: name,
        tool: env!("CARGO_PKG_VERSION").to_owned(),
        machine: machine(),
        sources: entries,
    };
    let any = point.sources.iter().any(|entry| matches!(entry.outcome, Outcome::Done(_)));
    let destinations = thread::scope(|scope| {
        let stored = |(at, usable): (&At, &Result<Usable, String>)| {
            let (name, point) = (at.name.clone(), &point);
            let usable =
                usable.as_ref().map(|usable| (usable.store.clone(), usable.points.clone()));
            let usable = usable.map_err(Clone::clone);
            (name.clone(), scope.spawn(move || store(run, name, usable, point, any)))
        };
        let threads: Vec<_> = run.at.iter().zip(&usable).map(stored).collect();
        let joined = threads.into_iter().map(|(name, thread)| {
            thread.join().unwrap_or_else(|_| Stored::failed(name, "a bug: it panicked".to_owned()))
        });
        joined.collect()
    });
    Report { point: any.then_some(point.point), sources: point.sources, destinations }
}

/// Refuses a destination at which another machine's points are: what one removes the other one may still go on from.
fn ours(usable: Usable, any_machine: bool) -> Result<Usable, String> {
    let own = machine();
    match usable.points.iter().find(|point| point.machine != own) {
        Some(other) if !any_machine => Err(format!(
            "{} was written by another machine ({}; this one is {own}): give each a prefix or directory of its own, or, \
             when this one has taken its place, --any-machine",
            other.point, other.machine
        )),
        _ => Ok(usable),
    }
}

/// Refuses a destination with a point that was written later than now: by its name the new one would be the older one.
fn none_later(usable: Usable, name: &str, now_ms: u64) -> Result<Usable, String> {
    match usable.points.iter().map(|point| &point.point).max() {
        Some(newest) if newest.as_str() >= name => Err(format!(
            "the clock says {}, and there is already a restore point {newest}: set the clock; or, if this point was \
             written with a wrong clock, move it away",
            time(now_ms)
        )),
        _ => Ok(usable),
    }
}

fn look_at(at: &At) -> Result<Usable, String> {
    let store = at.store.clone()?;
    store.tidy()?;
    let names = store.points()?;
    // Those that are damaged are nothing to go on from, and not ours to remove.
    let points = names.iter().filter_map(|name| read_point(&*store, name).ok()).collect();
    Ok(Usable { store, points })
}

/// Backs up all sources at once.
fn take_all(run: &Run<'_>, name: &str, usable: &[Result<Usable, String>]) -> Vec<SourceEntry> {
    thread::scope(|scope| {
        let taken = |source| {
            let usable: Vec<(Arc<dyn Store>, Vec<Point>)> = usable
                .iter()
                .flatten()
                .map(|one| (one.store.clone(), one.points.clone()))
                .collect();
            let thread = scope.spawn(move || {
                let base = base(run, source, &usable);
                let had = had(source, &usable);
                let (staging, ours, trust) = (run.staging, &run.ours[..], &run.trust);
                take(Job { source, point: name, base, had, staging, ours, trust })
            });
            (source, thread)
        };
        let threads: Vec<_> = run.plan.sources.iter().map(taken).collect();
        let joined = threads.into_iter().map(|(source, thread)| {
            thread.join().unwrap_or_else(|_| SourceEntry {
                name: source.name.clone(),
                origin: kind(&source.from),
                outcome: Outcome::Failed { reason: "a bug: it panicked".to_owned() },
            })
        });
        joined.collect()
    })
}

/// How many files the newest backup of a source has.
fn had(source: &Source, usable: &[(Arc<dyn Store>, Vec<Point>)]) -> u64 {
    let points = usable.iter().flat_map(|(_, points)| points);
    let done = points.filter_map(|point| Some((&point.point, point.done(&source.name)?.files)));
    done.max().map_or(0, |(_, files)| files)
}

/// What an incremental backup goes on from: the newest that is at every destination that can be used, with everything
/// that it needs itself.
fn base(run: &Run<'_>, source: &Source, usable: &[(Arc<dyn Store>, Vec<Point>)]) -> Option<Base> {
    let (Some(full_every), false, Origin::Files(_)) = (run.plan.full_every, run.full, &source.from)
    else {
        return None;
    };
    let (store, points) = usable.first()?;
    let mut candidates: Vec<&Point> = points.iter().collect();
    candidates.sort_by(|a, b| b.point.cmp(&a.point));
    candidates.into_iter().find_map(|point| {
        let entry = point.entry(&source.name)?;
        let done = point.done(&source.name).filter(|_| entry.origin == OriginKind::Files)?;
        for (_, points) in usable {
            // The same point everywhere, byte for byte.
            points.iter().find(|other| *other == point)?;
            let chain = chain(points, point, &source.name);
            let full =
                chain.last()?.done(&source.name).filter(|done| done.extent == Extent::Full)?;
            let age = Duration::from_millis(now_ms().saturating_sub(full.began_ms));
            (age < full_every.0).then_some(())?;
        }
        let tree = restore::list(&**store, point, done).ok()?;
        Some(Base { point: point.point.clone(), began_ms: done.began_ms, tree })
    })
}

impl Stored {
    fn failed(name: String, why: String) -> Self {
        Self {
            name,
            failed: Some(why),
            bytes: 0,
            took_ms: 0,
            removed: Vec::new(),
            not_removed: None,
        }
    }
}

fn store(
    run: &Run<'_>,
    name: String,
    usable: Result<(Arc<dyn Store>, Vec<Point>), String>,
    point: &Point,
    any: bool,
) -> Stored {
    let (store, mut points) = match usable {
        Ok(usable) => usable,
        Err(why) => return Stored::failed(name, why),
    };
    if !any {
        return Stored::failed(name, "no source could be backed up".to_owned());
    }
    let began = Instant::now();
    let written = Written::of(point).and_then(|written| store.put(run.staging, &written));
    if let Err(why) = written {
        return Stored::failed(name, why);
    }
    let took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    points.push(point.clone());
    let (removed, not_removed) = match prune(run, &name, &store, &points) {
        Ok(removed) => (removed, None),
        Err((removed, why)) => (removed, Some(why)),
    };
    let bytes = point.objects().map(|object| object.bytes).sum();
    Stored { name, failed: None, bytes, took_ms, removed, not_removed }
}

/// Removes what need not be kept, once a point that stays was seen to be clean for each source that loses one.
fn prune(
    run: &Run<'_>,
    at: &str,
    store: &Arc<dyn Store>,
    points: &[Point],
) -> Result<Vec<String>, (Vec<String>, String)> {
    let superfluous = superfluous(points, run.plan.keep, now_ms());
    let (gone, stays): (Vec<Point>, Vec<Point>) =
        points.iter().cloned().partition(|point| superfluous.contains(&point.point));
    let mut removed = Vec::new();
    for source in sources(&gone) {
        clean_one(run, at, store, source, &stays).map_err(|why| (Vec::new(), why))?;
    }
    for name in superfluous {
        store.remove(&name).map_err(|why| (removed.clone(), why))?;
        removed.push(name);
    }
    Ok(removed)
}

/// Sees that one of the points that stay is clean.
fn clean_one(
    run: &Run<'_>,
    at: &str,
    store: &Arc<dyn Store>,
    source: &str,
    stays: &[Point],
) -> Result<(), String> {
    let check =
        run.plan.sources.iter().find(|one| one.name == source).and_then(|one| one.check.clone());
    let archive = SourceAt::new(store.clone(), source, check, run.trust.clone());
    let newest_first: BTreeMap<_, _> = stays
        .iter()
        .filter(|point| point.done(source).is_some())
        .map(|point| (std::cmp::Reverse(&point.point), point))
        .collect();
    let scratch = run.staging.join(format!("test-{at}"));
    std::fs::create_dir_all(&scratch).map_err(|error| format!("{}: {error}", scratch.display()))?;
    let mut unfit = BTreeSet::new();
    for point in newest_first.into_values() {
        match archive.prove(&point.point, &scratch) {
            Ok(()) => return Ok(()),
            // No reason to look at an older one, which may be clean where that one is not.
            Err(Trouble::Hindered(why)) => {
                return Err(format!("nothing was removed: {} of {source}: {why}", point.point));
            }
            Err(Trouble::Unusable(why)) => unfit.insert(format!("{}: {why}", point.point)),
        };
    }
    let unfit: Vec<String> = unfit.into_iter().collect();
    Err(format!(
        "nothing was removed: no restore point of {source} that would stay is clean: {}",
        unfit.join("; ")
    ))
}
