//! A quarter: what a drill program asks for, compared with what is on disk.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use drdrill_core::program::Date;
use drdrill_core::record::Record;
use drdrill_engine::state::StateDir;
use drdrill_reports::evidence::PublicKey;
use drdrill_reports::findings::{self, Line, Unreadable};
use drdrill_reports::history::{Ended, Filter, RunRow, time_of_id};
use drdrill_reports::quarter::{
    CutOff, EvidenceState, Inputs, Quarter, QuarterOf, quarter, relied_on,
};
use drdrill_reports::side_by_side;

use crate::catalog::Source;
use crate::exit::{Code, Failure};
use crate::runs::{Runs, Unrecorded, day_of_id};
use crate::worth::{Look, Place, Worth};
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
    let mut rows = runs.find(&Filter::default())?;
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
        rows: &[],
        records: &[],
        cut_off: &cut_off,
        evidence: &nothing,
        words: &words,
        unreadable: &unreadable,
        gaps: &[],
    };
    // Only this evidence: all of it may be gigabytes. Where some is damaged, or says something else than the index, other runs
    // come to matter.
    let known = evidence::trusted_keys(state, asked.trust)?;
    let mut seen = Seen::default();
    loop {
        let relied_on = relied_on(&Inputs { rows: &rows, evidence: &seen.evidence, ..inputs });
        // A record may say another day than the one on which its run was made: a reason to look at it.
        let of_quarter = |id: &str| day_of_id(id).is_some_and(|day| which.has(day));
        let unchecked = |row: &RunRow| {
            let relied_on = relied_on.contains(&row.run_id) || of_quarter(&row.run_id);
            relied_on && !seen.evidence.contains_key(&row.run_id)
        };
        let at: Vec<usize> = (0..rows.len()).filter(|at| unchecked(&rows[*at])).collect();
        if at.is_empty() {
            break;
        }
        let found = side_by_side(&at, |at| look(state, &rows[*at], &known, which));
        for (at, found) in at.into_iter().zip(found) {
            seen.take(&mut rows[at], found);
        }
    }
    runs.correct(&seen.corrected);
    let inputs = Inputs {
        rows: &rows,
        records: &seen.records,
        evidence: &seen.evidence,
        gaps: &seen.gaps,
        ..inputs
    };
    let quarter = quarter(&inputs);
    let relied_on = seen.evidence.into_keys().collect();
    let (unrecorded, records) = (runs.unrecorded, seen.records);
    Ok(Gathered { quarter, records, program: source, rows, relied_on, unrecorded })
}

/// A run, as its files say.
struct Found {
    worth: Worth,
    /// What its record says; absent where the evidence is damaged, so that it is not believed.
    row: Option<RunRow>,
    /// The record itself, of a run of the quarter.
    record: Option<Record>,
}

/// Looks at the evidence of a run, and at what its record says: the index is a cache, and proves nothing.
fn look(state: &StateDir, row: &RunRow, known: &[PublicKey], which: QuarterOf) -> Found {
    let place = Place { state, run_id: &row.run_id, imported: row.imported };
    let damaged = |worth| Found { worth, row: None, record: None };
    let (row, record) = match place.record() {
        Ok(found) => found,
        Err(why) => return damaged(Worth::damaged(why)),
    };
    let worth = place.worth(known, Look::Seal);
    if worth.state == EvidenceState::Damaged {
        return damaged(worth);
    }
    let record = which.has(Date(row.started.date_naive())).then_some(record);
    Found { worth, row: Some(row), record }
}

/// What was found so far.
#[derive(Default)]
struct Seen {
    evidence: BTreeMap<String, EvidenceState>,
    records: Vec<Record>,
    /// Rows of which the index said something else.
    corrected: Vec<RunRow>,
    gaps: Vec<String>,
}

impl Seen {
    /// Keeps what was found of a run; its row is from now on what its record says.
    fn take(&mut self, row: &mut RunRow, found: Found) {
        self.evidence.insert(row.run_id.clone(), found.worth.state);
        if let Some(why) = found.worth.wrong {
            self.gaps.push(format!("the evidence of run {} is damaged: {why}", row.run_id));
        }
        self.records.extend(found.record);
        if let Some(now) = found.row.filter(|now| now != row) {
            *row = now.clone();
            self.corrected.push(now);
        }
    }
}

/// What people said of findings.
pub(crate) fn words(state: &StateDir) -> Result<(Vec<Line>, Vec<Unreadable>), Failure> {
    let path = state.findings();
    findings::read(&path)
        .map_err(|error| Failure::new(Code::NotReady, format!("read {}: {error}", path.display())))
}

/// A run that did not come to its end; one that is running still may.
fn cut_off(run: &Unrecorded) -> Option<CutOff> {
    (run.ended != Ended::Running).then(|| CutOff {
        run_id: run.run_id.clone(),
        scenario: run.scenario.clone(),
        environment: run.environment.clone(),
        // The id of a run of ours begins with its time.
        started: run.started.or_else(|| time_of_id(&run.run_id)),
        unreadable: run.unreadable.clone(),
        tabletop: run.tabletop,
        emulated: run.emulated,
        counts: run.counts,
    })
}
