//! `drdrill backup verify PLAN`: the verification of drills, of each source at each destination, and the checksums of
//! everything else that lies there.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use drdrill_backup::copies::Rule;
use drdrill_backup::now_ms;
use drdrill_backup::restore::chain;
use drdrill_backup::store::{self, Store, read_point};
use drdrill_core::units::Span;
use drdrill_machinery::restore::walk::{Terms, Unfit, Walk, walk};
use serde::Serialize;

use super::plan::{For, Opened, open};
use crate::args::{BackupArgs, Format};
use crate::exit::{Code, Failure, Outcome};
use crate::out;

#[derive(Serialize)]
struct Report {
    plan: String,
    destinations: Vec<Destination>,
    rule_3_2_1: Rule,
}

#[derive(Serialize)]
struct Destination {
    name: String,
    place: String,
    /// Why it cannot be looked at.
    failed: Option<String>,
    sources: Vec<Source>,
    /// What is wrong with other points, of which only the checksums are compared.
    damaged: Vec<Refused>,
}

#[derive(Serialize)]
struct Source {
    name: String,
    /// The newest restore point that is clean.
    clean: Option<Usable>,
    /// Newer ones that are not.
    unfit: Vec<Refused>,
}

#[derive(Serialize)]
struct Usable {
    point: String,
    age_s: u64,
    files: u64,
    bytes: u64,
    checked_bytes: u64,
    restore_ms: u64,
}

#[derive(Serialize)]
struct Refused {
    point: String,
    why: String,
}

impl Destination {
    fn is_good(&self) -> bool {
        let clean = |source: &Source| source.clean.is_some() && source.unfit.is_empty();
        self.failed.is_none() && self.damaged.is_empty() && self.sources.iter().all(clean)
    }
}

/// Verifies the backups of a plan: exit 10 unless the newest restore point of each source is clean at each destination,
/// and whatever else lies there has its checksums.
pub(super) fn verify(plan: &Path, args: &BackupArgs) -> Outcome {
    let opened = open(plan, For::Reading)?;
    let scratch = tempfile::Builder::new()
        .prefix("drdrill-restore-")
        .tempdir()
        .map_err(|error| Failure::new(Code::NotReady, format!("make a directory: {error}")))?;
    let mut destinations = Vec::new();
    for at in &opened.at {
        let looked = at.store.as_ref().map_err(Clone::clone).and_then(|store| {
            let (sources, damaged) =
                look_at(&opened, store, args.max_age, &scratch.path().join("scratch"))?;
            Ok((store.place(), sources, damaged))
        });
        let name = at.name.clone();
        destinations.push(match looked {
            Ok((place, sources, damaged)) => {
                Destination { name, place, failed: None, sources, damaged }
            }
            Err(why) => {
                let (sources, damaged) = (Vec::new(), Vec::new());
                Destination { name, place: String::new(), failed: Some(why), sources, damaged }
            }
        });
    }
    let has_all = |one: &&Destination| {
        one.failed.is_none() && one.sources.iter().all(|source| source.clean.is_some())
    };
    let have: BTreeSet<&str> =
        destinations.iter().filter(has_all).map(|one| one.name.as_str()).collect();
    let rule_3_2_1 = opened.rule(&have);
    let report = Report { plan: opened.plan.backup.clone(), destinations, rule_3_2_1 };
    if args.format.format == Format::Json {
        out::json(&report);
    } else {
        print(&report);
    }
    let code = |one: &Destination| match one {
        one if one.failed.is_some() => Code::NotReady,
        one if one.is_good() => Code::Passed,
        _ => Code::Failed,
    };
    Ok(Code::worst(report.destinations.iter().map(code)).unwrap_or(Code::Passed))
}

fn look_at(
    opened: &Opened,
    store: &Arc<dyn Store>,
    max_age: Span,
    scratch: &Path,
) -> Result<(Vec<Source>, Vec<Refused>), String> {
    let mut sources = Vec::new();
    // What the walks have read already, by point and source.
    let mut read: BTreeSet<(String, String)> = BTreeSet::new();
    for (name, archive) in opened.sources_at(store) {
        let terms = Terms { now_ms: now_ms(), max_age: max_age.0, scratch };
        let Walk { unfit, clean } = walk(&archive, terms)?;
        if let Some(clean) = &clean {
            let all =
                archive.point(&clean.point.name).and_then(|point| chain(&**store, &point, &name));
            read.extend(all.unwrap_or_default().into_iter().map(|one| (one.point, name.clone())));
        }
        let refused = |Unfit { point, why }| Refused { point, why };
        let usable = clean.map(|clean| Usable {
            point: clean.point.name,
            age_s: clean.age.as_secs(),
            files: clean.rows,
            bytes: clean.restored.bytes,
            checked_bytes: clean.checked,
            restore_ms: u64::try_from(clean.restored.took.as_millis()).unwrap_or(u64::MAX),
        });
        let unfit = unfit.into_iter().map(refused).collect();
        sources.push(Source { name, clean: usable, unfit });
    }
    let mut damaged = damaged(store, &read)?;
    // What the walks have said need not be said again.
    let said = |one: &Refused| {
        let mut unfit = sources.iter().flat_map(|source: &Source| &source.unfit);
        unfit.any(|other| other.point == one.point && other.why == one.why)
    };
    damaged.retain(|one| !said(one));
    Ok((sources, damaged))
}

/// What of all that lies there does not have its checksum.
fn damaged(
    store: &Arc<dyn Store>,
    read: &BTreeSet<(String, String)>,
) -> Result<Vec<Refused>, String> {
    let mut damaged = Vec::new();
    for name in store.points()?.into_iter().rev() {
        let point = match read_point(&**store, &name) {
            Ok(point) => point,
            Err(why) => {
                damaged.push(Refused { point: name, why: why.to_string() });
                continue;
            }
        };
        for entry in &point.sources {
            let Some(done) = point.done(&entry.name) else { continue };
            if read.contains(&(name.clone(), entry.name.clone())) {
                continue;
            }
            let wrong = done
                .objects
                .iter()
                .filter_map(|object| store::check(&**store, &name, object).err());
            damaged.extend(wrong.map(|why| Refused { point: name.clone(), why: why.to_string() }));
        }
    }
    Ok(damaged)
}

fn print(report: &Report) {
    let say = |text: &str| out::line(&out::harmless(text));
    for Destination { name, place, failed, sources, damaged } in &report.destinations {
        if let Some(why) = failed {
            say(&format!("{name}: {why}"));
            continue;
        }
        say(&format!("{name} ({place})"));
        for Source { name, clean, unfit } in sources {
            for Refused { point, why } in unfit {
                say(&format!("  {name}: {point} is not usable: {why}"));
            }
            let said = match clean {
                None if unfit.is_empty() => "there is no backup".to_owned(),
                None => "no restore point is usable".to_owned(),
                Some(Usable { point, age_s, files, checked_bytes, .. }) => format!(
                    "{point} is clean: {checked_bytes} bytes have their checksums, {files} files were restored and hold \
                     together, {} old",
                    Span(Duration::from_secs(*age_s))
                ),
            };
            say(&format!("  {name}: {said}"));
        }
        for Refused { point, why } in damaged {
            say(&format!("  {point} is damaged: {why}"));
        }
    }
    say(&report.rule_3_2_1.words());
}
