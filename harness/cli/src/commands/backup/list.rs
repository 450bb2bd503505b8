//! `drdrill backup list`.

use std::collections::BTreeSet;

use drdrill_backup::copies::Rule;
use drdrill_backup::now_ms;
use drdrill_backup::point::{Outcome, Point, SourceEntry, time};
use drdrill_backup::store::read_point;
use drdrill_core::backup_plan::BackupPlan;
use drdrill_reports::figures;
use serde::Serialize;
use tabled::Tabled;

use super::amount;
use super::plan::{For, open};
use super::run::milliseconds;
use crate::args::{BackupListArgs, Format};
use crate::commands::list::table;
use crate::exit::{Code, Outcome as Ended};
use crate::out;

#[derive(Serialize)]
struct Listed {
    plan: String,
    destinations: Vec<Destination>,
    rule_3_2_1: Rule,
}

#[derive(Serialize)]
struct Destination {
    name: String,
    /// Why it cannot be looked at.
    failed: Option<String>,
    /// What is there, newest first.
    points: Vec<Found>,
}

#[derive(Serialize)]
struct Found {
    point: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    described: Option<Point>,
    /// What is wrong with it, as far as can be seen without reading all of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    wrong: Option<String>,
}

/// Lists the restore points of a plan. Says what lies there, and not whether it is good: that is `backup verify`.
pub(crate) fn list(args: &BackupListArgs) -> Ended {
    let opened = open(&args.plan, For::Reading)?;
    let mut destinations = Vec::new();
    for at in &opened.at {
        let looked = at.store.as_ref().map_err(Clone::clone).and_then(|store| {
            let names = store.points()?.into_iter().rev();
            let found = names.map(|point| match read_point(&**store, &point) {
                Ok(described) => Found { point, described: Some(described), wrong: None },
                Err(why) => Found { point, described: None, wrong: Some(why.to_string()) },
            });
            Ok(found.collect())
        });
        let name = at.name.clone();
        destinations.push(match looked {
            Ok(points) => Destination { name, failed: None, points },
            Err(why) => Destination { name, failed: Some(why), points: Vec::new() },
        });
    }
    let newest = destinations.iter().filter_map(|one| Some(&one.points.first()?.point)).max();
    let have: BTreeSet<&str> = destinations
        .iter()
        .filter(|one| has_all(&opened.plan, &one.points, newest))
        .map(|one| one.name.as_str())
        .collect();
    let rule_3_2_1 = opened.rule(&have);
    let unreachable = destinations.iter().any(|one| one.failed.is_some());
    let listed = Listed { plan: opened.plan.backup.clone(), destinations, rule_3_2_1 };
    if args.format.format == Format::Json {
        out::json(&listed);
    } else {
        print(&listed);
    }
    Ok(if unreachable { Code::NotReady } else { Code::Passed })
}

/// Whether the newest point that there is anywhere is among these, with all sources.
fn has_all(plan: &BackupPlan, points: &[Found], newest: Option<&String>) -> bool {
    let point = points.iter().find(|found| Some(&found.point) == newest);
    point
        .and_then(|found| found.described.as_ref())
        .is_some_and(|point| plan.sources.iter().all(|source| point.done(&source.name).is_some()))
}

#[derive(Tabled)]
struct Line {
    destination: String,
    #[tabled(rename = "restore point")]
    point: String,
    source: String,
    backup: String,
    #[tabled(rename = "state of")]
    state: String,
    age: String,
    files: String,
    size: String,
    stored: String,
    took: String,
    throughput: String,
}

fn print(listed: &Listed) {
    let mut lines = Vec::new();
    for destination in &listed.destinations {
        for found in &destination.points {
            for entry in found.described.iter().flat_map(|point| &point.sources) {
                lines.push(line(&destination.name, &found.point, entry));
            }
        }
    }
    if lines.is_empty() {
        out::line("there are no restore points");
    } else {
        out::line(&table(&lines));
    }
    for destination in &listed.destinations {
        let name = &destination.name;
        if let Some(why) = &destination.failed {
            out::line(&out::harmless(&format!("{name}: {why}")));
        }
        for Found { point, wrong, .. } in &destination.points {
            if let Some(why) = wrong {
                out::line(&out::harmless(&format!("{name}: {point} is not usable: {why}")));
            }
        }
    }
    out::line(&out::harmless(&listed.rule_3_2_1.words()));
}

fn line(destination: &str, point: &str, entry: &SourceEntry) -> Line {
    let (destination, point, source) =
        (destination.to_owned(), point.to_owned(), entry.name.clone());
    match &entry.outcome {
        Outcome::Done(done) => Line {
            destination,
            point,
            source,
            backup: done.extent.word().to_owned(),
            state: time(done.began_ms),
            age: milliseconds(now_ms().saturating_sub(done.began_ms)),
            files: figures::count(done.files),
            size: amount::of(done.bytes),
            stored: amount::of(done.stored_bytes),
            took: milliseconds(done.took_ms),
            throughput: amount::rate(done.bytes_per_second()),
        },
        Outcome::Failed { .. } => {
            let [state, age, files, size, stored, took, throughput] =
                [(); 7].map(|()| "-".to_owned());
            let backup = "FAILED".to_owned();
            Line {
                destination,
                point,
                source,
                backup,
                state,
                age,
                files,
                size,
                stored,
                took,
                throughput,
            }
        }
    }
}
