//! Drill by drill: what came of it, when what happened, and the proof that the faults took effect.

use drdrill_core::record::Record;

use crate::doc::{Block, Table, heading};
use crate::figures;
use crate::quarter::Quarter;
use crate::quarter::drills::DrillLine;
use crate::sections::Cell;
use crate::story;
use crate::svg::{self, Shape};
use crate::timeline::Timeline;
use crate::words;

/// Drills that are told one by one; all are in the table.
const MOST: usize = 100;

pub(super) fn blocks(quarter: &Quarter, records: &[Record]) -> Vec<Block> {
    let mut blocks = vec![heading("drills", "Drills of the quarter")];
    if quarter.drills.is_empty() && quarter.cut_off.is_empty() {
        blocks.push(Block::Text("None was run.".to_owned()));
        return blocks;
    }
    let rows: Vec<Vec<Cell>> = quarter.drills.iter().map(row).collect();
    let columns = ["Run", "Started", "Scenario", "Environment", "Kind", "Conclusion", "Findings"];
    blocks.push(Block::Table(Table::new("Drills of the quarter", &columns, rows)));
    for (number, drill) in quarter.drills.iter().enumerate().take(MOST) {
        let record = records.iter().find(|record| record.run_id == drill.run_id);
        blocks.extend(one(drill, record, number));
    }
    if quarter.drills.len() > MOST {
        let more = quarter.drills.len() - MOST;
        blocks.push(Block::Text(format!(
            "{more} more are only in the table: `drdrill report run RUN` tells of each."
        )));
    }
    if !quarter.cut_off.is_empty() {
        blocks.push(Block::Heading(3, "cut-off".to_owned(), "Runs without a result".to_owned()));
        let rows = quarter.cut_off.iter().map(|run| {
            let known =
                |text: &Option<String>| text.clone().unwrap_or_else(|| "not known".to_owned());
            vec![
                Cell::Code(run.run_id.clone()),
                Cell::Code(known(&run.scenario)),
                Cell::Code(known(&run.environment)),
            ]
        });
        blocks.push(Block::Table(Table::new(
            "Cut off",
            &["Run", "Scenario", "Environment"],
            rows.collect(),
        )));
    }
    blocks
}

fn kind(drill: &DrillLine) -> String {
    let emulated = if drill.emulated { ", emulated" } else { "" };
    let must_fail = if drill.must_fail { ", must fail: shows that drdrill notices" } else { "" };
    let imported = if drill.imported { ", from another machine" } else { "" };
    format!("{}{emulated}{must_fail}{imported}", story::kind(drill.kind))
}

fn row(drill: &DrillLine) -> Vec<Cell> {
    vec![
        Cell::Code(drill.run_id.clone()),
        Cell::Text(drill.started.format("%Y-%m-%d %H:%M").to_string()),
        Cell::Code(drill.scenario.clone()),
        Cell::Code(drill.environment.clone()),
        Cell::Text(kind(drill)),
        Cell::Text(drill.conclusion.word().to_owned()),
        Cell::Code(drill.findings.join(", ")),
    ]
}

fn one(drill: &DrillLine, record: Option<&Record>, number: usize) -> Vec<Block> {
    let title = format!("{}: {}", drill.started.format("%Y-%m-%d"), drill.title);
    let mut blocks = vec![Block::Heading(3, format!("drill-{number}"), title)];
    blocks.push(Block::Text(format!(
        "{}. {} on {}, {}, took {}; run {}, drdrill {}.",
        drill.conclusion.word(),
        drill.scenario,
        drill.environment,
        kind(drill),
        figures::duration(drill.duration_ms),
        drill.run_id,
        drill.tool
    )));
    if let Some(record) = record {
        blocks.push(Block::Text(story::summary(record)));
    }
    if let Some(reasons) = drill.reasons.as_ref().filter(|reasons| !reasons.is_empty()) {
        blocks.push(Block::List(reasons.clone()));
    }
    blocks.extend(services(drill));
    let Some(record) = record else {
        blocks.push(Block::Text(
            "Its record is not here: its faults and steps are not known.".to_owned(),
        ));
        return blocks;
    };
    if !record.faults.is_empty() || record.phases.fault_ms.is_some() {
        let line = Timeline { duration_ms: record.duration_ms.max(1.0), streams: Vec::new() };
        let id = format!("drill-{number}-timeline");
        blocks.push(Block::Drawing(svg::chart_as(record, &line, Shape::PAGE, &id)));
    }
    if !record.faults.is_empty() {
        let rows = record.faults.iter().map(|fault| {
            let seen = |ms: Option<f64>, never: &str| {
                ms.map_or_else(|| never.to_owned(), figures::instant)
            };
            vec![
                Cell::Code(fault.kind.clone()),
                Cell::Code(fault.target.clone()),
                Cell::Text(seen(fault.in_effect_ms, "never seen")),
                Cell::Text(seen(fault.reverted_ms, "NOT SEEN TO BE GONE")),
                Cell::Code(fault.proof.clone().unwrap_or_default()),
            ]
        });
        let columns = ["Fault", "Target", "In effect", "Gone", "Proof of effect"];
        blocks.push(Block::Table(Table::new(
            "Faults and the proof of their effect",
            &columns,
            rows.collect(),
        )));
    }
    if !record.steps.is_empty() {
        let rows = record.steps.iter().map(|step| {
            vec![
                Cell::Code(step.name.clone()),
                Cell::Code(step.site.clone()),
                Cell::Figure(figures::instant(step.started_ms)),
                Cell::Figure(figures::duration(step.finished_ms - step.started_ms)),
                Cell::Text(words::step(step.outcome).to_owned()),
            ]
        });
        let columns = ["Step", "Site", "Started", "Took", "Outcome"];
        blocks.push(Block::Table(Table::new("Steps", &columns, rows.collect())));
    }
    blocks
}

fn services(drill: &DrillLine) -> Option<Block> {
    let mut rows = Vec::new();
    for service in &drill.services {
        let Some(achieved) = &service.achieved else { continue };
        let line = |name: &str, target: String, seen: String, verdict| {
            vec![
                Cell::Code(service.name.clone()),
                Cell::Text(name.to_owned()),
                Cell::Text(target),
                Cell::Text(seen),
                Cell::Verdict(verdict),
            ]
        };
        let rto = &achieved.rto;
        rows.push(line("RTO", figures::at_most(rto.target_ms), figures::rto(rto), rto.verdict));
        if let Some(rpo) = &achieved.rpo {
            let lost = rpo.lost.map_or_else(
                || "what was lost is not known".to_owned(),
                |lost| {
                    format!(
                        "{} of {} acknowledged lost",
                        figures::count(lost),
                        figures::count(rpo.acknowledged)
                    )
                },
            );
            let age = match (rpo.lost, rpo.at_least_ms) {
                (Some(1..), Some(low)) => format!("{}; ", figures::interval(low, rpo.at_most_ms)),
                _ => String::new(),
            };
            rows.push(line("RPO", figures::at_most(rpo.target_ms), age + &lost, rpo.verdict));
        }
        let rlo = &achieved.rlo;
        rows.push(line("RLO", figures::at_least(rlo.target), figures::rlo(rlo), rlo.verdict));
    }
    let columns = ["Service", "Objective", "Target", "Achieved", "Result"];
    (!rows.is_empty()).then(|| Block::Table(Table::new("Objectives", &columns, rows)))
}
