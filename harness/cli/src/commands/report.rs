//! `drdrill report`: what is known already, in another format. Reads sealed evidence and never changes it.

use std::fs;
use std::io::{self, IsTerminal as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use chrono::Utc;
use drdrill_core::program::Date;
use drdrill_core::reporter::{Reporter, Run};
use drdrill_engine::state::StateDir;
use drdrill_reports::evidence::{self as package, SignatureState, Signer, Standing};
use drdrill_reports::{Csv, Html, Json, Junit, Markdown, Quarterly};

use crate::args::{ReportArgs, ReportFormat, ReportQuarterlyArgs, ReportRunArgs};
use crate::exit::{Code, Failure, Outcome};
use crate::quarter::{Asked, Gathered, gather};
use crate::{evidence, out, worth};

/// Writes the report of a run.
pub(crate) fn run(state: &StateDir, args: &ReportRunArgs) -> Outcome {
    let reporter = reporter(args.to.format)?;
    let dir = evidence::find_run(state, &args.run)?;
    for sealed in [dir.clone(), state.runs(), state.imported()] {
        refuse_inside(&sealed, args.to.out.as_deref())?;
    }
    let known = evidence::trusted_keys(state, args.trust.as_deref())?;
    let sealed = worth::verified(state, &dir, &args.run, &known);
    if sealed.standing() == Standing::Damaged {
        let message = format!(
            "the evidence in {} is damaged, so nothing is told from it: `drdrill verify {}` says what is wrong",
            dir.display(),
            args.run
        );
        return Err(Failure::new(Code::Failed, message));
    }
    let doubt = match &sealed.signature {
        SignatureState::Known { .. } => None,
        SignatureState::Stranger { fingerprint } => {
            Some(format!("signed by {fingerprint}, a key that is not known here"))
        }
        SignatureState::Wrong | SignatureState::Absent => Some("not signed".to_owned()),
    };
    if let Some(doubt) = &doubt {
        // A signature of ours beside the report says that it is what drdrill wrote, and nothing of what it was made of.
        out::error(&out::harmless(&format!(
            "drdrill: the evidence that this report is made of is {doubt}: `drdrill verify {}`",
            args.run
        )));
    }
    let record = evidence::read_record(&dir)?;
    let history = evidence::read_history(&dir)?.entries;
    let mut text = Vec::new();
    reporter
        .render(Run { record: &record, history: &history, doubt: doubt.as_deref() }, &mut text)
        .map_err(|error| Failure::new(Code::Bug, format!("write the report: {error}")))?;
    deliver(state, &text, &args.to)?;
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
    let Gathered { quarter, records, .. } = gather(
        state,
        &Asked {
            program: &args.program,
            quarter: args.quarter,
            today: Date(Utc::now().date_naive()),
            trust: args.trust.as_deref(),
        },
    )?;
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
    deliver(state, &text, &args.to)?;
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

pub(super) fn no_pdf() -> Failure {
    Failure::new(
        Code::NotReady,
        "this drdrill was built without PDF; build it with `cargo build --release --features pdf`, or print the HTML",
    )
}

/// A sealed directory that gets another file is not what was sealed any more.
pub(super) fn refuse_inside(dir: &Path, file: Option<&Path>) -> Result<(), Failure> {
    let Some(file) = file else { return Ok(()) };
    let parent = file.parent().filter(|parent| !parent.as_os_str().is_empty());
    let parent = fs::canonicalize(parent.unwrap_or(Path::new(".")));
    let inside = parent.ok().zip(fs::canonicalize(dir).ok());
    if inside.is_some_and(|(parent, dir)| parent.starts_with(dir)) {
        let message = format!(
            "{} is inside a run directory, which is sealed: write it somewhere else",
            file.display()
        );
        return Err(Failure::new(Code::Usage, message));
    }
    Ok(())
}

/// Writes a report to its file, with a signature beside it, or to standard output.
fn deliver(state: &StateDir, report: &[u8], to: &ReportArgs) -> Result<(), Failure> {
    let Some(path) = &to.out else {
        if to.format == ReportFormat::Pdf && io::stdout().is_terminal() {
            let message = "a PDF is not for a terminal: say `--out FILE`";
            return Err(Failure::new(Code::Usage, message));
        }
        return out::bytes(report).map_err(|error| {
            Failure::new(Code::NotReady, format!("write to standard output: {error}"))
        });
    };
    let signer = signer(state, to.key.as_deref())?;
    let beside = package::signature_path(path);
    let unwritable = |path: &Path| {
        let path = path.display().to_string();
        move |error| Failure::new(Code::NotReady, format!("write {path}: {error}"))
    };
    if path.is_dir() {
        return Err(unwritable(path)(io::ErrorKind::IsADirectory.into()));
    }
    // Both are on the disk before anything is touched that was there: else what was good is lost where these cannot be written.
    let report_file =
        half_written(path, |file| file.write_all(report)).map_err(unwritable(path))?.0;
    let signature = signer.map(|signer| {
        let text = package::signature::sign(&signer, report);
        half_written(&beside, |file| file.write_all(text.as_bytes())).map(|(file, ())| file)
    });
    let signature = signature.transpose().map_err(unwritable(&beside))?;
    // The signature of what was there before is none of this report.
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(unwritable(&beside)(error));
        }
        _ => {}
    }
    report_file.persist(path).map_err(|error| unwritable(path)(error.error))?;
    if let Some(file) = signature {
        file.persist(&beside).map_err(|error| unwritable(&beside)(error.error))?;
    }
    Ok(())
}

/// The key to sign a report with. Where there is none, which is no reason not to tell anything, it says so.
fn signer(state: &StateDir, key: Option<&Path>) -> Result<Option<Signer>, Failure> {
    if let Some(key) = key {
        return Signer::load(key).map(Some).map_err(Failure::with(Code::NotReady));
    }
    let path = state.root().join("signing_key");
    // A report of what lies elsewhere makes no state directory.
    let signer =
        if state.root().exists() { Signer::load_or_create(&path) } else { Signer::load(&path) };
    match signer {
        Ok(signer) => Ok(Some(signer)),
        Err(error) => {
            out::error(&out::harmless(&format!("drdrill: the report is not signed: {error}")));
            Ok(None)
        }
    }
}

/// The file is there with all of its content, or as it was.
pub(super) fn write_whole<T, E: From<io::Error>>(
    path: &Path,
    write: impl FnOnce(&mut tempfile::NamedTempFile) -> Result<T, E>,
) -> Result<T, E> {
    let (file, written) = half_written(path, write)?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(written)
}

/// A file beside `path` with what is to be its content, on the disk; it goes away unless it is given that name.
fn half_written<T, E: From<io::Error>>(
    path: &Path,
    write: impl FnOnce(&mut tempfile::NamedTempFile) -> Result<T, E>,
) -> Result<(tempfile::NamedTempFile, T), E> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    // Readable by whom the umask allows, as any file that a program writes.
    let mut file = tempfile::Builder::new()
        .prefix(".drdrill-report-")
        .permissions(fs::Permissions::from_mode(0o666))
        .tempfile_in(parent.unwrap_or(Path::new(".")))?;
    let written = write(&mut file)?;
    // Else a power loss may leave the name without the content.
    file.as_file().sync_all()?;
    Ok((file, written))
}
