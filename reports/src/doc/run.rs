//! The report of a run as blocks, for PDF.

use drdrill_core::record::{Record, Service};
use drdrill_core::reporter::Run;
use drdrill_core::verdict::Verdict;

use super::{Block, Doc, Table, heading};
use crate::evidence::{VERIFY_BY_HAND, VERIFY_REPORT_BY_HAND};
use crate::sections::{Cell, sections};
use crate::svg::{self, Bar, Shape};
use crate::timeline::timeline;
use crate::words::{VERIFY_REPORT, doubt};
use crate::{figures, phases, story};

/// The report of a run.
pub(crate) fn of_run(run: Run<'_>) -> Doc {
    let record = run.record;
    let verdict = if record.leftovers.is_empty() { record.verdict } else { Verdict::Fail };
    let mut blocks = Vec::new();
    if !record.reasons.is_empty() {
        blocks.push(Block::List(record.reasons.clone()));
    }
    if record.environment.emulated {
        blocks.push(Block::Notice(Verdict::Unknown, EMULATED.to_owned()));
    }
    objectives(record, &mut blocks);
    drawings(run, &mut blocks);
    blocks.push(heading("recommendations", "Recommendations"));
    if record.recommendations.is_empty() {
        blocks.push(Block::Text("None.".to_owned()));
    }
    for (number, advice) in record.recommendations.iter().enumerate() {
        blocks.push(Block::Text(format!("{}. {}", number + 1, advice.text)));
        blocks.push(Block::List(advice.evidence.clone()));
    }
    for section in sections(run) {
        blocks.push(heading(section.id, section.title));
        if !section.note.is_empty() {
            blocks.push(Block::Text(section.note));
        }
        if !section.rows.is_empty() {
            blocks.push(Block::Table(Table::new(section.title, section.columns, section.rows)));
        }
    }
    verify(run, &mut blocks);
    Doc {
        title: record.scenario.title.clone(),
        badge: Some((verdict, story::headline(record).to_owned())),
        lead: story::summary(record),
        date: record.finished_at.clone().unwrap_or_else(|| record.started_at.clone()),
        foot: format!("Run {}, drdrill {}", record.run_id, record.tool.version),
        blocks,
    }
}

const EMULATED: &str = "Emulated environment: the procedure was exercised; the times say nothing about the real thing.";

fn objectives(record: &Record, blocks: &mut Vec<Block>) {
    if record.services.is_empty() || record.tabletop.is_some() {
        return;
    }
    blocks.push(heading("objectives", "Objectives"));
    let bars: Vec<Bar> = record.services.iter().flat_map(bars).collect();
    blocks.push(Block::Drawing(svg::targets(&bars, "objectives")));
    let rows = record.services.iter().flat_map(|service| {
        let rto = &service.rto;
        let mut rows = vec![objective(
            service,
            "RTO",
            figures::at_most(rto.target_ms),
            figures::rto(rto),
            rto.verdict,
        )];
        if let Some(rpo) = &service.rpo {
            let lost = if rpo.writes.lost > 0 {
                format!("{}; {}", figures::rpo(rpo), figures::lost_writes(rpo))
            } else {
                figures::rpo(rpo)
            };
            rows.push(objective(
                service,
                "RPO",
                figures::at_most(rpo.target_ms),
                lost,
                rpo.verdict,
            ));
        }
        let rlo = &service.rlo;
        rows.push(objective(
            service,
            "RLO",
            figures::at_least(rlo.target),
            figures::rlo(rlo),
            rlo.verdict,
        ));
        rows
    });
    let columns = ["Service", "Objective", "Target", "Achieved", "Result"];
    blocks.push(Block::Table(Table::new("Objectives", &columns, rows.collect())));
}

fn objective(
    service: &Service,
    name: &str,
    target: String,
    achieved: String,
    verdict: Verdict,
) -> Vec<Cell> {
    vec![
        Cell::Code(service.name.clone()),
        Cell::Text(name.to_owned()),
        Cell::Text(target),
        Cell::Text(achieved),
        Cell::Verdict(verdict),
    ]
}

/// Recovery time and recovery point of a service against their targets.
fn bars(service: &Service) -> Vec<Bar> {
    let rto = &service.rto;
    let mut bars = vec![Bar {
        label: format!("{} RTO", service.name),
        low: rto.at_least_ms,
        high: rto.at_most_ms,
        target: rto.target_ms,
        verdict: rto.verdict,
        figure: figures::rto(rto),
    }];
    bars.extend(service.rpo.as_ref().map(|rpo| Bar {
        label: format!("{} RPO", service.name),
        low: rpo.at_least_ms,
        high: rpo.at_most_ms,
        target: rpo.target_ms,
        verdict: rpo.verdict,
        figure: figures::rpo(rpo),
    }));
    bars
}

fn drawings(run: Run<'_>, blocks: &mut Vec<Block>) {
    let record = run.record;
    let line = timeline(run.history, record.duration_ms, Shape::PAGE.bins);
    if !line.streams.is_empty() {
        blocks.push(heading("timeline", "Timeline"));
        blocks.push(Block::Drawing(svg::chart(record, &line, Shape::PAGE)));
        blocks.push(Block::Text(
            "Each stream: outcomes of what was sent in that moment (green succeeded, red failed, yellow unknown, violet \
             drdrill's own error), and below it the latency of successes on a logarithmic scale. A moment with a single \
             failure shows it."
                .to_owned(),
        ));
    }
    let spans = phases::told(record);
    let words: Vec<String> =
        spans.iter().map(|span| format!("{} {}", span.phase.word(), span.took())).collect();
    if let Some(bar) = svg::phase_bar(&spans, &format!("Phases: {}", words.join(", "))) {
        blocks.push(heading("split", "From fault to full capacity"));
        blocks.push(Block::Drawing(bar));
        blocks.push(Block::Text(format!("{}.", words.join(", "))));
    }
}

fn verify(run: Run<'_>, blocks: &mut Vec<Block>) {
    blocks.push(heading("verify", "How to verify this evidence"));
    blocks.extend(doubt(run).map(|text| Block::Notice(Verdict::Unknown, text)));
    blocks.push(Block::Text(
        "drdrill verify DIRECTORY, or without drdrill, inside the run directory:".to_owned(),
    ));
    blocks.push(Block::Commands(VERIFY_BY_HAND.map(str::to_owned).to_vec()));
    blocks.push(Block::Text(
        "The first compares every file with its digest; the second checks who signed the list of digests. Anybody can make \
         a key: compare the fingerprint that the second prints with one that you got by another way. A local \
         chain proves tampering only after its head was signed or published."
            .to_owned(),
    ));
    blocks.push(Block::Text(VERIFY_REPORT.to_owned()));
    blocks.push(Block::Commands(vec![VERIFY_REPORT_BY_HAND.to_owned()]));
}
