//! `drdrill backup run`.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use drdrill_backup::copies::Rule;
use drdrill_backup::point::{Done, Outcome, SourceEntry, time};
use drdrill_backup::restore;
use drdrill_backup::run::{Report, Run, Stored, run as back_up};
use drdrill_backup::store::directory::Directory;
use drdrill_core::backup_plan::Place;
use drdrill_engine::state::StateDir;
use drdrill_reports::figures;
use serde::Serialize;
use tabled::Tabled;

use super::amount;
use super::plan::{For, Opened, open, trust};
use super::written;
use crate::args::{BackupRunArgs, Format};
use crate::commands::list::table;
use crate::exit::{Code, Failure};
use crate::out;

#[derive(Serialize)]
struct Printed<'a> {
    plan: &'a str,
    #[serde(flatten)]
    report: &'a Report,
    rule_3_2_1: &'a Rule,
}

/// Backs up what a plan names.
pub(crate) fn run(state: &StateDir, args: &BackupRunArgs) -> crate::exit::Outcome {
    let root = state.root().join("backup");
    let opened = open(&args.plan, For::Writing((!args.first).then_some(&root)))?;
    let not_ready = |what: &Path, error: &dyn std::fmt::Display| {
        Failure::new(Code::NotReady, format!("{}: {error}", what.display()))
    };
    fs::create_dir_all(&root).map_err(|error| not_ready(&root, &error))?;
    // One at a time also where no destination is a directory, which is locked itself.
    let own = Directory::new(&root, &opened.plan.backup);
    own.make(false).map_err(Failure::with(Code::NotReady))?;
    let _alone = own.lock(true).map_err(Failure::with(Code::NotReady))?;
    let staging = own.own().join("staging");
    restore::remove(&staging).map_err(|error| not_ready(&staging, &error))?;
    DirBuilder::new().mode(0o700).create(&staging).map_err(|error| not_ready(&staging, &error))?;
    let report = with_staging(&opened, &staging, &root, args);
    // What cannot be removed now is removed by the next run.
    let _ = restore::remove(&staging);
    written::add(&root, &opened.plan.backup, to_directories(&opened, &report))
        .map_err(Failure::with(Code::NotReady))?;
    let rule = rule(&opened, &report);
    if args.format.format == Format::Json {
        out::json(&Printed { plan: &opened.plan.backup, report: &report, rule_3_2_1: &rule });
    } else {
        print(&report, &rule);
    }
    Ok(if report.is_good() { Code::Passed } else { Code::Failed })
}

fn with_staging(opened: &Opened, staging: &Path, root: &Path, args: &BackupRunArgs) -> Report {
    let ours = opened.directories.iter().map(std::path::PathBuf::as_path).chain([root]);
    // One that is not there is not backed up either.
    let ours = ours.filter_map(|path| fs::canonicalize(path).ok()).collect();
    back_up(&Run {
        plan: &opened.plan,
        at: opened.at.clone(),
        staging,
        ours,
        any_machine: args.any_machine,
        full: args.full,
        trust: trust(),
    })
}

/// The directories that have the point now.
fn to_directories(opened: &Opened, report: &Report) -> BTreeSet<PathBuf> {
    let stored = opened.plan.destinations.iter().zip(&report.destinations);
    let stored = stored.filter(|(_, one)| one.failed.is_none());
    let own = stored.filter_map(|(spec, _)| match &spec.to {
        Place::Directory(place) => {
            Some(Directory::new(Path::new(&place.path), &opened.plan.backup).own().to_owned())
        }
        Place::S3(_) => None,
    });
    own.collect()
}

fn rule(opened: &Opened, report: &Report) -> Rule {
    let all = report.sources.iter().all(|entry| matches!(entry.outcome, Outcome::Done(_)));
    let stored = report.destinations.iter().filter(|one| all && one.failed.is_none());
    let have: BTreeSet<&str> = stored.map(|one| one.name.as_str()).collect();
    opened.rule(&have)
}

#[derive(Tabled)]
struct SourceLine {
    source: String,
    backup: String,
    #[tabled(rename = "state of")]
    state: String,
    files: String,
    size: String,
    read: String,
    stored: String,
    took: String,
    throughput: String,
}

#[derive(Tabled)]
struct DestinationLine {
    destination: String,
    written: String,
    took: String,
    throughput: String,
    removed: String,
}

fn print(report: &Report, rule: &Rule) {
    if !report.sources.is_empty() {
        out::line(&table(&report.sources.iter().map(source_line).collect::<Vec<_>>()));
        out::line("");
    }
    out::line(&table(&report.destinations.iter().map(destination_line).collect::<Vec<_>>()));
    out::line("");
    for entry in &report.sources {
        match &entry.outcome {
            Outcome::Failed { reason } => say(&entry.name, &format!("failed: {reason}")),
            Outcome::Done(done) => remarks(&entry.name, done),
        }
    }
    for one in &report.destinations {
        if let Some(why) = &one.failed {
            say(&one.name, &format!("failed: {why}"));
        }
        if let Some(why) = &one.not_removed {
            say(&one.name, why);
        }
    }
    out::line(&out::harmless(&rule.words()));
    match &report.point {
        Some(point) if report.is_good() => {
            out::line(&format!("restore point {point}: written and read back"));
        }
        Some(point) => {
            out::line(&format!("restore point {point}: NOT ALL OF IT, see above"));
        }
        None => out::line("no restore point: nothing could be backed up"),
    }
}

fn remarks(name: &str, done: &Done) {
    if done.torn.files > 0 {
        let some = done.torn.some.join(", ");
        say(
            name,
            &format!(
                "{} files or directories changed while they were read: {some}",
                done.torn.files
            ),
        );
    }
    if done.skipped > 0 {
        say(name, &format!("{} pipes, sockets and devices were left out", done.skipped));
    }
}

fn say(name: &str, what: &str) {
    out::line(&out::harmless(&format!("{name}: {what}")));
}

fn source_line(entry: &SourceEntry) -> SourceLine {
    let source = entry.name.clone();
    match &entry.outcome {
        Outcome::Done(done) => SourceLine {
            source,
            backup: done.extent.word().to_owned(),
            state: time(done.began_ms),
            files: figures::count(done.files),
            size: amount::of(done.bytes),
            read: amount::of(done.read_bytes),
            stored: amount::of(done.stored_bytes),
            took: milliseconds(done.took_ms),
            throughput: amount::rate(done.bytes_per_second()),
        },
        Outcome::Failed { .. } => {
            let [state, files, size, read, stored, took, throughput] =
                [(); 7].map(|()| "-".to_owned());
            let backup = "FAILED".to_owned();
            SourceLine { source, backup, state, files, size, read, stored, took, throughput }
        }
    }
}

fn destination_line(one: &Stored) -> DestinationLine {
    let failed = one.failed.is_some();
    let dash = || "-".to_owned();
    DestinationLine {
        destination: one.name.clone(),
        written: if failed { "FAILED".to_owned() } else { amount::of(one.bytes) },
        took: if failed { dash() } else { milliseconds(one.took_ms) },
        throughput: if failed {
            dash()
        } else {
            amount::rate(one.bytes.saturating_mul(1000).checked_div(one.took_ms))
        },
        removed: if one.removed.is_empty() {
            dash()
        } else {
            format!("{} points", one.removed.len())
        },
    }
}

#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
pub(super) fn milliseconds(ms: u64) -> String {
    figures::duration(ms as f64)
}
