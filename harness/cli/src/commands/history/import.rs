//! `drdrill history import`: runs of other machines, such as the artefacts of a CI job.
//!
//! A run is kept as it was there, in a directory of its own, so that its signature still holds. Nothing that is there is
//! ever replaced.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use drdrill_core::record::Record;
use drdrill_engine::state::StateDir;
use drdrill_reports::evidence::{MANIFEST, PublicKey, verify};
use drdrill_reports::history::RunRow;
use drdrill_reports::quarter::EvidenceState;
use serde::Serialize;
use sha2::{Digest, Sha256};
use walkdir::WalkDir;

use crate::args::{Format, ImportArgs};
use crate::evidence::{self, RECORD_FILE};
use crate::exit::{Code, Failure, Outcome};
use crate::origin::{Origin, RECORD_ALONE};
use crate::out;
use crate::runs::Runs;
use crate::worth::{Look, Place, Worth};

/// Run directories are looked for so deep: `.drdrill/runs/RUN` in the directory that is given, and one more.
const DEEPEST: usize = 5;
/// Largest record that is taken in.
const LARGEST_RECORD: u64 = 64 * 1024 * 1024;

/// What became of a run.
#[derive(Debug, Serialize)]
struct Taken {
    run: String,
    from: PathBuf,
    /// `imported`, or `known` when it was there already.
    outcome: &'static str,
    /// What the evidence is worth that is kept.
    evidence: &'static str,
    /// Fingerprint of the key that signed it.
    signed_by: Option<String>,
}

/// Takes in runs of other machines.
pub(super) fn import(state: &StateDir, args: &ImportArgs) -> Outcome {
    let found = args.from.iter().map(|path| find(path)).collect::<Result<Vec<_>, _>>()?;
    state.prepare().map_err(Failure::with(Code::NotReady))?;
    let known = evidence::trusted_keys(state, args.trust.as_deref())?;
    let (mut taken, mut refused) = (Vec::new(), Vec::new());
    for place in found.into_iter().flatten() {
        match take(state, &place, &known) {
            Ok(run) => taken.push(run),
            Err(why) => refused.push(format!("{}: {why}", place.display())),
        }
    }
    // Entered here, so that what is wrong with the index is said now.
    Runs::of(state)?;
    if args.format.format == Format::Json {
        out::json(&taken);
    } else {
        for run in &taken {
            let outcome = if run.outcome == "known" { "was there already" } else { "imported" };
            let by = run.signed_by.as_ref().map(|by| format!(" ({by})")).unwrap_or_default();
            out::line(&out::harmless(&format!(
                "run {} {outcome}; evidence: {}{by}",
                run.run, run.evidence
            )));
        }
    }
    match refused.as_slice() {
        [] => Ok(Code::Passed),
        refused => Err(Failure::new(
            Code::Refused,
            format!("not imported: {}", refused.join("\nnot imported: ")),
        )),
    }
}

/// The records in what is given: a file is one, a directory may hold many.
fn find(path: &Path) -> Result<Vec<PathBuf>, Failure> {
    let unreadable = |error: &dyn std::fmt::Display| {
        Failure::new(Code::Usage, format!("import {}: {error}", path.display()))
    };
    if !fs::metadata(path).map_err(|error| unreadable(&error))?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut found = Vec::new();
    for entry in WalkDir::new(path).max_depth(DEEPEST).sort_by_file_name() {
        let entry = entry.map_err(|error| unreadable(&error))?;
        if entry.file_type().is_file() && entry.file_name() == RECORD_FILE {
            found.push(entry.into_path());
        }
    }
    if found.is_empty() {
        return Err(unreadable(&"there is no record.json in it"));
    }
    Ok(found)
}

fn take(state: &StateDir, record_file: &Path, known: &[PublicKey]) -> Result<Taken, String> {
    let said = |error: io::Error| error.to_string();
    let bytes = fs::metadata(record_file).map_err(said)?.len();
    if bytes > LARGEST_RECORD {
        return Err(format!("a record of {bytes} bytes is no record"));
    }
    let text = fs::read(record_file).map_err(said)?;
    let record: Record = serde_json::from_slice(&text).map_err(|error| error.to_string())?;
    // Also whether its id may be the name of a directory.
    let id = RunRow::of(&record).map_err(|error| error.to_string())?.run_id;
    let sha256 = hex::encode(Sha256::digest(&text));
    let directory = record_file.parent().filter(|_| record_file.ends_with(RECORD_FILE));
    let directory = directory.filter(|directory| directory.join(MANIFEST).exists());
    let taken = |outcome, evidence, signed_by| Taken {
        run: id.clone(),
        from: record_file.to_owned(),
        outcome,
        evidence,
        signed_by,
    };
    for imported in [false, true] {
        let place = Place { state, run_id: &id, imported };
        let there = place.directory();
        if !there.exists() {
            continue;
        }
        return match fs::read(there.join(RECORD_FILE)) {
            // What is kept is what counts from now on, and not what was given.
            Ok(old) if old == text => {
                let worth = place.worth(known, Look::Everything);
                Ok(taken("known", words(worth.state), worth.signed_by))
            }
            Ok(_) => {
                Err(format!("another run of the same id {id} is in {}, and stays", there.display()))
            }
            Err(_) => {
                Err(format!("a run {id} without a record is in {}, and stays", there.display()))
            }
        };
    }
    fs::create_dir_all(state.imported()).map_err(said)?;
    let half = state.imported().join(format!(".{id}-{}", std::process::id()));
    let moved = copy(directory, &text, &half).map_err(said).and_then(|()| {
        // The copy is judged: what was given may be another by now, and links and the like are not copied.
        let (state_of_it, signed_by) = match directory {
            None => (EvidenceState::RecordAlone, None),
            Some(_) => of_seal(&half, &id, known)?,
        };
        let origin = Origin {
            run_id: id.clone(),
            from: record_file.to_owned(),
            imported_at: chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
            record_sha256: sha256,
            evidence: words(state_of_it).to_owned(),
            signed_by: signed_by.clone(),
        };
        origin.write(state).map_err(said)?;
        // Not over another one that came meanwhile: a directory that is not empty is never replaced.
        fs::rename(&half, state.imported().join(&id)).map_err(said)?;
        Ok((state_of_it, signed_by))
    });
    match moved {
        Ok((worth, signed_by)) => Ok(taken("imported", words(worth), signed_by)),
        Err(why) => {
            let _ = fs::remove_dir_all(&half);
            Err(why)
        }
    }
}

/// What the seal of a run is worth that lies in `directory`, and whose it is.
fn of_seal(
    directory: &Path,
    id: &str,
    known: &[PublicKey],
) -> Result<(EvidenceState, Option<String>), String> {
    let worth = Worth::of_seal(&verify(directory, known), id);
    match worth.state {
        EvidenceState::Damaged => {
            let why = worth.wrong.unwrap_or_default();
            Err(format!("its evidence is damaged: {why} (drdrill verify says how)"))
        }
        state => Ok((state, worth.signed_by)),
    }
}

const fn words(state: EvidenceState) -> &'static str {
    match state {
        EvidenceState::Proven => "signed by a known key",
        EvidenceState::SignedByStranger => "signed by an unknown key",
        EvidenceState::Unsigned => "unsigned",
        EvidenceState::RecordAlone => RECORD_ALONE,
        EvidenceState::Damaged => "DAMAGED",
        EvidenceState::NotChecked => "not checked",
    }
}

/// Copies a run, or its record alone, into a new directory. Only files: a run has nothing else.
fn copy(from: Option<&Path>, record: &[u8], to: &Path) -> io::Result<()> {
    fs::create_dir(to)?;
    let Some(from) = from else { return fs::write(to.join(RECORD_FILE), record) };
    for entry in WalkDir::new(from).min_depth(1) {
        let entry = entry?;
        let relative = entry.path().strip_prefix(from).map_err(io::Error::other)?;
        if entry.file_type().is_dir() {
            fs::create_dir(to.join(relative))?;
        } else if entry.file_type().is_file() {
            fs::copy(entry.path(), to.join(relative))?;
        }
    }
    // What was read and judged, and not what stands there by now.
    fs::write(to.join(RECORD_FILE), record)
}
