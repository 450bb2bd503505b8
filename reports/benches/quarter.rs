//! The quarterly HTML of 1,000 drills of a real shape in less than 1 s, and of the same with 100,000 runs in the index in less
//! than 5 s and 200 MiB, each in a process of its own.
//!
//! `cargo bench -p drdrill-reports --bench quarter`. Does what `drdrill report quarterly` does once it has read its files:
//! asks the index, reads the quarter's records, compares every file of its runs with the sealed digests, checks the
//! signatures, and writes the page. Files are in the page cache, as after a first look. Beside it: reading the same files
//! and nothing else. Fails when a limit is exceeded.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on stops")]

#[path = "../src/testkit/mod.rs"]
#[expect(dead_code, reason = "a bench needs one of the cases")]
mod testkit;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use drdrill_core::inventory::ServiceFacts;
use drdrill_core::program::{Date, Program, ProgramNames, parse_program};
use drdrill_core::record::{Record, Tool};
use drdrill_core::reporter::{Reporter, Run};
use drdrill_core::scenario::Targets;
use drdrill_reports::evidence::{About, ChainWriter, Head, Signer, Standing, seal, verify_seal};
use drdrill_reports::history::{Filter, Index, RunRow};
use drdrill_reports::quarter::{
    EvidenceState, Inputs, PresentDrill, PresentPlace, quarter, relied_on,
};
use drdrill_reports::{Html, Json, Markdown, Quarterly, side_by_side};
use testkit::{Case, Fixture};

/// Drills of the quarter.
const DRILLS: u32 = 1_000;
/// Runs in the larger index.
const RUNS: u32 = 100_000;
/// Different scenarios.
const SCENARIOS: u32 = 40;
/// Each is done so often; the fastest counts.
const ROUNDS: usize = 5;
const MOST_MIB: u64 = 200;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, what, directory, index] = arguments.as_slice()
        && what == "measure"
    {
        measure(Path::new(directory), Path::new(index));
        return ExitCode::SUCCESS;
    }
    let directory = tempfile::tempdir().unwrap();
    let (few, many) = (directory.path().join("few.db"), directory.path().join("many.db"));
    make(directory.path(), &few, &many);
    let own = std::env::current_exe().unwrap();
    let mut kept = true;
    for (index, runs, limit) in
        [(&few, DRILLS, Duration::from_secs(1)), (&many, RUNS, Duration::from_secs(5))]
    {
        let out = Command::new(&own)
            .arg("measure")
            .args([directory.path(), index.as_path()])
            .output()
            .unwrap();
        let text = String::from_utf8(out.stdout).unwrap();
        let figures: Vec<u64> = text.split_whitespace().map(|word| word.parse().unwrap()).collect();
        let [page_us, files_us, kib, bytes] = figures.as_slice() else {
            println!("no figures: {}", String::from_utf8_lossy(&out.stderr));
            return ExitCode::FAILURE;
        };
        let (page, files) = (Duration::from_micros(*page_us), Duration::from_micros(*files_us));
        println!(
            "{runs} runs in the index, {DRILLS} in the quarter: {page:.2?} ({:.2} of the limit {limit:?}, {:.2} x reading the \
             files, which takes {files:.2?}), {} MiB resident ({} % of the limit), {} kB of HTML",
            page.as_secs_f64() / limit.as_secs_f64(),
            page.as_secs_f64() / files.as_secs_f64(),
            kib / 1024,
            kib * 100 / 1024 / MOST_MIB,
            bytes / 1000
        );
        kept &= page <= limit && kib / 1024 <= MOST_MIB;
    }
    if kept { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn signer() -> Signer {
    Signer::from_seed([7; 32])
}

/// Sealed run directories, as those of a drill with 80 probes a second for a minute, and the two indexes.
fn make(directory: &Path, few: &Path, many: &Path) {
    let Fixture { mut record, history } = Fixture::with_rate(Case::Failed, 20);
    let mut chain = ChainWriter::new(Vec::new());
    for entry in &history {
        chain.append(entry).unwrap();
    }
    let (head, events) = (chain.head(), chain.into_inner());
    let first = Date("2026-10-01".parse().unwrap()).0.and_hms_opt(0, 0, 0).unwrap().and_utc();
    let entered = [few, many].map(|path| Index::open(path).unwrap().0);
    let mut rows = Vec::new();
    for number in 0..RUNS {
        let of_quarter = number < DRILLS;
        // The others are of the four years before.
        let minutes = if of_quarter { i64::from(number) * 70 } else { -i64::from(number) * 21 };
        let started = first + chrono::TimeDelta::minutes(minutes);
        record.run_id = format!("{}-{number:08x}", started.format("%Y%m%d-%H%M%S"));
        record.started_at = started.to_rfc3339();
        record.scenario.name = format!("scenario_{}", number % SCENARIOS);
        rows.push(RunRow::of(&record).unwrap());
        // The oldest ones have opened the findings that are shown, so their evidence is looked at too.
        if of_quarter || number >= RUNS - SCENARIOS {
            write(&directory.join(&record.run_id), &record, &history, head, &events);
        }
        if of_quarter {
            entered[0].enter(&rows[rows.len() - 1..]).unwrap();
        }
        if rows.len() == 1_000 {
            entered[1].enter(&rows).unwrap();
            rows.clear();
        }
    }
}

fn write(
    directory: &Path,
    record: &Record,
    history: &[drdrill_core::event::Entry],
    head: Head,
    events: &[u8],
) {
    fs::create_dir(directory).unwrap();
    fs::write(directory.join("events.jsonl"), events).unwrap();
    let reporters: [&dyn Reporter; 3] = [&Json, &Markdown, &Html];
    for reporter in reporters {
        let mut text = Vec::new();
        reporter.render(Run { record, history, doubt: None }, &mut text).unwrap();
        fs::write(directory.join(reporter.file_name()), text).unwrap();
    }
    let about = About { run_id: &record.run_id, tool: &record.tool, head };
    seal(directory, &about, &signer()).unwrap();
}

fn program() -> (Program, Vec<PresentDrill>) {
    let mut text = "program: many\ntitle: Many\ncurrency: EUR\n\
                    services: [{ name: orders, tier: 1, targets: { rto: 10s } }]\ndrills:\n"
        .to_owned();
    for number in 0..SCENARIOS {
        let _infallible = writeln!(
            text,
            "  - {{ scenario: scenario_{number}, environments: [lab], class: component }}"
        );
    }
    let program = parse_program("many.yaml", &text, &ProgramNames::default()).unwrap();
    let targets = Targets { rto: None, rpo: None, rlo: None };
    let place = PresentPlace {
        environment: "lab".to_owned(),
        emulated: false,
        production: false,
        definition: "d".to_owned(),
        services: vec![ServiceFacts { name: "orders".to_owned(), tier: 1, targets }],
    };
    let present = program.drills.iter().map(|drill| PresentDrill {
        scenario: drill.scenario.clone(),
        title: "A scenario".to_owned(),
        sha256: "s".to_owned(),
        runbook_sha256: None,
        places: vec![place.clone()],
    });
    let present = present.collect();
    (program, present)
}

/// Prints how long the page and its files take, how much memory the first round needs, and how long the page is.
fn measure(directory: &Path, index: &Path) {
    let (program, present) = program();
    let mut bytes = 0;
    let mut kib = 0;
    let page = best(|| {
        bytes = page(directory, index, &program, &present).len();
        if kib == 0 {
            kib = peak_kib();
        }
    });
    let directories: Vec<PathBuf> =
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    let files = best(|| {
        let read = |directory: &PathBuf| -> usize {
            let files = fs::read_dir(directory).into_iter().flatten();
            files.map(|file| fs::read(file.unwrap().path()).unwrap().len()).sum()
        };
        std::hint::black_box(side_by_side(&directories, read));
    });
    println!("{} {} {kib} {bytes}", page.as_micros(), files.as_micros());
}

fn page(directory: &Path, index: &Path, program: &Program, present: &[PresentDrill]) -> String {
    let which: drdrill_reports::quarter::QuarterOf = "2026-Q4".parse().unwrap();
    let (index, _) = Index::open(index).unwrap();
    let rows = index.query(&Filter::default()).unwrap();
    let shown: Vec<&RunRow> =
        rows.iter().filter(|row| which.has(Date(row.started.date_naive()))).collect();
    let records: Vec<Record> = side_by_side(&shown, |row| {
        let text = fs::read_to_string(directory.join(&row.run_id).join("record.json")).unwrap();
        serde_json::from_str(&text).unwrap()
    });
    let nothing = BTreeMap::new();
    let inputs = Inputs {
        quarter: which,
        today: Date("2026-12-31".parse().unwrap()),
        tool: &Tool { version: "0.1.0".to_owned(), commit: None },
        program,
        present,
        rows: &rows,
        records: &records,
        cut_off: &[],
        evidence: &nothing,
        words: &[],
        unreadable: &[],
        gaps: &[],
    };
    let ids: Vec<String> = relied_on(&inputs).into_iter().collect();
    let known = [signer().public()];
    let worth = side_by_side(&ids, |id| verify_seal(&directory.join(id), &known).standing());
    assert!(ids.len() >= DRILLS as usize && worth.iter().all(|one| *one == Standing::Proven));
    let worth = worth.into_iter().map(|_| EvidenceState::Proven);
    let evidence: BTreeMap<String, EvidenceState> = ids.into_iter().zip(worth).collect();
    let quarter = quarter(&Inputs { evidence: &evidence, ..inputs });
    let page = Quarterly { quarter: &quarter, records: &records }.html().unwrap();
    assert_eq!(quarter.drills.len(), DRILLS as usize);
    page
}

/// The most memory that this process ever had resident.
fn peak_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

fn best(mut work: impl FnMut()) -> Duration {
    let round = |_| {
        let start = Instant::now();
        work();
        start.elapsed()
    };
    (0..ROUNDS).map(round).min().unwrap_or_default()
}
