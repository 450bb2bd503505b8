//! A quarter: what a drill program asks for, compared with what is on disk.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use drdrill_core::program::Date;
use drdrill_core::record::Record;
use drdrill_engine::state::StateDir;
use drdrill_reports::evidence::{Standing, verify};
use drdrill_reports::findings::{self, Line, Unreadable};
use drdrill_reports::history::{Ended, Filter, RunRow};
use drdrill_reports::quarter::{CutOff, EvidenceState, Inputs, Quarter, QuarterOf, quarter};

use crate::exit::{Code, Failure};
use crate::runs::{Runs, Unrecorded};
use crate::{catalog, evidence, program, wiring};

/// Whose quarter, and as seen from when.
pub(crate) struct Asked<'a> {
    /// Name of a shipped program, or path of a file.
    pub(crate) program: &'a str,
    /// This one when absent.
    pub(crate) quarter: Option<QuarterOf>,
    pub(crate) today: Date,
    /// A file with public keys to trust, besides the one in the state directory.
    pub(crate) trust: Option<&'a Path>,
}

/// The data of a quarterly report.
pub(crate) fn gather(state: &StateDir, asked: &Asked<'_>) -> Result<Quarter, Failure> {
    let source = catalog::program(asked.program)?;
    let program = source.program()?;
    let present = program::present(&source, &program)?;
    let which = asked.quarter.unwrap_or_else(|| QuarterOf::of(asked.today));
    if which.first() > asked.today {
        let message = format!("{which} has not begun yet: today is {}", asked.today);
        return Err(Failure::new(Code::Usage, message));
    }
    let runs = Runs::of(state)?;
    let rows = runs.find(&Filter::default())?;
    let (records, gaps) = records(state, &rows, which);
    let cut_off: Vec<CutOff> = runs.unrecorded.iter().filter_map(cut_off).collect();
    let (words, unreadable) = words(state)?;
    let tool = wiring::tool();
    let nothing = BTreeMap::new();
    let inputs = Inputs {
        quarter: which,
        today: asked.today,
        tool: &tool,
        program: &program,
        present: &present,
        rows: &rows,
        records: &records,
        cut_off: &cut_off,
        evidence: &nothing,
        words: &words,
        unreadable: &unreadable,
        gaps: &gaps,
    };
    // Once without the evidence, to see which of it matters: all of it may be gigabytes.
    let relied_on = relied_on(&quarter(&inputs));
    let known = evidence::trusted_keys(state, asked.trust)?;
    let checked: BTreeMap<String, EvidenceState> = rows
        .iter()
        .filter(|row| relied_on.contains(&row.run_id))
        .map(|row| (row.run_id.clone(), worth(&directory(state, row), &known)))
        .collect();
    Ok(quarter(&Inputs { evidence: &checked, ..inputs }))
}

/// What people said of findings.
pub(crate) fn words(state: &StateDir) -> Result<(Vec<Line>, Vec<Unreadable>), Failure> {
    let path = state.findings();
    findings::read(&path)
        .map_err(|error| Failure::new(Code::NotReady, format!("read {}: {error}", path.display())))
}

/// The runs that a quarter shows, or relies on.
fn relied_on(quarter: &Quarter) -> BTreeSet<String> {
    let drills = quarter.drills.iter().map(|drill| drill.run_id.clone());
    let passes = quarter.coverage.iter().filter_map(|cell| cell.last_pass.as_ref());
    drills.chain(passes.map(|run| run.run_id.clone())).collect()
}

fn directory(state: &StateDir, row: &RunRow) -> PathBuf {
    if row.imported { state.imported().join(&row.run_id) } else { state.run(&row.run_id) }
}

/// The records of the quarter's runs, and which cannot be read.
fn records(state: &StateDir, rows: &[RunRow], which: QuarterOf) -> (Vec<Record>, Vec<String>) {
    let (mut records, mut gaps) = (Vec::new(), Vec::new());
    for row in rows.iter().filter(|row| which.has(Date(row.started.date_naive()))) {
        match evidence::read_record(&directory(state, row)) {
            Ok(record) => {
                if RunRow::of(&record)
                    .ok()
                    .is_none_or(|now| now != RunRow { imported: false, ..row.clone() })
                {
                    gaps.push(format!(
                        "the record of run {} says something else than when it was entered into the history (drdrill history \
                         rebuild enters it again)",
                        row.run_id
                    ));
                }
                records.push(record);
            }
            Err(failure) => gaps.push(failure.message),
        }
    }
    (records, gaps)
}

/// A run that did not come to its end; one that is running still may.
fn cut_off(run: &Unrecorded) -> Option<CutOff> {
    (run.ended != Ended::Running).then(|| CutOff {
        run_id: run.run_id.clone(),
        scenario: run.scenario.clone(),
        environment: run.environment.clone(),
        started: run.started,
        unreadable: run.unreadable.clone(),
    })
}

fn worth(directory: &Path, known: &[drdrill_reports::evidence::PublicKey]) -> EvidenceState {
    if !directory.join("MANIFEST").exists() {
        return EvidenceState::RecordAlone;
    }
    match verify(directory, known).standing() {
        Standing::Proven => EvidenceState::Proven,
        Standing::SignedByStranger => EvidenceState::SignedByStranger,
        Standing::Unsigned => EvidenceState::Unsigned,
        Standing::Damaged => EvidenceState::Damaged,
    }
}
