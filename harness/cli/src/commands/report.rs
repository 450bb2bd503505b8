//! `drdrill report`: what is known already, in another format. Reads sealed evidence and never changes it.

use std::fs;
use std::io::{self, IsTerminal as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use chrono::Utc;
use drdrill_core::program::Date;
use drdrill_core::record::Record;
use drdrill_core::reporter::{Reporter, Run};
use drdrill_engine::state::StateDir;
use drdrill_reports::evidence::{self as package, Standing};
use drdrill_reports::{Csv, Html, Json, Junit, Markdown, Quarterly};

use crate::args::{ReportArgs, ReportFormat, ReportQuarterlyArgs, ReportRunArgs};
use crate::exit::{Code, Failure, Outcome};
use crate::quarter::{Asked, gather};
use crate::{evidence, out};

/// Writes the report of a run.
pub(crate) fn run(state: &StateDir, args: &ReportRunArgs) -> Outcome {
    let reporter = reporter(args.to.format)?;
    let dir = evidence::find_run(state, &args.run)?;
    refuse_inside(&dir, args.to.out.as_deref())?;
    let record = evidence::read_record(&dir)?;
    // Who signed it does not matter here: the report says how to find out.
    let sealed = package::verify(&dir, &[]);
    if sealed.standing() == Standing::Damaged {
        let message = format!(
            "the evidence in {} is damaged, so nothing is told from it: `drdrill verify {}` says what is wrong",
            dir.display(),
            args.run
        );
        return Err(Failure::new(Code::Failed, message));
    }
    let history = evidence::read_history(&dir)?.entries;
    let mut text = Vec::new();
    reporter
        .render(Run { record: &record, history: &history }, &mut text)
        .map_err(|error| Failure::new(Code::Bug, format!("write the report: {error}")))?;
    deliver(&text, &args.to)?;
    Ok(Code::Passed)
}

/// Writes the report of a quarter.
pub(crate) fn quarterly(state: &StateDir, args: &ReportQuarterlyArgs) -> Outcome {
    // Said before anything is read: a history may be long.
    match args.to.format {
        ReportFormat::Pdf => drop(drdrill_reports::pdf().ok_or_else(no_pdf)?),
        ReportFormat::Junit => {
            let message = "a quarter is no test run: JUnit is for `drdrill report run`";
            return Err(Failure::new(Code::Usage, message));
        }
        _ => {}
    }
    let quarter = gather(
        state,
        &Asked {
            program: &args.program,
            quarter: args.quarter,
            today: Date(Utc::now().date_naive()),
            trust: args.trust.as_deref(),
        },
    )?;
    let records: Vec<Record> = quarter
        .drills
        .iter()
        .filter_map(|drill| {
            let own = state.run(&drill.run_id);
            let dir = if drill.imported { state.imported().join(&drill.run_id) } else { own };
            evidence::read_record(&dir).ok()
        })
        .collect();
    for root in [state.runs(), state.imported()] {
        refuse_inside(&root, args.to.out.as_deref())?;
    }
    let report = Quarterly { quarter: &quarter, records: &records };
    let text = match args.to.format {
        ReportFormat::Html => report.html().map(String::into_bytes),
        ReportFormat::Markdown => Ok(report.markdown().into_bytes()),
        ReportFormat::Json => report.json().map(String::into_bytes),
        ReportFormat::Csv => report.csv(),
        ReportFormat::Pdf | ReportFormat::Junit => report.pdf().ok_or_else(no_pdf)?,
    };
    let text =
        text.map_err(|error| Failure::new(Code::Bug, format!("write the report: {error}")))?;
    deliver(&text, &args.to)?;
    Ok(Code::Passed)
}

fn reporter(format: ReportFormat) -> Result<&'static dyn Reporter, Failure> {
    Ok(match format {
        ReportFormat::Html => &Html,
        ReportFormat::Markdown => &Markdown,
        ReportFormat::Json => &Json,
        ReportFormat::Csv => &Csv,
        ReportFormat::Junit => &Junit,
        ReportFormat::Pdf => drdrill_reports::pdf().ok_or_else(no_pdf)?,
    })
}

fn no_pdf() -> Failure {
    Failure::new(
        Code::NotReady,
        "this drdrill was built without PDF; build it with `cargo build --release --features pdf`, or print the HTML",
    )
}

/// A sealed directory that gets another file is not what was sealed any more.
fn refuse_inside(dir: &Path, file: Option<&Path>) -> Result<(), Failure> {
    let Some(file) = file else { return Ok(()) };
    let parent = file.parent().filter(|parent| !parent.as_os_str().is_empty());
    let parent = fs::canonicalize(parent.unwrap_or(Path::new(".")));
    let inside = parent.ok().zip(fs::canonicalize(dir).ok());
    if inside.is_some_and(|(parent, dir)| parent.starts_with(dir)) {
        let message = format!(
            "{} is inside the run directory, which is sealed: write the report somewhere else",
            file.display()
        );
        return Err(Failure::new(Code::Usage, message));
    }
    Ok(())
}

/// Writes a report to its file, or to standard output.
fn deliver(report: &[u8], to: &ReportArgs) -> Result<(), Failure> {
    let Some(path) = &to.out else {
        if to.format == ReportFormat::Pdf && io::stdout().is_terminal() {
            let message = "a PDF is not for a terminal: say `--out FILE`";
            return Err(Failure::new(Code::Usage, message));
        }
        out::bytes(report);
        return Ok(());
    };
    write_whole(path, report)
        .map_err(|error| Failure::new(Code::NotReady, format!("write {}: {error}", path.display())))
}

/// The file is there with all of its content, or as it was.
fn write_whole(path: &Path, content: &[u8]) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    // Readable by whom the umask allows, as any file that a program writes.
    let mut file = tempfile::Builder::new()
        .prefix(".drdrill-report-")
        .permissions(fs::Permissions::from_mode(0o666))
        .tempfile_in(parent.unwrap_or(Path::new(".")))?;
    file.write_all(content)?;
    file.persist(path)?;
    Ok(())
}
