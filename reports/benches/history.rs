//! A hundred thousand runs in the index: how long it takes to enter one more, and to answer questions.
//!
//! `cargo bench -p drdrill-reports --bench history`

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use drdrill_core::record::{EnvironmentRef, Rlo, Rto, ScenarioRef};
use drdrill_core::scenario::Kind;
use drdrill_core::verdict::Verdict;
use drdrill_reports::history::{Ended, Filter, Functions, Index, RunRow, ServiceRow};

/// So many runs.
const RUNS: u32 = 100_000;
/// Each question is asked so often; the median counts.
const TIMES: usize = 21;

fn row(number: u32) -> RunRow {
    let verdict = match number % 10 {
        0 => Verdict::Fail,
        1 => Verdict::Unknown,
        _ => Verdict::Pass,
    };
    let ms = f64::from(1_000 + number % 500);
    RunRow {
        run_id: format!("20260101-000000-{number:08x}"),
        started: chrono::DateTime::UNIX_EPOCH + chrono::TimeDelta::minutes(number.into()),
        duration_ms: 30_000.0,
        scenario: Arc::new(ScenarioRef {
            name: format!("scenario_{}", number % 40),
            title: "A scenario".to_owned(),
            sha256: "0".repeat(64),
            must_fail: false,
            settings: Vec::new(),
        }),
        environment: Arc::new(EnvironmentRef {
            name: format!("environment_{}", number % 10),
            provider: "lab".to_owned(),
            emulated: false,
            fingerprint: "f".to_owned(),
            definition: Some("1".repeat(64)),
            production: false,
            pin: Vec::new(),
        }),
        kind: Kind::Simulated,
        tool: "0.1.0".to_owned(),
        verdict,
        exit_code: 0,
        faults: 1,
        services: vec![ServiceRow {
            name: "store".to_owned(),
            tier: 1,
            rto: Rto {
                target_ms: Some(15_000.0),
                at_least_ms: Some(ms),
                at_most_ms: Some(ms + 20.0),
                verdict,
            },
            outage: None,
            rpo: None,
            rlo: Rlo { target: None, achieved: None, verdict: Verdict::Unknown },
        }],
        functions: Functions::default(),
        problems: Vec::new(),
        looked_at: Arc::default(),
        leftovers: 0,
        runbook: None,
        imported: false,
    }
}

fn median<T>(
    mut work: impl FnMut() -> Result<T, Box<dyn Error>>,
) -> Result<(Duration, T), Box<dyn Error>> {
    let mut last = None;
    let mut times = Vec::new();
    for _ in 0..TIMES {
        let began = Instant::now();
        last = Some(work()?);
        times.push(began.elapsed());
    }
    times.sort();
    Ok((times[TIMES / 2], last.ok_or("asked no question")?))
}

fn main() -> Result<(), Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("history.db");
    let rows: Vec<RunRow> = (0..RUNS).map(row).collect();
    let began = Instant::now();
    let (index, _) = Index::open(&path)?;
    index.enter(&rows)?;
    println!("{RUNS} runs entered in one go: {:.2?}", began.elapsed());
    drop(index);
    let bytes = std::fs::metadata(&path)?.len();
    println!("the index has {} bytes, {} a run", bytes, bytes / u64::from(RUNS));
    let mut next = RUNS;
    let (time, ()) = median(|| {
        next += 1;
        let (index, _) = Index::open(&path)?;
        Ok(index.enter([&row(next)])?)
    })?;
    println!("opened, and one more entered: {time:.2?}");
    let (index, _) = Index::open(&path)?;
    let all = Filter::default;
    let of = |text: &str| vec![text.to_owned()];
    let questions = [
        ("the newest 20", Filter { newest: Some(20), ..all() }),
        (
            "one scenario on one environment",
            Filter { scenarios: of("scenario_7"), environments: of("environment_7"), ..all() },
        ),
        (
            "one scenario, the newest 20",
            Filter { scenarios: of("scenario_7"), newest: Some(20), ..all() },
        ),
        (
            "a day",
            Filter {
                since: Some(rows[50_000].started),
                until: Some(rows[51_440].started),
                ..all()
            },
        ),
        (
            "one environment, failed, a week",
            Filter {
                environments: of("environment_0"),
                ended: vec![Ended::With(Verdict::Fail)],
                since: Some(rows[50_000].started),
                until: Some(rows[60_080].started),
                ..all()
            },
        ),
        ("all of them", all()),
    ];
    for (what, filter) in questions {
        let (time, found) = median(|| Ok(index.query(&filter)?))?;
        println!("{what}: {} runs in {time:.2?}", found.len());
    }
    Ok(())
}
