//! A quarter: what a drill program asks for, compared with what is on disk.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use drdrill_core::program::Date;
use drdrill_core::record::Record;
use drdrill_engine::state::StateDir;
use drdrill_reports::evidence::{PublicKey, Standing, verify_seal};
use drdrill_reports::findings::{self, Line, Unreadable};
use drdrill_reports::history::{Ended, Filter, RunRow};
use drdrill_reports::quarter::{
    CutOff, EvidenceState, Inputs, Quarter, QuarterOf, quarter, relied_on,
};
use drdrill_reports::side_by_side;

use crate::catalog::Source;
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

/// A quarter, and what it was made of.
pub(crate) struct Gathered {
    /// The data of a quarterly report.
    pub(crate) quarter: Quarter,
    /// The records of its runs, as far as they can be read.
    pub(crate) records: Vec<Record>,
    /// The drill program.
    pub(crate) program: Source,
    /// All runs of any time with a record.
    pub(crate) rows: Vec<RunRow>,
    /// Ids of those that it shows or relies on.
    pub(crate) relied_on: BTreeSet<String>,
    /// Runs of any time without a record that can be read.
    pub(crate) unrecorded: Vec<Unrecorded>,
}

/// Compares a drill program with the runs.
pub(crate) fn gather(state: &StateDir, asked: &Asked<'_>) -> Result<Gathered, Failure> {
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
    let inputs = Inputs {
        quarter: which,
        today: asked.today,
        tool: &tool,
        program: &program,
        present: &present,
        rows: &rows,
        records: &records,
        cut_off: &cut_off,
        evidence: &BTreeMap::new(),
        words: &words,
        unreadable: &unreadable,
        gaps: &gaps,
    };
    // Only this evidence: all of it may be gigabytes. Where some is damaged, other runs come to matter.
    let known = evidence::trusted_keys(state, asked.trust)?;
    let mut checked: BTreeMap<String, EvidenceState> = BTreeMap::new();
    loop {
        let relied_on = relied_on(&Inputs { evidence: &checked, ..inputs });
        let unchecked =
            |row: &&RunRow| relied_on.contains(&row.run_id) && !checked.contains_key(&row.run_id);
        let unchecked: Vec<&RunRow> = rows.iter().filter(unchecked).collect();
        if unchecked.is_empty() {
            break;
        }
        let found = check(state, &unchecked, &known);
        checked.extend(found);
    }
    let quarter = quarter(&Inputs { evidence: &checked, ..inputs });
    let relied_on = checked.into_keys().collect();
    let unrecorded = runs.unrecorded;
    Ok(Gathered { quarter, records, program: source, rows, relied_on, unrecorded })
}

/// What the evidence of runs is worth.
fn check(
    state: &StateDir,
    rows: &[&RunRow],
    known: &[PublicKey],
) -> BTreeMap<String, EvidenceState> {
    let worth = side_by_side(rows, |row| worth(state, row, known));
    rows.iter().map(|row| row.run_id.clone()).zip(worth).collect()
}

/// What people said of findings.
pub(crate) fn words(state: &StateDir) -> Result<(Vec<Line>, Vec<Unreadable>), Failure> {
    let path = state.findings();
    findings::read(&path)
        .map_err(|error| Failure::new(Code::NotReady, format!("read {}: {error}", path.display())))
}

/// Where the files of a run are.
pub(crate) fn directory(state: &StateDir, row: &RunRow) -> PathBuf {
    if row.imported { state.imported().join(&row.run_id) } else { state.run(&row.run_id) }
}

/// The records of the quarter's runs, and which cannot be read.
fn records(state: &StateDir, rows: &[RunRow], which: QuarterOf) -> (Vec<Record>, Vec<String>) {
    let (mut records, mut gaps) = (Vec::new(), Vec::new());
    let rows: Vec<&RunRow> =
        rows.iter().filter(|row| which.has(Date(row.started.date_naive()))).collect();
    let read = side_by_side(&rows, |row| evidence::read_record(&directory(state, row)));
    for (row, record) in rows.into_iter().zip(read) {
        match record {
            Ok(record) => {
                if RunRow::of(&record)
                    .ok()
                    .is_none_or(|now| RunRow { imported: row.imported, ..now } != *row)
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
        tabletop: run.tabletop,
        emulated: run.emulated,
        counts: run.counts,
    })
}

fn worth(state: &StateDir, row: &RunRow, known: &[PublicKey]) -> EvidenceState {
    let directory = directory(state, row);
    if !directory.join("MANIFEST").exists() {
        // Every run of this machine is sealed at its end; what has no seal any more was opened.
        return if row.imported { EvidenceState::RecordAlone } else { EvidenceState::Damaged };
    }
    match verify_seal(&directory, known) {
        Standing::Proven => EvidenceState::Proven,
        Standing::SignedByStranger => EvidenceState::SignedByStranger,
        Standing::Unsigned => EvidenceState::Unsigned,
        Standing::Damaged => EvidenceState::Damaged,
    }
}
