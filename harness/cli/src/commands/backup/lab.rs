//! `drdrill backup verify` and `drdrill restore` on a directory of backups that a lab has taken: the verification and the
//! restore of drills.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use drdrill_core::units::Span;
use drdrill_machinery::restore::walk::{Terms, Unfit, Walk, walk};
use serde::Serialize;

use crate::archive::LabArchive;
use crate::args::{BackupArgs, Format, RestoreArgs};
use crate::exit::{Code, Failure, Outcome};
use crate::out;

/// What was found in one directory.
#[derive(Debug, Serialize)]
struct Directory {
    place: PathBuf,
    /// The newest restore point that is clean.
    clean: Option<Usable>,
    /// Newer ones that are not.
    unfit: Vec<Refused>,
}

#[derive(Debug, Serialize)]
struct Usable {
    point: String,
    position: u64,
    age_s: u64,
    rows: u64,
    checked_bytes: u64,
}

#[derive(Debug, Serialize)]
struct Refused {
    point: String,
    why: String,
}

/// The 3-2-1 rule, as far as it can be told here: three copies (the system itself is one), on two media, one off-site.
#[derive(Debug, Serialize)]
struct ThreeTwoOne {
    /// Directories with a clean restore point, and the system itself.
    copies: usize,
    /// File systems of these directories.
    file_systems: usize,
    /// What cannot be seen from here.
    off_site: &'static str,
}

#[derive(Debug, Serialize)]
struct Report {
    directories: Vec<Directory>,
    rule_3_2_1: ThreeTwoOne,
}

/// Verifies the backups in some directories: exit 10 unless the newest restore point of each is clean.
pub(crate) fn verify(args: &BackupArgs) -> Outcome {
    let mut directories = Vec::new();
    let mut file_systems = BTreeSet::new();
    for directory in &args.directories {
        let Walk { unfit, clean } = walked(directory, args.max_age)?;
        if clean.is_some() {
            let facts = fs::metadata(directory).map_err(|error| unreadable(directory, &error))?;
            file_systems.insert(facts.dev());
        }
        directories.push(Directory {
            place: directory.clone(),
            clean: clean.map(|clean| Usable {
                position: clean.restored.position,
                age_s: clean.age.as_secs(),
                rows: clean.rows,
                checked_bytes: clean.checked,
                point: clean.point.name,
            }),
            unfit: unfit.into_iter().map(|Unfit { point, why }| Refused { point, why }).collect(),
        });
    }
    let clean = directories.iter().filter(|one| one.clean.is_some()).count();
    let rule_3_2_1 = ThreeTwoOne {
        copies: clean + 1,
        file_systems: file_systems.len(),
        off_site: "not known: only directories of this machine are looked at",
    };
    let good = directories.iter().all(|one| one.clean.is_some() && one.unfit.is_empty());
    let report = Report { directories, rule_3_2_1 };
    if args.format.format == Format::Json {
        out::json(&report);
    } else {
        print(&report);
    }
    Ok(if good { Code::Passed } else { Code::Failed })
}

fn print(report: &Report) {
    for directory in &report.directories {
        let place = directory.place.display();
        for Refused { point, why } in &directory.unfit {
            out::line(&out::harmless(&format!("{place}: {point} is not usable: {why}")));
        }
        let said = match &directory.clean {
            None => "no restore point is usable".to_owned(),
            Some(Usable { point, position, age_s, rows, checked_bytes }) => format!(
                "{point} is clean: {checked_bytes} bytes have their checksums, {rows} rows hold together, change {position}, {} \
                 old",
                Span(Duration::from_secs(*age_s))
            ),
        };
        out::line(&out::harmless(&format!("{place}: {said}")));
    }
    let ThreeTwoOne { copies, file_systems, off_site } = &report.rule_3_2_1;
    out::line(&format!(
        "3-2-1 rule: {copies} copies, the system itself counted; backups on {file_systems} file systems; off-site: {off_site}"
    ));
}

/// A state that is older is not restored, where nothing else is said.
const OLDEST: Span = Span(Duration::from_hours(24));

/// What was restored.
#[derive(Serialize)]
struct Done<'a> {
    point: &'a str,
    to: &'a Path,
    position: u64,
    replayed: u64,
    found: &'a str,
}

/// Restores the newest clean restore point of a directory into a file.
pub(crate) fn restore(args: &RestoreArgs) -> Outcome {
    let walked = walked(&args.directory, args.max_age.unwrap_or(OLDEST))?;
    let words = walked.words();
    let Some(clean) = walked.clean else { return Err(Failure::new(Code::Failed, words)) };
    // A file of the working directory has a directory too, which has to be flushed.
    let to = std::path::absolute(&args.to).unwrap_or_else(|_| args.to.clone());
    let restored = LabArchive::open(&args.directory).restore(&clean.point, &to);
    let restored = restored.map_err(Failure::with(Code::NotReady))?;
    if args.format.format == Format::Json {
        let (position, replayed) = (restored.position, restored.replayed);
        out::json(&Done {
            point: &clean.point.name,
            to: &args.to,
            position,
            replayed,
            found: &words,
        });
        return Ok(Code::Passed);
    }
    out::line(&out::harmless(&words));
    out::line(&out::harmless(&format!(
        "restored into {}: change {}, {} changes of the logs",
        args.to.display(),
        restored.position,
        restored.replayed
    )));
    Ok(Code::Passed)
}

fn walked(directory: &Path, max_age: Span) -> Result<Walk, Failure> {
    // Backups that were gone with their site are none; a directory that somebody names has to be there.
    std::fs::metadata(directory).map_err(|error| unreadable(directory, &error))?;
    let scratch = tempfile::Builder::new()
        .prefix("drdrill-restore-")
        .tempdir()
        .map_err(|error| Failure::new(Code::NotReady, format!("make a directory: {error}")))?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let terms = Terms {
        now_ms: u64::try_from(now.as_millis()).unwrap_or(u64::MAX),
        max_age: max_age.0,
        scratch: &scratch.path().join("scratch"),
    };
    walk(&*LabArchive::open(directory), terms).map_err(|error| unreadable(directory, &error))
}

fn unreadable(directory: &Path, error: &dyn std::fmt::Display) -> Failure {
    Failure::new(Code::NotReady, format!("look at {}: {error}", directory.display()))
}
