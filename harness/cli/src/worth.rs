//! What the evidence of a run in the state directory is worth: its seal, and what is known of how the run came there.
//!
//! A seal alone does not say it. Every run of this machine is signed at its end, so one without a signature was opened; and
//! of a run of another machine the note beside it says what it was when it was taken in.

use std::fs;
use std::path::{Path, PathBuf};

use drdrill_core::record::Record;
use drdrill_engine::state::StateDir;
use drdrill_reports::evidence::{MANIFEST, PublicKey, Standing, VerifyReport, verify, verify_seal};
use drdrill_reports::history::RunRow;
use drdrill_reports::quarter::EvidenceState;
use sha2::{Digest as _, Sha256};

use crate::evidence::{self, RECORD_FILE};
use crate::origin::{Origin, RECORD_ALONE};

/// What the evidence of a run is worth.
#[derive(Clone, Debug)]
pub(crate) struct Worth {
    pub(crate) state: EvidenceState,
    /// Fingerprint of the key that signed it; absent when none did, or not this.
    pub(crate) signed_by: Option<String>,
    /// What is wrong with it; absent when nothing is.
    pub(crate) wrong: Option<String>,
}

impl Worth {
    pub(crate) fn damaged(why: impl Into<String>) -> Self {
        Self { state: EvidenceState::Damaged, signed_by: None, wrong: Some(why.into()) }
    }

    /// What the seal of a run of this id is worth.
    pub(crate) fn of_seal(report: &VerifyReport, run_id: &str) -> Self {
        if let Some(other) = report.run_id.as_ref().filter(|id| *id != run_id) {
            return Self::damaged(format!("it is run {other} under another name"));
        }
        let signed_by = report.signature.fingerprint().map(str::to_owned);
        let state = match report.standing() {
            Standing::Proven => EvidenceState::Proven,
            Standing::SignedByStranger => EvidenceState::SignedByStranger,
            Standing::Unsigned => EvidenceState::Unsigned,
            Standing::Damaged => return Self::damaged("it is not what was sealed"),
        };
        Self { state, signed_by, wrong: None }
    }
}

/// How closely a seal is looked at.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Look {
    /// Whether the files are those that were sealed.
    Seal,
    /// That, and whether each event follows the one before.
    Everything,
}

/// A run of the state directory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    pub(crate) state: &'a StateDir,
    pub(crate) run_id: &'a str,
    pub(crate) imported: bool,
}

impl Place<'_> {
    /// Where its files are.
    pub(crate) fn directory(&self) -> PathBuf {
        if self.imported {
            self.state.imported().join(self.run_id)
        } else {
            self.state.run(self.run_id)
        }
    }

    /// What its evidence is worth to somebody who trusts the keys `known`.
    pub(crate) fn worth(&self, known: &[PublicKey], look: Look) -> Worth {
        let directory = self.directory();
        let sealed = directory.join(MANIFEST).exists();
        if !self.imported && !sealed {
            return Worth::damaged(
                "it has no seal: it was opened, or could not be sealed, as its record says then",
            );
        }
        if !sealed {
            let worth = Worth { state: EvidenceState::RecordAlone, signed_by: None, wrong: None };
            return self.as_it_came(worth);
        }
        self.judged(&match look {
            Look::Seal => verify_seal(&directory, known),
            Look::Everything => verify(&directory, known),
        })
    }

    /// What its evidence is worth, of whose seal this is the report.
    pub(crate) fn judged(&self, report: &VerifyReport) -> Worth {
        let worth = Worth::of_seal(report, self.run_id);
        match worth.state {
            EvidenceState::Damaged => worth,
            _ if self.imported => self.as_it_came(worth),
            EvidenceState::Unsigned => Worth::damaged(
                "its signature is gone: every run of this machine is signed at its end",
            ),
            _ => worth,
        }
    }

    /// The worth of a run of another machine, if it still is what was taken in.
    fn as_it_came(&self, worth: Worth) -> Worth {
        match self.is_as_it_came(&worth) {
            Ok(()) => worth,
            Err(why) => Worth::damaged(why),
        }
    }

    /// Whether a run of another machine is what was taken in, with the same seal.
    fn is_as_it_came(&self, worth: &Worth) -> Result<(), String> {
        let origin = Origin::read(self.state, self.run_id)
            .map_err(|error| format!("the note where it came from cannot be read: {error}"))?;
        let record = fs::read(self.directory().join(RECORD_FILE))
            .map_err(|error| format!("its record cannot be read: {error}"))?;
        if hex::encode(Sha256::digest(&record)) != origin.record_sha256 {
            return Err("its record is not the one that was taken in".to_owned());
        }
        let had_seal = origin.evidence != RECORD_ALONE;
        let was_signed = origin.signed_by.is_some() || origin.evidence.starts_with("signed");
        if had_seal && worth.state == EvidenceState::RecordAlone {
            return Err("it had a seal when it was taken in, and has none any more".to_owned());
        }
        if was_signed && worth.signed_by.is_none() {
            return Err("it was signed when it was taken in, and is not any more".to_owned());
        }
        if origin.signed_by.is_some() && origin.signed_by != worth.signed_by {
            return Err("it is signed by another key than when it was taken in".to_owned());
        }
        Ok(())
    }

    /// The record, and the row that it makes.
    pub(crate) fn record(&self) -> Result<(RunRow, Record), String> {
        let record = evidence::read_record(&self.directory()).map_err(|failure| failure.message)?;
        let row = RunRow::of(&record).map_err(|error| error.to_string())?;
        if row.run_id != self.run_id {
            return Err(format!("its record is of run {}", row.run_id));
        }
        Ok((RunRow { imported: self.imported, ..row }, record))
    }
}

/// What a run directory is worth. By its id a run is asked for as that run, and what is known of how it came there belongs to it.
pub(crate) fn verified(
    state: &StateDir,
    dir: &Path,
    name: &str,
    known: &[PublicKey],
) -> VerifyReport {
    let mut report = verify(dir, known);
    let id = dir.file_name().and_then(|id| id.to_str()).filter(|_| !name.contains(['/', '.']));
    if let Some(run_id) = id
        && report.standing() != Standing::Damaged
    {
        let imported = dir != state.run(run_id);
        report.problems.extend(Place { state, run_id, imported }.judged(&report).wrong);
    }
    report
}
