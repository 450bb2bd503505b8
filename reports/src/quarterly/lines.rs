//! The quarter for spreadsheets: one table for everything, so that one file is enough; what does not apply is empty.

use std::io;

use crate::quarter::Quarter;
use crate::spreadsheet::{Field, Table};
use crate::words;

const COLUMNS: [&str; 20] = [
    "quarter",
    "what",
    "id",
    "scenario",
    "environment",
    "emulated",
    "counts",
    "of",
    "status",
    "owner",
    "on",
    "due",
    "target_ms",
    "at_least_ms",
    "at_most_ms",
    "lost_writes",
    "cost_at_least",
    "cost_at_most",
    "currency",
    "text",
];

/// A line.
#[derive(Default)]
struct Line {
    what: &'static str,
    id: String,
    scenario: String,
    environment: String,
    /// Whether the environment only imitates the real thing, where that is known.
    emulated: Option<bool>,
    /// Whether it counts: not what must fail, nor what had settings of its own.
    counts: Option<bool>,
    of: String,
    status: String,
    owner: String,
    on: String,
    due: String,
    target: Option<f64>,
    at_least: Option<f64>,
    at_most: Option<f64>,
    lost: Option<f64>,
    cost: (Option<f64>, Option<f64>),
    currency: String,
    text: String,
}

pub(super) fn csv(quarter: &Quarter) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    let mut table = Table::new(&mut out, &COLUMNS)?;
    for line in lines(quarter) {
        table.row(&[
            Field::Text(&quarter.period.quarter),
            Field::Text(line.what),
            Field::Text(&line.id),
            Field::Text(&line.scenario),
            Field::Text(&line.environment),
            Field::Text(yes_or_no(line.emulated)),
            Field::Text(yes_or_no(line.counts)),
            Field::Text(&line.of),
            Field::Text(&line.status),
            Field::Text(&line.owner),
            Field::Text(&line.on),
            Field::Text(&line.due),
            Field::Number(line.target),
            Field::Number(line.at_least),
            Field::Number(line.at_most),
            Field::Number(line.lost),
            Field::Number(line.cost.0),
            Field::Number(line.cost.1),
            Field::Text(&line.currency),
            Field::Text(&line.text),
        ])?;
    }
    table.finish()?;
    Ok(out)
}

const fn yes_or_no(fact: Option<bool>) -> &'static str {
    match fact {
        Some(true) => "yes",
        Some(false) => "no",
        None => "",
    }
}

#[expect(clippy::cast_precision_loss, reason = "a count of writes")]
fn number(count: u64) -> f64 {
    count as f64
}

fn lines(quarter: &Quarter) -> Vec<Line> {
    let mut all = vec![Line {
        what: "standing",
        of: quarter.program.name.clone(),
        status: quarter.standing.verdict.word().to_owned(),
        owner: quarter.program.owner.clone(),
        on: quarter.period.as_of.to_string(),
        text: quarter.standing.because.join(" "),
        ..Line::default()
    }];
    all.extend(quarter.coverage.iter().map(|cell| {
        let achieved = cell.achieved.as_ref();
        Line {
            what: "coverage",
            id: cell.last.as_ref().map(|run| run.run_id.clone()).unwrap_or_default(),
            scenario: cell.scenario.clone(),
            environment: cell.environment.clone(),
            emulated: Some(cell.emulated),
            counts: Some(true),
            of: cell.service.clone(),
            status: format!(
                "{}{}",
                cell.status.word(),
                if cell.overdue { ", overdue" } else { "" }
            ),
            owner: cell.owner.clone(),
            on: cell.last.as_ref().map(|run| run.on.to_string()).unwrap_or_default(),
            due: cell.next.map(|next| next.to_string()).unwrap_or_default(),
            target: achieved.and_then(|one| one.rto.target_ms),
            at_least: achieved.and_then(|one| one.rto.at_least_ms),
            at_most: achieved.and_then(|one| one.rto.at_most_ms),
            lost: achieved.and_then(|one| one.rpo.as_ref()?.lost).map(number),
            text: cell.because.join(" "),
            ..Line::default()
        }
    }));
    all.extend(quarter.cut_off.iter().map(|run| Line {
        what: "cut off",
        id: run.run_id.clone(),
        scenario: run.scenario.clone().unwrap_or_default(),
        environment: run.environment.clone().unwrap_or_default(),
        emulated: run.emulated,
        counts: run.counts,
        status: run.word().to_owned(),
        on: run.started.map(|at| at.to_rfc3339()).unwrap_or_default(),
        text: run.unreadable.clone().unwrap_or_default(),
        ..Line::default()
    }));
    for drill in &quarter.drills {
        let (emulated, counts) =
            (Some(drill.emulated), Some(!drill.must_fail && drill.settings.is_empty()));
        all.push(Line {
            what: "drill",
            id: drill.run_id.clone(),
            scenario: drill.scenario.clone(),
            environment: drill.environment.clone(),
            emulated,
            counts,
            status: drill.conclusion.word().to_owned(),
            on: drill.started.to_rfc3339(),
            text: drill.reasons.clone().unwrap_or_default().join(" "),
            ..Line::default()
        });
        all.extend(drill.services.iter().map(|service| {
            let achieved = service.achieved.as_ref();
            Line {
                what: "recovery",
                id: drill.run_id.clone(),
                scenario: drill.scenario.clone(),
                environment: drill.environment.clone(),
                emulated,
                counts,
                of: service.name.clone(),
                status: achieved.map_or("not measured", |one| one.rto.verdict.word()).to_owned(),
                on: drill.started.to_rfc3339(),
                target: achieved.and_then(|one| one.rto.target_ms),
                at_least: achieved.and_then(|one| one.rto.at_least_ms),
                at_most: achieved.and_then(|one| one.rto.at_most_ms),
                lost: achieved.and_then(|one| one.rpo.as_ref()?.lost).map(number),
                ..Line::default()
            }
        }));
    }
    all.extend(people(quarter));
    all
}

/// What people have to know and to do.
fn people(quarter: &Quarter) -> Vec<Line> {
    let mut all = Vec::new();
    all.extend(quarter.findings.iter().map(|one| Line {
        what: "finding",
        id: one.id.clone(),
        scenario: one.scenario.clone(),
        environment: one.environment.clone(),
        of: words::severity(one.severity).to_owned(),
        status: format!("{}{}", one.status.word(), if one.overdue { ", overdue" } else { "" }),
        owner: one.owner.clone().unwrap_or_default(),
        on: one.opened.to_rfc3339(),
        due: one.due.map(|due| due.to_string()).unwrap_or_default(),
        text: one.seen.join(" "),
        ..Line::default()
    }));
    all.extend(quarter.accepted_risks.iter().map(|one| Line {
        what: "accepted risk",
        id: one.finding.clone().unwrap_or_default(),
        status: if one.holds { "holds" } else { "over" }.to_owned(),
        owner: one.by.clone(),
        on: one.on.to_string(),
        due: one.until.to_string(),
        text: format!("{} {}", one.risk, one.because),
        ..Line::default()
    }));
    all.extend(quarter.costs.iter().map(|one| Line {
        what: "cost",
        id: one.run_id.clone(),
        scenario: one.scenario.clone(),
        environment: one.environment.clone(),
        emulated: Some(one.emulated),
        counts: Some(true),
        of: one.function.clone(),
        status: if one.hypothetical { "would have cost" } else { "cost" }.to_owned(),
        target: one.tolerable_ms,
        at_least: one.outage.map(|outage| outage.at_least_ms),
        at_most: one.outage.and_then(|outage| outage.at_most_ms),
        cost: (
            one.at_least.as_ref().map(|low| low.total),
            one.at_most.as_ref().map(|high| high.total),
        ),
        currency:
            one.at_least.as_ref().map(|low| low.currency.code().to_owned()).unwrap_or_default(),
        ..Line::default()
    }));
    all.extend(quarter.next.iter().map(|one| Line {
        what: "next",
        scenario: one.scenario.clone(),
        environment: one.environment.clone(),
        of: one.class.word().to_owned(),
        status: if one.overdue { "overdue" } else { "due" }.to_owned(),
        owner: one.owner.clone(),
        due: one.on.to_string(),
        text: one.because.clone(),
        ..Line::default()
    }));
    all.extend(quarter.controls.iter().map(|one| Line {
        what: "control",
        id: format!("{} {}", one.framework, one.control),
        status: format!("{} of {}", one.verified, one.cells),
        text: one.title.clone(),
        ..Line::default()
    }));
    all.extend(quarter.gaps.iter().map(|gap| Line {
        what: "gap",
        text: gap.clone(),
        ..Line::default()
    }));
    all
}
