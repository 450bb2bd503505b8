//! `drdrill history quarter`: where a drill program stands, in a page of text or as data.

use chrono::Utc;
use drdrill_core::program::Date;
use drdrill_engine::state::StateDir;
use drdrill_reports::figures;
use drdrill_reports::quarter::Quarter;
use drdrill_reports::quarter::coverage::Cell;
use drdrill_reports::quarter::standing::StandingVerdict;
use tabled::Tabled;

use crate::args::{Format, QuarterArgs};
use crate::commands::list::table;
use crate::exit::{Code, Outcome};
use crate::out;
use crate::quarter::{Asked, gather};

#[derive(Tabled)]
struct CellLine {
    scenario: String,
    environment: String,
    service: String,
    class: &'static str,
    status: String,
    #[tabled(rename = "last drill")]
    last: String,
    next: String,
}

/// Compares a quarter with a drill program.
pub(super) fn quarter(state: &StateDir, args: &QuarterArgs) -> Outcome {
    let quarter = gather(
        state,
        &Asked {
            program: &args.program,
            quarter: args.quarter,
            today: Date(Utc::now().date_naive()),
            trust: args.trust.as_deref(),
        },
    )?
    .quarter;
    match args.format.format {
        Format::Json => out::json(&quarter),
        Format::Text => print(&quarter),
    }
    Ok(match quarter.standing.verdict {
        StandingVerdict::Met | StandingVerdict::MetWithConditions => Code::Passed,
        StandingVerdict::Inconclusive => Code::Unknown,
        StandingVerdict::NotMet => Code::Failed,
    })
}

fn print(quarter: &Quarter) {
    let (period, facts) = (&quarter.period, &quarter.facts);
    let title = format!("{} {}, as of {}", quarter.program.name, period.quarter, period.as_of);
    out::line(&out::harmless(&format!("{title}: {}", quarter.standing.verdict.word())));
    for because in &quarter.standing.because {
        out::line(&out::harmless(&format!("  {because}")));
    }
    out::line("");
    out::line(&table(&quarter.coverage.iter().map(cell).collect::<Vec<_>>()));
    for cell in &quarter.coverage {
        if cell.status != drdrill_reports::quarter::coverage::Status::Verified {
            let what = format!("{} on {}, {}", cell.scenario, cell.environment, cell.service);
            out::line(&out::harmless(&format!("{what}: {}", cell.because.join("; "))));
        }
    }
    let rate = |rate: Option<f64>| rate.map_or_else(|| "not known".to_owned(), figures::percent);
    let kpis =
        [("", Some(&quarter.kpis)), (" on emulated environments", quarter.emulated_kpis.as_ref())];
    out::line("");
    for (whose, kpis) in kpis {
        let Some(kpis) = kpis else { continue };
        let drills = figures::counted(kpis.drills.n, "drill", "drills");
        out::line(&format!(
            "{drills}{whose}: passed {}, RTO met {}, RPO met {}, RLO met {}",
            rate(kpis.drills.rate),
            rate(kpis.rto.rate),
            rate(kpis.rpo.rate),
            rate(kpis.rlo.rate)
        ));
    }
    let findings = figures::counted(facts.findings_open, "finding", "findings");
    out::line(&format!(
        "{findings} open, {} overdue, {} accepted",
        facts.findings_overdue, facts.findings_accepted
    ));
    for gap in &quarter.gaps {
        out::error(&out::harmless(&format!("drdrill: not in these figures: {gap}")));
    }
}

fn cell(cell: &Cell) -> CellLine {
    let mut status = cell.status.word().to_owned();
    if cell.overdue {
        status.push_str(", overdue");
    }
    if cell.emulated {
        status.push_str(", emulated");
    }
    let last = cell.last.as_ref().map(|run| format!("{} {}", run.on, run.verdict.word()));
    CellLine {
        scenario: cell.scenario.clone(),
        environment: cell.environment.clone(),
        service: cell.service.clone(),
        class: cell.class.word(),
        status,
        last: last.unwrap_or_else(|| "-".to_owned()),
        next: cell.next.map_or_else(|| "-".to_owned(), |day| day.to_string()),
    }
}
