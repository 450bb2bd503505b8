//! `drdrill history`: a table of the runs.

use chrono::{DateTime, SecondsFormat, Utc};
use drdrill_core::names::known_names;
use drdrill_core::scenario::Kind;
use drdrill_core::verdict::Verdict;
use drdrill_engine::state::StateDir;
use drdrill_reports::figures;
use drdrill_reports::history::{
    Ended, Filter, RunRow, ServiceRow, parse_since, parse_until, time_of_id,
};
use serde::Serialize;
use tabled::Tabled;

use crate::args::{EndedArg, Format, ListRunsArgs};
use crate::catalog::{ENVIRONMENTS, SCENARIOS};
use crate::exit::{Code, Failure, Outcome};
use crate::out;
use crate::runs::{Runs, Unrecorded};

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
    /// What to know before its figures are compared with others.
    #[tabled(format("{}", self.notes.join(", ")))]
    notes: Vec<String>,
    #[tabled(skip)]
    started_at: Option<String>,
    #[tabled(skip)]
    details: Option<Details>,
    #[serde(skip)]
    #[tabled(skip)]
    started: Option<DateTime<Utc>>,
}

/// What only programs want to know.
#[expect(clippy::struct_excessive_bools, reason = "facts, each of its own")]
#[derive(Debug, Serialize)]
struct Details {
    kind: Kind,
    exit_code: u8,
    duration_ms: f64,
    emulated: bool,
    production: bool,
    must_fail: bool,
    imported: bool,
    settings: Vec<String>,
    services: Vec<ServiceRow>,
}

/// Lists the runs that are asked for, oldest first.
pub(super) fn list(state: &StateDir, args: &ListRunsArgs) -> Outcome {
    let filter = filter(args, Utc::now())?;
    let runs = Runs::of(state)?;
    known(&runs, args)?;
    let mut rows: Vec<Row> = runs.find(&filter)?.into_iter().map(of_record).collect();
    let others = runs.unrecorded.iter().filter(|run| {
        let names = (run.scenario.as_deref(), run.environment.as_deref());
        filter.matches(names.0, names.1, run.ended, run.started)
    });
    rows.extend(others.map(of_unrecorded));
    rows.sort_by(|a, b| (began(a), &a.run).cmp(&(began(b), &b.run)));
    if let Some(newest) = args.newest {
        let newest = usize::try_from(newest).unwrap_or(usize::MAX);
        rows.drain(..rows.len().saturating_sub(newest));
    }
    if args.format.format == Format::Json {
        out::json(&rows);
    } else if rows.is_empty() && runs.recorded == 0 && runs.unrecorded.is_empty() {
        out::line(&format!("there are no runs in {} yet", state.root().display()));
    } else if rows.is_empty() {
        out::line("no run is like that");
    } else {
        out::line(&crate::commands::list::table(&rows));
    }
    Ok(Code::Passed)
}

/// When a run began. Ids begin with their time, which stands for one that is not known.
fn began(row: &Row) -> Option<DateTime<Utc>> {
    row.started.or_else(|| time_of_id(&row.run))
}

fn filter(args: &ListRunsArgs, now: DateTime<Utc>) -> Result<Filter, Failure> {
    let usage = |why: String| Failure::new(Code::Usage, why);
    let ended = args.ended.iter().map(|ended| match ended {
        EndedArg::Pass => Ended::With(Verdict::Pass),
        EndedArg::Unknown => Ended::With(Verdict::Unknown),
        EndedArg::Fail => Ended::With(Verdict::Fail),
        EndedArg::CutOff => Ended::CutOff,
        EndedArg::Running => Ended::Running,
    });
    let since = args.since.as_ref().map(|text| parse_since(text, now)).transpose();
    let until = args.until.as_ref().map(|text| parse_until(text, now)).transpose();
    Ok(Filter {
        scenarios: args.scenarios.clone(),
        environments: args.environments.clone(),
        ended: ended.collect(),
        since: since.map_err(usage)?,
        until: until.map_err(usage)?,
        newest: args.newest,
    })
}

/// Refuses names that nobody has heard of: a typo would look like a scenario that was never drilled.
fn known(runs: &Runs, args: &ListRunsArgs) -> Result<(), Failure> {
    let (mut scenarios, mut environments) = runs.names()?;
    for run in &runs.unrecorded {
        scenarios.extend(run.scenario.clone());
        environments.extend(run.environment.clone());
    }
    scenarios.extend(SCENARIOS.iter().map(|one| one.name.to_owned()));
    environments.extend(ENVIRONMENTS.iter().map(|one| one.name.to_owned()));
    for (what, wanted, mut known) in [
        ("scenario", &args.scenarios, scenarios),
        ("environment", &args.environments, environments),
    ] {
        known.sort();
        known.dedup();
        if let Some(name) = wanted.iter().find(|name| !known.contains(name)) {
            let known = known_names(name, known.iter().map(String::as_str));
            let message = format!("no run and nothing shipped has the {what} `{name}`; {known}");
            return Err(Failure::new(Code::Usage, message));
        }
    }
    Ok(())
}

fn none() -> String {
    "-".to_owned()
}

fn of_record(row: RunRow) -> Row {
    let (rto, lost) = worst(&row);
    let mut notes = Vec::new();
    let facts = [
        (row.kind == Kind::Tabletop, "tabletop"),
        (row.scenario.must_fail, "must fail"),
        (row.environment.emulated, "emulated"),
        (row.environment.production, "production"),
        (row.imported, "imported"),
    ];
    notes.extend(facts.iter().filter(|(is, _)| *is).map(|(_, word)| (*word).to_owned()));
    notes.extend(row.scenario.settings.iter().cloned());
    Row {
        run: row.run_id,
        scenario: row.scenario.name.clone(),
        environment: row.environment.name.clone(),
        verdict: row.verdict.word().to_owned(),
        rto: rto.unwrap_or_else(none),
        lost: lost.unwrap_or_else(none),
        notes,
        started_at: Some(row.started.to_rfc3339_opts(SecondsFormat::Millis, true)),
        started: Some(row.started),
        details: Some(Details {
            kind: row.kind,
            exit_code: row.exit_code,
            duration_ms: row.duration_ms,
            emulated: row.environment.emulated,
            production: row.environment.production,
            must_fail: row.scenario.must_fail,
            imported: row.imported,
            settings: row.scenario.settings.clone(),
            services: row.services,
        }),
    }
}

fn of_unrecorded(run: &Unrecorded) -> Row {
    let verdict = match (&run.unreadable, run.ended) {
        (Some(_), _) => "unreadable",
        (None, Ended::Running) => "running",
        (None, _) => "cut off",
    };
    let imported = run.imported.then(|| "imported".to_owned());
    Row {
        run: run.run_id.clone(),
        scenario: run.scenario.clone().unwrap_or_else(none),
        environment: run.environment.clone().unwrap_or_else(none),
        verdict: verdict.to_owned(),
        rto: none(),
        lost: none(),
        notes: imported.into_iter().chain(run.unreadable.clone()).collect(),
        started_at: run.started.map(|at| at.to_rfc3339_opts(SecondsFormat::Millis, true)),
        started: run.started,
        details: None,
    }
}

/// The longest recovery time and the writes lost, over all services.
pub(in crate::commands) fn worst(row: &RunRow) -> (Option<String>, Option<String>) {
    let measured = row.services.iter().filter_map(|service| service.rpo.as_ref());
    let measured = measured.filter(|rpo| rpo.is_measured());
    let lost: Vec<String> =
        measured.map(|rpo| format!("{} of {}", rpo.lost, rpo.acknowledged)).collect();
    (row.slowest().map(figures::rto), (!lost.is_empty()).then(|| lost.join(", ")))
}
