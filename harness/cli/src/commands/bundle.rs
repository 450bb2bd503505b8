//! `drdrill bundle`: the evidence of a quarter in one archive, for an auditor.
//!
//! What is broken is never left out silently: either nothing is packed, or it is packed and named first.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use chrono::{Datelike as _, NaiveDate, Utc};
use drdrill_core::program::Date;
use drdrill_engine::state::StateDir;
use drdrill_reports::Quarterly;
use drdrill_reports::evidence::PublicKey;
use drdrill_reports::evidence::bundle::{BundleError, Bundled, BundledRun, Contents, write_bundle};
use drdrill_reports::history::{Ended, RunRow};
use drdrill_reports::quarter::{EvidenceState, QuarterOf};

use crate::args::{BundleArgs, Format};
use crate::commands::report::{refuse_inside, write_whole};
use crate::exit::{Code, Failure, Outcome};
use crate::quarter::{Asked, Gathered, gather};
use crate::runs::{Unrecorded, day_of_id};
use crate::worth::{Look, Place};
use crate::{evidence, out};

/// Packs the evidence of a quarter.
pub(crate) fn bundle(state: &StateDir, args: &BundleArgs) -> Outcome {
    let today = Date(Utc::now().date_naive());
    let which = args.quarter.unwrap_or_else(|| QuarterOf::of(today));
    let gathered = gather(
        state,
        &Asked {
            program: &args.program,
            quarter: Some(which),
            today,
            trust: args.trust.as_deref(),
        },
    )?;
    let known = evidence::trusted_keys(state, args.trust.as_deref())?;
    let runs = runs(state, which, &gathered, &known)?;
    if runs.is_empty() {
        let message = format!("there is no run of {which} in {}", state.root().display());
        return Err(Failure::new(Code::Usage, message));
    }
    if !args.allow_broken {
        refuse_broken(which, &runs)?;
    }
    let name = format!("drdrill-{which}");
    let file = args.output.clone().unwrap_or_else(|| PathBuf::from(format!("{name}.tar.gz")));
    for root in [state.runs(), state.imported()] {
        refuse_inside(&root, Some(&file))?;
    }
    let signer = evidence::signer(state, args.key.as_deref())?;
    let whose = &gathered.quarter.program;
    let whose = if whose.organisation.is_empty() { &whose.title } else { &whose.organisation };
    let period = &gathered.quarter.period;
    let contents = Contents {
        title: format!(
            "Evidence of disaster recovery drills, {which}, as of {}: {whose}",
            period.as_of
        ),
        as_of_days: days(period.as_of),
        files: files(state, &gathered)?,
        runs,
        vouched: known.into_iter().filter(|key| *key != signer.public()).collect(),
        name,
    };
    let bundled = write_whole(&file, |out| write_bundle(out, &contents, &signer)).map_err(
        |error: BundleError| {
            Failure::new(Code::NotReady, format!("write {}: {error}", file.display()))
        },
    )?;
    tell(args, &file, &contents, &bundled);
    Ok(Code::Passed)
}

/// Days since 1970.
fn days(day: Date) -> u64 {
    let since = day.0.num_days_from_ce() - NaiveDate::default().num_days_from_ce();
    u64::try_from(since).unwrap_or_default()
}

/// The runs of the quarter, those without a record among them, and the earlier ones that its report relies on.
fn runs(
    state: &StateDir,
    which: QuarterOf,
    gathered: &Gathered,
    known: &[PublicKey],
) -> Result<Vec<BundledRun>, Failure> {
    let mut all = BTreeMap::new();
    let shown = |row: &&RunRow| gathered.relied_on.contains(&row.run_id);
    for row in gathered.rows.iter().filter(shown) {
        all.insert(row.run_id.clone(), of_row(state, row, known));
    }
    for run in gathered.unrecorded.iter().filter(|run| is_of(which, run)) {
        if run.ended == Ended::Running {
            let message = format!("run {} is running: pack {which} when it is over", run.run_id);
            return Err(Failure::new(Code::NotReady, message));
        }
        all.insert(run.run_id.clone(), of_unrecorded(state, run));
    }
    Ok(all.into_values().collect())
}

/// Whether a run without a record is of a quarter; of one that says nothing of its time nobody can tell that it is not.
fn is_of(which: QuarterOf, run: &Unrecorded) -> bool {
    let began = run.started.map(|at| Date(at.date_naive()));
    began.or_else(|| day_of_id(&run.run_id)).is_none_or(|day| which.has(day))
}

fn of_row(state: &StateDir, row: &RunRow, known: &[PublicKey]) -> BundledRun {
    let origin = if row.imported { ", from another machine" } else { "" };
    let must_fail = if row.scenario.must_fail { ", must fail" } else { "" };
    let about = format!(
        "{} {} on {}: {}{must_fail}{origin}",
        row.started.format("%Y-%m-%d"),
        row.scenario.name,
        row.environment.name,
        row.verdict.word()
    );
    let place = Place { state, run_id: &row.run_id, imported: row.imported };
    let found = place.worth(known, Look::Everything);
    let by = found.signed_by.as_deref().unwrap_or("nobody");
    let (worth, broken) = match found.state {
        EvidenceState::Proven => (format!("whole, signed by {by}"), false),
        EvidenceState::SignedByStranger => {
            (format!("whole, signed by {by}, a key that nobody vouched for"), false)
        }
        EvidenceState::Unsigned => ("whole, not signed".to_owned(), false),
        EvidenceState::RecordAlone | EvidenceState::NotChecked => {
            ("NOT SEALED: a record, and nothing that would prove it".to_owned(), true)
        }
        EvidenceState::Damaged => {
            (format!("DAMAGED: {}", found.wrong.as_deref().unwrap_or("nobody knows how")), true)
        }
    };
    BundledRun { run_id: row.run_id.clone(), directory: place.directory(), about, worth, broken }
}

fn of_unrecorded(state: &StateDir, run: &Unrecorded) -> BundledRun {
    let id = &run.run_id;
    let directory = Place { state, run_id: id, imported: run.imported }.directory();
    let name = |name: &Option<String>| name.clone().unwrap_or_else(|| "not known".to_owned());
    let worth = match &run.unreadable {
        Some(why) => format!("NO RECORD: {why}"),
        None => "NOT SEALED: it was cut off before it could be judged".to_owned(),
    };
    BundledRun {
        run_id: id.clone(),
        directory,
        about: format!("{} on {}: no result", name(&run.scenario), name(&run.environment)),
        worth,
        broken: true,
    }
}

fn refuse_broken(which: QuarterOf, runs: &[BundledRun]) -> Result<(), Failure> {
    let broken: Vec<String> = runs
        .iter()
        .filter(|run| run.broken)
        .map(|run| format!("{}: {}", run.run_id, run.worth))
        .collect();
    if broken.is_empty() {
        return Ok(());
    }
    let message = format!(
        "nothing was packed, for not all runs that {which} shows or relies on verify (drdrill verify RUN says what is wrong; --allow-broken packs \
         them too, and README.txt names them first):\n{}",
        broken.join("\n")
    );
    Err(Failure::new(Code::Failed, message))
}

/// Program, findings, and the report in all formats.
fn files(state: &StateDir, gathered: &Gathered) -> Result<BTreeMap<String, Vec<u8>>, Failure> {
    let Gathered { quarter, records, program, .. } = gathered;
    let mut files = BTreeMap::new();
    files.insert("program.yaml".to_owned(), program.text.clone().into_bytes());
    match fs::read(state.findings()) {
        Ok(text) => drop(files.insert("findings.jsonl".to_owned(), text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => {
            let message = format!("read {}: {error}", state.findings().display());
            return Err(Failure::new(Code::NotReady, message));
        }
    }
    let bug = |error: io::Error| Failure::new(Code::Bug, format!("write the report: {error}"));
    let report = Quarterly { quarter, records };
    let mut add = |name: &str, bytes: Vec<u8>| files.insert(format!("report.{name}"), bytes);
    add("html", report.html().map_err(bug)?.into_bytes());
    add("md", report.markdown().into_bytes());
    add("json", report.json().map_err(bug)?.into_bytes());
    add("csv", report.csv().map_err(bug)?);
    // The quick start is built without.
    if let Some(pdf) = report.pdf() {
        add("pdf", pdf.map_err(bug)?);
    }
    Ok(files)
}

fn tell(args: &BundleArgs, file: &Path, contents: &Contents, bundled: &Bundled) {
    let Bundled { files, bytes, fingerprint } = bundled;
    if args.format.format == Format::Json {
        let runs = contents.runs.iter().map(|run| {
            serde_json::json!({ "run": run.run_id, "about": run.about, "evidence": run.worth, "broken": run.broken })
        });
        out::json(&serde_json::json!({
            "file": file,
            "bytes": bytes,
            "files": files,
            "signed_by": fingerprint,
            "runs": runs.collect::<Vec<_>>(),
        }));
        return;
    }
    let runs = contents.runs.len();
    let runs = if runs == 1 { "1 run".to_owned() } else { format!("{runs} runs") };
    out::line(&out::harmless(&format!(
        "{}: {runs}, {files} files, {bytes} bytes, signed by {fingerprint}",
        file.display()
    )));
    for run in contents.runs.iter().filter(|run| run.broken) {
        out::line(&out::harmless(&format!(
            "broken: {} ({}): {}",
            run.run_id, run.about, run.worth
        )));
    }
}
