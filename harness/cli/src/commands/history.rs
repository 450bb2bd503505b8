//! `drdrill history`.

use drdrill_core::record::Record;
use drdrill_engine::ledger::{Ledger, LedgerError};
use drdrill_engine::state::StateDir;
use drdrill_reports::figures;
use serde::Serialize;
use tabled::Tabled;

use crate::args::{Format, FormatArgs};
use crate::exit::{Code, Failure, Outcome};
use crate::{evidence, out};

#[derive(Debug, Serialize, Tabled)]
struct Row {
    run: String,
    scenario: String,
    environment: String,
    verdict: String,
    #[tabled(rename = "RTO")]
    rto: String,
    #[tabled(rename = "lost")]
    lost: String,
}

/// Lists the runs, oldest first.
pub(crate) fn history(state: &StateDir, args: FormatArgs) -> Outcome {
    let ids = state.run_ids().map_err(|error| {
        Failure::new(Code::NotReady, format!("read {}: {error}", state.runs().display()))
    })?;
    let drills = ids.into_iter().filter(|id| evidence::has_history(state, id));
    let rows: Vec<Row> = drills.map(|id| row(state, id)).collect();
    if args.format == Format::Json {
        out::json(&rows);
    } else if rows.is_empty() {
        out::line(&format!("there are no runs in {} yet", state.root().display()));
    } else {
        out::line(&super::list::table(&rows));
    }
    Ok(Code::Passed)
}

fn row(state: &StateDir, run: String) -> Row {
    let dir = state.run(&run);
    let none = || "-".to_owned();
    let Ok(record) = evidence::read_record(&dir) else {
        let busy = matches!(Ledger::take_over(&state.ledger(&run)), Err(LedgerError::InUse { .. }));
        let verdict = if busy { "running" } else { "cut off" }.to_owned();
        return Row {
            run,
            scenario: none(),
            environment: none(),
            verdict,
            rto: none(),
            lost: none(),
        };
    };
    let (rto, lost) = worst(&record);
    Row {
        run,
        scenario: record.scenario.name,
        environment: record.environment.name,
        verdict: record.verdict.word().to_owned(),
        rto: rto.unwrap_or_else(none),
        lost: lost.unwrap_or_else(none),
    }
}

/// The longest recovery time and the writes lost, over all services.
pub(super) fn worst(record: &Record) -> (Option<String>, Option<String>) {
    let slowest = record.services.iter().max_by(|a, b| {
        let end = |service: &drdrill_core::record::Service| service.rto.at_least_ms.unwrap_or(0.0);
        end(a).total_cmp(&end(b))
    });
    let lost: Vec<String> = record
        .services
        .iter()
        .filter_map(|service| service.rpo.as_ref())
        .filter(|rpo| figures::is_measured(rpo))
        .map(|rpo| format!("{} of {}", rpo.writes.lost, rpo.writes.acknowledged))
        .collect();
    (slowest.map(|service| figures::rto(&service.rto)), (!lost.is_empty()).then(|| lost.join(", ")))
}
