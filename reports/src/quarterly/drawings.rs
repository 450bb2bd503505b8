//! Coverage, targets and trends as drawings, each with the same figures as words.

use std::collections::BTreeMap;

use drdrill_core::program::Class;

use crate::doc::{Block, Table, heading};
use crate::figures;
use crate::quarter::Quarter;
use crate::quarter::coverage::{Cell as Covered, Status};
use crate::quarter::trends::Trend;
use crate::sections::Cell;
use crate::svg::{self, Bar, Heat, HeatCell, Line};

/// Services and environments of a map that fit beside each other; more become another map.
const COLUMNS: usize = 6;
/// Objectives that are drawn; all are in the table.
const MOST_BARS: usize = 40;
/// Trends that are drawn.
const MOST_TRENDS: usize = 24;

pub(super) fn blocks(quarter: &Quarter) -> Vec<Block> {
    let mut blocks = coverage(quarter);
    blocks.extend(targets(quarter));
    blocks.extend(trends(quarter));
    blocks
}

fn coverage(quarter: &Quarter) -> Vec<Block> {
    let mut blocks = vec![heading("coverage", "Coverage")];
    if quarter.coverage.is_empty() {
        blocks.push(Block::Text("The program asks for nothing.".to_owned()));
        return blocks;
    }
    let key = |cell: &Covered| {
        let emulated = if cell.emulated { " (emulated)" } else { "" };
        format!("{} · {}{emulated}", cell.environment, cell.service)
    };
    let mut columns: Vec<String> = Vec::new();
    let mut rows: Vec<String> = Vec::new();
    let mut cells: BTreeMap<(String, String), &Covered> = BTreeMap::new();
    for cell in &quarter.coverage {
        let (row, column) = (row(cell), key(cell));
        if !columns.contains(&column) {
            columns.push(column.clone());
        }
        if !rows.contains(&row) {
            rows.push(row.clone());
        }
        cells.insert((row, column), cell);
    }
    for (number, some) in columns.chunks(COLUMNS).enumerate() {
        let heat = Heat {
            columns: some.to_vec(),
            rows: rows
                .iter()
                .map(|row| {
                    let cells = some.iter().map(|column| {
                        cells.get(&(row.clone(), column.clone())).map(|cell| heat(cell))
                    });
                    (row.clone(), cells.collect())
                })
                .collect(),
        };
        blocks.push(Block::Drawing(svg::heat(&heat, &format!("heat-{number}"))));
    }
    blocks.push(Block::Text(
        "Verified: the last drill passed, and what it passed on is what is there today. Not verified: it passed, and \
         something has changed since, or it showed less than the program asks for."
            .to_owned(),
    ));
    let rows = quarter.coverage.iter().map(covered).collect();
    let columns = ["Scenario", "Where", "Status", "Last drill", "Last pass", "Next", "Why"];
    blocks.push(Block::Table(Table::new("Coverage", &columns, rows)));
    if !quarter.outside.is_empty() {
        blocks.push(Block::Heading(
            3,
            "outside".to_owned(),
            "Drilled, and not in the program".to_owned(),
        ));
        let rows = quarter.outside.iter().map(|one| {
            vec![
                Cell::Code(one.scenario.clone()),
                Cell::Code(one.environment.clone()),
                Cell::Figure(one.runs.to_string()),
                Cell::Text(format!("{} ({})", one.last.on, one.last.verdict.word())),
            ]
        });
        let columns = ["Scenario", "Environment", "Runs in a year", "Last"];
        blocks.push(Block::Table(Table::new(
            "Drilled, and not in the program",
            &columns,
            rows.collect(),
        )));
    }
    blocks
}

fn row(cell: &Covered) -> String {
    match cell.class {
        Class::Tabletop => format!("{} (on paper)", cell.scenario),
        _ => cell.scenario.clone(),
    }
}

fn heat(cell: &Covered) -> HeatCell {
    let class = match cell.status {
        Status::Verified if !cell.overdue => "heat-pass",
        Status::Failed => "heat-fail",
        Status::Excluded | Status::NeverTested => "heat-none",
        Status::Verified | Status::NotVerified | Status::Unknown => "heat-unknown",
    };
    let overdue = if cell.overdue { ", overdue" } else { "" };
    let mark = match cell.status {
        Status::Verified => "✓ ",
        Status::Failed => "✗ ",
        Status::NotVerified | Status::Unknown => "? ",
        Status::NeverTested | Status::Excluded => "– ",
    };
    HeatCell {
        class,
        word: format!("{mark}{}{overdue}", cell.status.word()),
        hint: format!(
            "{} on {} for {}: {}{overdue}. {}",
            cell.scenario,
            cell.environment,
            cell.service,
            cell.status.word(),
            cell.because.join(" ")
        ),
    }
}

fn covered(cell: &Covered) -> Vec<Cell> {
    let run = |run: &Option<crate::quarter::RunRef>| {
        run.as_ref().map_or_else(|| "never".to_owned(), |run| run.on.to_string())
    };
    let overdue = if cell.overdue { " (overdue)" } else { "" };
    let next = cell.next.map_or_else(|| "–".to_owned(), |next| format!("{next}{overdue}"));
    let emulated = if cell.emulated { " (emulated)" } else { "" };
    vec![
        Cell::Code(row(cell)),
        Cell::Code(format!("{} · {}{emulated}", cell.environment, cell.service)),
        Cell::Text(cell.status.word().to_owned()),
        Cell::Text(run(&cell.last)),
        Cell::Text(run(&cell.last_pass)),
        Cell::Text(next),
        Cell::Text(cell.because.join(" ")),
    ]
}

fn targets(quarter: &Quarter) -> Vec<Block> {
    let mut bars = Vec::new();
    for cell in &quarter.coverage {
        let Some(achieved) = &cell.achieved else { continue };
        let emulated = if cell.emulated { " (emulated)" } else { "" };
        let of = |objective: &str| {
            format!(
                "{} on {}{emulated}: {} {objective}",
                cell.scenario, cell.environment, cell.service
            )
        };
        let rto = &achieved.rto;
        bars.push(Bar {
            label: of("RTO"),
            low: rto.at_least_ms,
            high: rto.at_most_ms,
            target: rto.target_ms,
            verdict: rto.verdict,
            figure: figures::rto(rto),
        });
        bars.extend(achieved.rpo.as_ref().map(|rpo| Bar {
            label: of("RPO"),
            low: rpo.at_least_ms,
            high: rpo.at_most_ms,
            target: rpo.target_ms,
            verdict: rpo.verdict,
            figure: match (rpo.lost, rpo.at_least_ms) {
                (Some(0), _) => format!("0 of {} lost", figures::count(rpo.acknowledged)),
                (_, Some(low)) => figures::interval(low, rpo.at_most_ms),
                _ => "not measured".to_owned(),
            },
        }));
    }
    let mut blocks = vec![heading("targets", "Achieved against target")];
    if bars.is_empty() {
        blocks.push(Block::Text("Nothing was measured yet.".to_owned()));
        return blocks;
    }
    let left_out = bars.len().saturating_sub(MOST_BARS);
    bars.truncate(MOST_BARS);
    blocks.push(Block::Text(
        "What the last drill of each achieved. The line is each one's own target.".to_owned(),
    ));
    blocks.push(Block::Drawing(svg::targets(&bars, "quarter")));
    if left_out > 0 {
        blocks.push(Block::Text(format!("{left_out} more are not drawn.")));
    }
    blocks
}

const fn emulated(trend: &Trend) -> &'static str {
    if trend.emulated { " (emulated)" } else { "" }
}

fn trends(quarter: &Quarter) -> Vec<Block> {
    let mut blocks = vec![heading("trends", "Trends")];
    let drawn: Vec<&Trend> = quarter
        .trends
        .iter()
        .filter(|trend| trend.quarters.iter().any(|point| point.rto.n > 0))
        .collect();
    if drawn.is_empty() {
        blocks.push(Block::Text(
            "Nothing was measured in the last quarters, so there is no trend.".to_owned(),
        ));
        return blocks;
    }
    for (number, trend) in drawn.iter().take(MOST_TRENDS).enumerate() {
        let line = Line {
            title: format!(
                "Recovery time of {}: {} on {}{}",
                trend.service,
                trend.scenario,
                trend.environment,
                emulated(trend)
            ),
            points: trend
                .quarters
                .iter()
                .map(|point| svg::Point {
                    label: point.quarter.clone(),
                    low: point.rto.min_ms,
                    middle: point.rto.median_ms,
                    high: point.rto.max_ms,
                    never: point.rto.never,
                    target: point.rto_target_ms,
                })
                .collect(),
        };
        blocks.push(Block::Drawing(svg::trend(&line, &format!("trend-{number}"))));
        if let Some(claim) = &trend.claim {
            blocks.push(Block::Text(format!(
                "The objective was met in each of the last {} under the same conditions: of such recoveries at least {} meet \
                 it ({} confidence).",
                figures::counted(claim.n, "drill", "drills"),
                figures::at_least_percent(claim.share),
                figures::percent(claim.confidence)
            )));
        }
    }
    if drawn.len() > MOST_TRENDS {
        blocks.push(Block::Text(format!("{} more are not drawn.", drawn.len() - MOST_TRENDS)));
    }
    let rows = drawn.iter().flat_map(|trend| {
        trend.quarters.iter().filter(|point| point.n > 0).map(|point| {
            let time = |ms: Option<f64>| {
                Cell::Figure(ms.map_or_else(|| "–".to_owned(), figures::duration))
            };
            vec![
                Cell::Code(format!(
                    "{} on {}{}",
                    trend.scenario,
                    trend.environment,
                    emulated(trend)
                )),
                Cell::Code(trend.service.clone()),
                Cell::Text(point.quarter.clone()),
                Cell::Figure(match point.unchecked {
                    0 => point.n.to_string(),
                    unchecked => format!("{} ({unchecked} unchecked)", point.n),
                }),
                time(point.rto.median_ms),
                time(point.rto.max_ms),
                Cell::Text(figures::at_most(point.rto_target_ms)),
                Cell::Figure(
                    point.lost_writes.map_or_else(|| "not known".to_owned(), figures::count),
                ),
            ]
        })
    });
    let columns = [
        "Scenario",
        "Service",
        "Quarter",
        "Drills",
        "Median RTO",
        "Longest RTO",
        "Target",
        "Writes lost",
    ];
    blocks.push(Block::Table(Table::new("Trends", &columns, rows.collect())));
    if drawn.iter().any(|trend| trend.quarters.iter().any(|point| point.unchecked > 0)) {
        blocks.push(Block::Text(
            "Unchecked: nobody looked at the evidence of these earlier drills for this report; their figures are what the \
             history says, and no claim stands on them."
                .to_owned(),
        ));
    }
    blocks
}
