//! The report as Markdown, for a pull request or a wiki.

use std::fmt::Write as _;
use std::io;

use drdrill_core::record::{Record, Service};
use drdrill_core::reporter::{Reporter, Run};

use crate::doc::{Block, Doc, Table};
use crate::escape::{self, markdown as inline, markdown_code as code};
use crate::evidence::{VERIFY_BY_HAND, VERIFY_REPORT_BY_HAND};
use crate::sections::{Cell, Section, sections};
use crate::{figures, story, words};

/// Writes the whole report in GitHub's Markdown.
#[derive(Clone, Copy, Debug, Default)]
pub struct Markdown;

impl Reporter for Markdown {
    fn file_name(&self) -> &'static str {
        "report.md"
    }

    fn render(&self, run: Run<'_>, out: &mut dyn io::Write) -> io::Result<()> {
        out.write_all(text(run).as_bytes())
    }
}

fn text(run: Run<'_>) -> String {
    let record = run.record;
    let mut out = head(record);
    out.push_str(&objectives(record));
    out.push_str(&recommendations(record));
    for section in sections(run) {
        out.push_str(&table(section));
    }
    out.push_str(&verify(run));
    out
}

fn head(record: &Record) -> String {
    let environment = &record.environment;
    let mut out = format!(
        "# {}: {}\n\n{}\n\n{} on {}, {}, {}, {}.\n",
        story::headline(record),
        inline(&record.scenario.title),
        inline(&story::summary(record)),
        code(&record.scenario.name),
        code(&environment.name),
        story::kind(record.kind),
        code(&record.started_at),
        figures::duration(record.duration_ms),
    );
    if environment.emulated {
        out.push_str(
            "\n**The environment is emulated: its times say nothing about the real thing.**\n",
        );
    }
    if !record.reasons.is_empty() {
        out.push('\n');
    }
    for reason in &record.reasons {
        let _infallible = writeln!(out, "- {}", inline(reason));
    }
    out
}

fn objectives(record: &Record) -> String {
    if record.services.is_empty() || record.tabletop.is_some() {
        return String::new();
    }
    let mut out =
        "\n## Objectives\n\n| Service | Tier | Objective | Target | Achieved | Result |\n\
                   |---|---|---|---|---|---|\n"
            .to_owned();
    for service in &record.services {
        for (objective, target, achieved, verdict) in rows(service) {
            let _infallible = writeln!(
                out,
                "| {} | {} | {objective} | {target} | {achieved} | {} |",
                code(&service.name),
                service.tier,
                story::mark(verdict),
            );
        }
    }
    for service in &record.services {
        let seen = figures::outage(service.outage);
        let lost = service
            .lost_service_ms
            .map(|ms| format!(", {} of full service lost", figures::duration(ms)))
            .unwrap_or_default();
        let _infallible = writeln!(
            out,
            "\n{}: clients saw an outage of {seen}{lost}; {}.",
            code(&service.name),
            words::samples(service.samples)
        );
        if let Some(back) = words::way_back(record, service) {
            let _infallible =
                writeln!(out, "\nWay back of {}: {}.", code(&service.name), inline(&back));
        }
    }
    out
}

fn rows(service: &Service) -> Vec<(&'static str, String, String, drdrill_core::verdict::Verdict)> {
    let mut rows = vec![(
        "RTO",
        figures::at_most(service.rto.target_ms),
        figures::rto(&service.rto),
        service.rto.verdict,
    )];
    if let Some(rpo) = &service.rpo {
        let loss = if rpo.writes.lost > 0 {
            format!("{}; {}", figures::rpo(rpo), figures::lost_writes(rpo))
        } else {
            figures::rpo(rpo)
        };
        rows.push(("RPO", figures::at_most(rpo.target_ms), loss, rpo.verdict));
    }
    rows.push((
        "RLO",
        figures::at_least(service.rlo.target),
        figures::rlo(&service.rlo),
        service.rlo.verdict,
    ));
    // Our own digits: nothing but `<` means anything.
    for row in &mut rows {
        row.2 = row.2.replace('<', "&lt;");
    }
    rows
}

fn recommendations(record: &Record) -> String {
    let mut out = "\n## Recommendations\n\n".to_owned();
    if record.recommendations.is_empty() {
        out.push_str("None.\n");
    }
    for (number, advice) in record.recommendations.iter().enumerate() {
        let _infallible =
            writeln!(out, "{}. {} ({})", number + 1, inline(&advice.text), code(&advice.rule));
        for figure in &advice.evidence {
            let _infallible = writeln!(out, "   - {}", inline(figure));
        }
    }
    out
}

/// A report of blocks. What a drawing shows is told in words.
pub(crate) fn of_doc(doc: &Doc) -> String {
    let badge = doc.badge.as_ref().map(|(_, text)| format!("{}: ", inline(text)));
    let mut out =
        format!("# {}{}\n\n{}\n", badge.unwrap_or_default(), inline(&doc.title), inline(&doc.lead));
    for block in &doc.blocks {
        let _infallible = match block {
            Block::Heading(level, _, text) => {
                write!(out, "\n{} {}\n", "#".repeat(usize::from(*level)), inline(text))
            }
            Block::Text(text) => write!(out, "\n{}\n", inline(text)),
            Block::Notice(_, text) => write!(out, "\n**{}**\n", inline(text)),
            Block::List(points) => {
                let points = points.iter().map(|point| format!("- {}\n", inline(point)));
                write!(out, "\n{}", points.collect::<String>())
            }
            Block::Commands(lines) => {
                let lines = lines.iter().map(|line| escape::terminal(line));
                write!(out, "\n```sh\n{}\n```\n", lines.collect::<Vec<_>>().join("\n"))
            }
            Block::Drawing(drawing) => {
                let words = format!("{}: {}", drawing.title, drawing.description);
                write!(out, "\n{}\n", inline(words.trim_end_matches([':', ' '])))
            }
            Block::Table(table) => write!(out, "\n{}", rows_of(table)),
        };
    }
    let _infallible = write!(out, "\n{}\n", inline(&doc.foot));
    out
}

fn table(section: Section) -> String {
    let mut out = format!("\n## {}\n", section.title);
    if !section.note.is_empty() {
        let _infallible = write!(out, "\n{}\n", inline(&section.note));
    }
    if !section.rows.is_empty() {
        let table = Table::new(section.title, section.columns, section.rows);
        let _infallible = write!(out, "\n{}", rows_of(&table));
    }
    out
}

fn rows_of(table: &Table) -> String {
    // Columns of figures are set to the right.
    let rule = |column| if table.is_figures(column) { "---:|" } else { "---|" };
    let rule: String = (0..table.columns.len()).map(rule).collect();
    let columns: Vec<String> = table.columns.iter().map(|name| inline(name)).collect();
    let mut out = format!("| {} |\n|{rule}\n", columns.join(" | "));
    for row in &table.rows {
        let cells: Vec<String> = row.iter().map(cell).collect();
        let _infallible = writeln!(out, "| {} |", cells.join(" | "));
    }
    out
}

fn cell(cell: &Cell) -> String {
    match cell {
        Cell::Text(text) => inline(text),
        // Our own digits: nothing but `<` means anything.
        Cell::Figure(text) => text.replace('<', "&lt;"),
        Cell::Code(text) => code(text),
        Cell::Verdict(verdict) => story::mark(*verdict).to_owned(),
        Cell::Blank => String::new(),
    }
}

fn verify(run: Run<'_>) -> String {
    let doubt = words::doubt(run).map(|text| format!("{}\n\n", inline(&text)));
    format!(
        "\n## How to verify this evidence\n\n\
         {}`drdrill verify DIRECTORY`, or without drdrill, inside the run directory:\n\n\
         ```sh\n{}\n```\n\n\
         The first compares every file with its digest; the second checks who signed the list of digests. Anybody can \
         make a key: compare the fingerprint that the second prints with one that you got by another \
         way. A local chain proves tampering only after its head was signed or published.\n\n\
         {}\n\n```sh\n{VERIFY_REPORT_BY_HAND}\n```\n",
        doubt.unwrap_or_default(),
        VERIFY_BY_HAND.join("\n"),
        words::VERIFY_REPORT
    )
}

#[cfg(test)]
mod tests;
