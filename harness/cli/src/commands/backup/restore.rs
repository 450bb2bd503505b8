//! `drdrill restore PLAN --to DIR`: each source from its newest usable restore point, wherever that is.

use std::cmp::Reverse;
use std::path::Path;
use std::time::Duration;

use drdrill_backup::archive::SourceAt;
use drdrill_backup::now_ms;
use drdrill_backup::point::{OriginKind, name_at, time};
use drdrill_backup::restore::{Got, Target};
use drdrill_backup::trouble::Trouble;
use drdrill_core::names::known_names;
use drdrill_core::units::Span;
use drdrill_reports::figures;
use serde::Serialize;
use tabled::Tabled;

use super::amount;
use super::plan::{For, Opened, open};
use super::run::milliseconds;
use crate::args::{Format, RestoreArgs};
use crate::commands::list::table;
use crate::exit::{Code, Failure, Outcome};
use crate::out;

#[derive(Serialize)]
struct Report {
    plan: String,
    to: std::path::PathBuf,
    sources: Vec<Restored>,
}

#[derive(Serialize)]
struct Restored {
    source: String,
    point: String,
    from: String,
    /// Reading this state began then, in milliseconds since 1970: what was written later may be missing.
    state_ms: u64,
    files: u64,
    bytes: u64,
    took_ms: u64,
    bytes_per_second: Option<u64>,
    incrementals: u64,
    owners_not_kept: u64,
    /// Newer ones that could not be used.
    passed_over: Vec<String>,
}

/// A restore point that may be used.
struct Candidate {
    point: String,
    /// The destination.
    from: String,
    archive: SourceAt,
    state_ms: u64,
    origin: OriginKind,
}

/// Restores the sources of a plan into an empty directory.
pub(super) fn restore(args: &RestoreArgs) -> Outcome {
    let opened = open(&args.directory, For::Reading)?;
    let sources: Vec<&str> =
        opened.plan.sources.iter().map(|source| source.name.as_str()).collect();
    let wanted = known("source", args.source.as_deref(), &sources)?;
    let places: Vec<&str> = opened.plan.destinations.iter().map(|one| one.name.as_str()).collect();
    let from = known("destination", args.from.as_deref(), &places)?;
    let not_ready = |why: String| Failure::new(Code::NotReady, why);
    let to = std::path::absolute(&args.to).map_err(|error| not_ready(error.to_string()))?;
    let target = Target::empty(&to).map_err(not_ready)?;
    let mut restored = Vec::new();
    for source in sources.iter().filter(|name| wanted.is_none_or(|wanted| wanted == **name)) {
        match one(&opened, source, from, args, &target) {
            Ok(one) => restored.push(one),
            Err(Failed { code, why }) => {
                target.abandon();
                let others = if sources.len() > 1 {
                    " (nothing was restored; one source alone: --source NAME)"
                } else {
                    ""
                };
                return Err(Failure::new(code, format!("{source}: {why}{others}")));
            }
        }
    }
    target.flush().and_then(|()| target.finish(wanted)).map_err(not_ready)?;
    let report =
        Report { plan: opened.plan.backup.clone(), to: args.to.clone(), sources: restored };
    if args.format.format == Format::Json {
        out::json(&report);
    } else {
        print(&report);
    }
    Ok(Code::Passed)
}

/// A name that somebody gave, when it is one of those.
fn known<'a>(
    what: &str,
    given: Option<&'a str>,
    names: &[&str],
) -> Result<Option<&'a str>, Failure> {
    match given {
        Some(name) if !names.contains(&name) => {
            let known = known_names(name, names.iter().copied());
            Err(Failure::new(Code::Usage, format!("the plan has no {what} `{name}`; {known}")))
        }
        given => Ok(given),
    }
}

/// Why a source cannot be restored.
struct Failed {
    code: Code,
    why: String,
}

impl From<String> for Failed {
    fn from(why: String) -> Self {
        Self { code: Code::NotReady, why }
    }
}

/// What may be used, and what could not be looked at, from which nothing follows.
#[derive(Default)]
struct Found {
    candidates: Vec<Candidate>,
    passed_over: Vec<String>,
    /// The name of the point, and why; no name for all points of a destination.
    unknown: Vec<(Option<String>, String)>,
}

impl Found {
    fn add(&mut self, point: &str, from: &str, trouble: Trouble) {
        match trouble {
            Trouble::Unusable(why) => {
                self.passed_over.push(format!("{point} of {from} is not usable: {why}"));
            }
            Trouble::Hindered(why) => self.unknown.push((
                Some(point.to_owned()),
                format!("{point} of {from} cannot be restored now: {why}"),
            )),
        }
    }

    /// Why a point of this name must not be restored, or nothing at all without one: a newer one may well be good.
    fn hindered(&self, point: Option<&str>) -> Option<Failed> {
        let newer = |name: &Option<String>| match (name, point) {
            (Some(name), Some(point)) => name.as_str() > point,
            _ => true,
        };
        let (_, why) = self.unknown.iter().find(|(name, _)| newer(name))?;
        Some(Failed::from(format!(
            "{why}; that is no reason to restore an older state: try again, or choose with --from or --at"
        )))
    }
}

/// Restores one source from the newest point that can be used. One that is damaged is passed over. One of which nothing
/// is known, because a disk is full or a service does not answer, is not: then nothing is restored.
fn one(
    opened: &Opened,
    source: &str,
    from: Option<&str>,
    args: &RestoreArgs,
    target: &Target<'_>,
) -> Result<Restored, Failed> {
    let mut found = candidates(opened, source, from, args);
    for candidate in std::mem::take(&mut found.candidates) {
        // The same point at another destination is as good.
        if let Some(failed) = found.hindered(Some(&candidate.point)) {
            return Err(failed);
        }
        let place = target.place(&file_name(source, candidate.origin));
        let name = file_name(source, candidate.origin);
        match restore_one(&candidate, &place, args.max_age) {
            Ok(got) => {
                let took_ms = u64::try_from(got.took.as_millis()).unwrap_or(u64::MAX);
                let same = |(name, _): &(Option<String>, String)| {
                    name.as_ref().is_some_and(|name| *name == candidate.point)
                };
                let elsewhere = found.unknown.into_iter().filter(same).map(|(_, why)| why);
                found.passed_over.extend(elsewhere);
                return Ok(Restored {
                    source: source.to_owned(),
                    point: candidate.point,
                    from: candidate.from,
                    state_ms: candidate.state_ms,
                    files: got.files,
                    bytes: got.bytes,
                    took_ms,
                    bytes_per_second: got.bytes.saturating_mul(1000).checked_div(took_ms),
                    incrementals: got.incrementals,
                    owners_not_kept: got.owners_not_kept,
                    passed_over: found.passed_over,
                });
            }
            Err(trouble) => {
                found.add(&candidate.point, &candidate.from, trouble);
                target.clear(&name)?;
            }
        }
    }
    if let Some(failed) = found.hindered(None) {
        return Err(failed);
    }
    let why = if found.passed_over.is_empty() {
        "there is no backup of that time".to_owned()
    } else {
        format!("no restore point is usable: {}", found.passed_over.join("; "))
    };
    Err(Failed { code: Code::Failed, why })
}

fn restore_one(candidate: &Candidate, place: &Path, max_age: Option<Span>) -> Result<Got, Trouble> {
    let age = Duration::from_millis(now_ms().saturating_sub(candidate.state_ms));
    if let Some(most) = max_age.filter(|most| age > most.0) {
        let age = Span(Duration::from_secs(age.as_secs()));
        let why = format!("it restores a state that is {age} old, and {most} is the limit");
        return Err(Trouble::Unusable(why));
    }
    candidate.archive.restore_checked(&candidate.point, place)
}

/// What may be used, the newest first, and of those that are at several destinations the first in the plan first.
fn candidates(opened: &Opened, source: &str, from: Option<&str>, args: &RestoreArgs) -> Found {
    let mut found = Found::default();
    let until = args.at.map_or(i64::MAX, |at| at.timestamp_millis());
    let latest = args.at.map(|_| name_at(u64::try_from(until).unwrap_or(0)));
    let latest = latest.unwrap_or_else(|| "~".to_owned());
    for at in opened.at.iter().filter(|at| from.is_none_or(|from| from == at.name)) {
        let looked =
            at.store.as_ref().map_err(Clone::clone).and_then(|store| Ok((store, store.points()?)));
        let (store, names) = match looked {
            Ok(looked) => looked,
            Err(why) => {
                found.unknown.push((None, format!("{}: {why}", at.name)));
                continue;
            }
        };
        let Some((_, archive)) =
            opened.sources_at(store).into_iter().find(|(name, _)| name == source)
        else {
            continue;
        };
        for name in names {
            match archive.point(&name) {
                // It is named after when it began, so that it cannot be of that time.
                Err(_) if name > latest => {}
                Err(trouble) => found.add(&name, &at.name, trouble),
                Ok(point) => {
                    let Some((entry, done)) = point.entry(source).zip(point.done(source)) else {
                        continue;
                    };
                    // Nothing of it was read later than that.
                    if i64::try_from(done.read_until_ms).unwrap_or(i64::MAX) > until {
                        continue;
                    }
                    let (state_ms, origin) = (done.began_ms, entry.origin);
                    let (from, archive) = (at.name.clone(), archive.clone());
                    found.candidates.push(Candidate {
                        point: name,
                        from,
                        archive,
                        state_ms,
                        origin,
                    });
                }
            }
        }
    }
    found.candidates.sort_by_key(|candidate| Reverse(candidate.point.clone()));
    found
}

fn file_name(source: &str, origin: OriginKind) -> String {
    match origin {
        OriginKind::Files => source.to_owned(),
        OriginKind::Command => format!("{source}.out"),
        OriginKind::Sqlite => format!("{source}.db"),
    }
}

#[derive(Tabled)]
struct Line {
    source: String,
    #[tabled(rename = "restore point")]
    point: String,
    from: String,
    #[tabled(rename = "state of")]
    state: String,
    files: String,
    size: String,
    took: String,
    throughput: String,
}

fn print(report: &Report) {
    let line = |one: &Restored| Line {
        source: one.source.clone(),
        point: one.point.clone(),
        from: one.from.clone(),
        state: time(one.state_ms),
        files: figures::count(one.files),
        size: amount::of(one.bytes),
        took: milliseconds(one.took_ms),
        throughput: amount::rate(one.bytes_per_second),
    };
    out::line(&table(&report.sources.iter().map(line).collect::<Vec<_>>()));
    for one in &report.sources {
        for why in &one.passed_over {
            out::line(&out::harmless(&format!("{}: {why}", one.source)));
        }
        if one.owners_not_kept > 0 {
            let n = one.owners_not_kept;
            out::line(&format!(
                "{}: {n} owners are not as they were: drdrill does not run as root",
                one.source
            ));
        }
    }
    out::line(&out::harmless(&format!("restored into {}", report.to.display())));
}
