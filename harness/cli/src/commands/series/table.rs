//! What a series came to, in one table.

use drdrill_core::verdict::Verdict;
use drdrill_reports::history::RunRow;
use drdrill_reports::story;
use tabled::Tabled;

use super::{End, Row};
use crate::commands::history::worst;
use crate::commands::list::table;
use crate::exit::Code;
use crate::out;

#[derive(Tabled)]
struct Line {
    scenario: String,
    verdict: String,
    #[tabled(rename = "RTO")]
    rto: String,
    #[tabled(rename = "RPO lost")]
    lost: String,
    exit: String,
}

/// Prints the table, and below it why those that did not pass did not.
pub(super) fn print(rows: &[Row], must_fail: bool) {
    out::line(&table(&rows.iter().map(|row| line(row, must_fail)).collect::<Vec<_>>()));
    let reasons: Vec<String> = rows.iter().filter_map(|row| reason(row, must_fail)).collect();
    if !reasons.is_empty() {
        out::line("");
    }
    for reason in reasons {
        out::line(&out::harmless(&reason));
    }
    out::line(&format!("\n{}", sum(rows, must_fail)));
}

fn line(row: &Row, must_fail: bool) -> Line {
    let dash = || "-".to_owned();
    let scenario = row.scenario.clone();
    let (verdict, exit) = match &row.end {
        End::Ran(ran) => (story::mark(ran.record.verdict), ran.record.exit_code.to_string()),
        End::Failed(failure) => ("did not begin", (failure.code as u8).to_string()),
        End::NotTried(_) => ("not run", dash()),
    };
    let verdict = match (must_fail, row.as_stated()) {
        (true, Ok(())) => format!("{verdict}, as stated"),
        (true, Err(_)) => format!("{verdict}, NOT AS STATED"),
        (false, _) => verdict.to_owned(),
    };
    let (rto, lost) = row
        .record()
        .and_then(|record| RunRow::of(record).ok())
        .map(|row| worst(&row))
        .unwrap_or_default();
    Line { scenario, verdict, rto: rto.unwrap_or_else(dash), lost: lost.unwrap_or_else(dash), exit }
}

/// Why a drill did not come to what it should.
fn reason(row: &Row, must_fail: bool) -> Option<String> {
    let why = match &row.end {
        _ if must_fail => row.as_stated().err()?,
        End::Ran(ran) if ran.record.verdict == Verdict::Pass => return None,
        End::Ran(ran) => ran.record.reasons.first().cloned().unwrap_or_default(),
        End::Failed(failure) => failure.message.clone(),
        End::NotTried(why) => why.clone(),
    };
    let report = match &row.end {
        End::Ran(ran) => ran.report.as_ref().map(|path| format!("\n  {}", path.display())),
        End::Failed(_) | End::NotTried(_) => None,
    };
    Some(format!("{}: {why}{}", row.scenario, report.unwrap_or_default()))
}

fn sum(rows: &[Row], must_fail: bool) -> String {
    let untried = rows.iter().filter(|row| matches!(row.end, End::NotTried(_))).count();
    let passed = rows.iter().filter(|row| row.code(must_fail) == Some(Code::Passed)).count();
    let others = rows.len() - passed - untried;
    if must_fail {
        return format!("{passed} failed as stated, {others} did not, {untried} not run");
    }
    format!("{passed} passed, {others} did not pass, {untried} not run")
}
