//! What a run leaves behind: record, reports, manifest, signature; and finding it again.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use drdrill_core::event::Entry;
use drdrill_core::record::Record;
use drdrill_core::reporter::{Reporter, Run};
use drdrill_engine::state::StateDir;
use drdrill_measure::JudgeError;
use drdrill_reports::evidence::{self, About, Chain, Head, PublicKey, Signer, key};
use drdrill_reports::{Html, Json, Markdown};

use crate::exit::{Code, Failure};

/// The history of a run.
pub(crate) const EVENTS_FILE: &str = "events.jsonl";
/// The record of a run.
pub(crate) const RECORD_FILE: &str = "record.json";

/// The judgement of a history: a pure function, so that it can be made again years later.
pub(crate) fn judge(history: &[Entry]) -> Result<Record, JudgeError> {
    let mut record = drdrill_measure::judge(history)?;
    record.recommendations = drdrill_reports::recommend(&record);
    Ok(record)
}

/// Writes record and reports into the run directory and seals it, which makes all of it durable; returns the report
/// that people open.
pub(crate) fn write(
    run_dir: &Path,
    record: &Record,
    history: &[Entry],
    head: Head,
    signer: &Signer,
) -> io::Result<PathBuf> {
    let reporters: [&dyn Reporter; 3] = [&Json, &Markdown, &Html];
    for reporter in reporters {
        let mut file = BufWriter::new(File::create(run_dir.join(reporter.file_name()))?);
        reporter.render(Run { record, history, doubt: None }, &mut file)?;
        file.flush()?;
    }
    let about = About { run_id: &record.run_id, tool: &record.tool, head };
    evidence::seal(run_dir, &about, signer).map_err(io::Error::other)?;
    Ok(run_dir.join(Html.file_name()))
}

/// Writes the record alone into the run directory.
pub(crate) fn write_record(run_dir: &Path, record: &Record) -> io::Result<()> {
    let file = File::create(run_dir.join(RECORD_FILE))?;
    Json.render(Run { record, history: &[], doubt: None }, &mut BufWriter::new(file))
}

/// Whether a run was a drill. An environment that is up without one has a directory, and no history.
pub(crate) fn has_history(state: &StateDir, run_id: &str) -> bool {
    state.run(run_id).join(EVENTS_FILE).exists()
}

/// What evidence is signed with. Only our own key is made where there is none: a name that was mistyped would make one and sign
/// with it.
pub(crate) fn signer(state: &StateDir, key: Option<&Path>) -> Result<Signer, Failure> {
    let signer = match key {
        Some(key) => Signer::load(key),
        None => Signer::load_or_create(&state.root().join("signing_key")),
    };
    signer.map_err(Failure::with(Code::NotReady))
}

/// The directory of the run that `name` means: an id, the beginning of one, `last`, or a path.
pub(crate) fn find_run(state: &StateDir, name: &str) -> Result<PathBuf, Failure> {
    if name.contains('/') || name == "." {
        let dir = PathBuf::from(name);
        if dir.is_dir() {
            return Ok(dir);
        }
        return Err(Failure::new(Code::Usage, format!("there is no run directory {name}")));
    }
    let own = state.run_ids().map_err(Failure::with(Code::NotReady))?;
    if name == "last" {
        let last = own.iter().rfind(|id| has_history(state, id)).ok_or_else(|| {
            let root = state.root().display();
            Failure::new(Code::Usage, format!("there are no runs in {root} yet"))
        })?;
        return Ok(state.run(last));
    }
    let imported = state.imported_ids().map_err(Failure::with(Code::NotReady))?;
    let mut ids = [own.as_slice(), &imported].concat();
    ids.sort();
    // One that was imported and is here too has the same content.
    ids.dedup();
    let found: Vec<&String> = ids.iter().filter(|id| id.starts_with(name)).collect();
    match found.as_slice() {
        [one] if own.contains(one) => Ok(state.run(one)),
        [one] => Ok(state.imported().join(one)),
        [] => {
            let known = drdrill_core::names::known_names(name, ids.iter().map(String::as_str));
            Err(Failure::new(Code::Usage, format!("there is no run `{name}`; {known}")))
        }
        several => {
            let several: Vec<&str> = several.iter().map(|id| id.as_str()).collect();
            let several = several.join(", ");
            Err(Failure::new(Code::Usage, format!("`{name}` begins several runs: {several}")))
        }
    }
}

/// The record of a run directory.
pub(crate) fn read_record(run_dir: &Path) -> Result<Record, Failure> {
    let path = run_dir.join(RECORD_FILE);
    let text = fs::read_to_string(&path).map_err(|error| {
        let hint = if error.kind() == io::ErrorKind::NotFound {
            "; the run was cut off before it could be judged: try `drdrill check`"
        } else {
            ""
        };
        Failure::new(Code::Unknown, format!("read {}: {error}{hint}", path.display()))
    })?;
    serde_json::from_str(&text)
        .map_err(|error| Failure::new(Code::Unknown, format!("read {}: {error}", path.display())))
}

/// The keys whose signatures are trusted: our own, and those of a file.
pub(crate) fn trusted_keys(
    state: &StateDir,
    trust: Option<&Path>,
) -> Result<Vec<PublicKey>, Failure> {
    let own = fs::read_to_string(key::public_path(&state.root().join("signing_key")));
    let mut known = own.map(|text| PublicKey::all_in(&text)).unwrap_or_default();
    if let Some(path) = trust {
        known.extend(keys_in(path)?);
    }
    Ok(known)
}

/// The keys of a file that was given to be trusted, at least one: else nothing would be proven, and nobody would know why.
pub(crate) fn keys_in(path: &Path) -> Result<Vec<PublicKey>, Failure> {
    let text = fs::read_to_string(path)
        .map_err(|error| Failure::new(Code::Usage, format!("read {}: {error}", path.display())))?;
    let keys = PublicKey::all_in(&text);
    if keys.is_empty() {
        let message = format!(
            "there is no key in {} that may be trusted: an Ed25519 key in a .pub or an allowed_signers file, not commented \
             out, for drdrill.report where it says what for, and valid today",
            path.display()
        );
        return Err(Failure::new(Code::Usage, message));
    }
    Ok(keys)
}

/// The history of a run directory.
pub(crate) fn read_history(run_dir: &Path) -> Result<Chain, Failure> {
    let path = run_dir.join(EVENTS_FILE);
    let failed = |error: &dyn std::fmt::Display| {
        Failure::new(Code::Unknown, format!("read {}: {error}", path.display()))
    };
    let file = File::open(&path).map_err(|error| failed(&error))?;
    evidence::read_chain(BufReader::new(file)).map_err(|error| failed(&error))
}
