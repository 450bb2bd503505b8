//! The runs of a state directory: those with a record through the index, the others as they are.
//!
//! The index is a cache. What it says of a run is what the record said when it was entered; which runs there are, the
//! directories say.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use drdrill_core::event::Event;
use drdrill_core::program::Date;
use drdrill_core::record::Record;
use drdrill_core::scenario::Kind;
use drdrill_engine::ledger::{Ledger, LedgerError};
use drdrill_engine::state::StateDir;
use drdrill_reports::evidence::{MANIFEST, read_chain};
use drdrill_reports::history::{Ended, Filter, Index, IndexError, RunRow, time_of_id};

use crate::evidence::{self, EVENTS_FILE, RECORD_FILE};
use crate::exit::{Code, Failure};
use crate::out;

/// So many rows are entered at once.
const BATCH: usize = 1000;
/// So much of a history is read to find out what was drilled: its beginning says it.
const BEGINNING: u64 = 256 * 1024;

/// A run without a record that can be read.
#[derive(Clone, Debug)]
pub(crate) struct Unrecorded {
    pub(crate) run_id: String,
    pub(crate) imported: bool,
    pub(crate) scenario: Option<String>,
    pub(crate) environment: Option<String>,
    pub(crate) started: Option<DateTime<Utc>>,
    pub(crate) ended: Ended,
    /// Why its record cannot be read, where it has one.
    pub(crate) unreadable: Option<String>,
    /// Whether it was an exercise, where it is known.
    pub(crate) tabletop: Option<bool>,
    /// Whether its environment only imitates the real thing, where it is known.
    pub(crate) emulated: Option<bool>,
    /// Whether it would have counted, where it is known.
    pub(crate) counts: Option<bool>,
}

/// The runs of a state directory.
pub(crate) struct Runs {
    index: Index,
    /// Those without a record, oldest first.
    pub(crate) unrecorded: Vec<Unrecorded>,
    /// How many runs have a record.
    pub(crate) recorded: usize,
}

/// Enters a run that is over. Whatever comes of it is no matter of the drill: the next `history` finds the run anyway.
pub(crate) fn enter(state: &StateDir, record: &Record) {
    let entered = RunRow::of(record).map_err(|error| error.to_string()).and_then(|row| {
        let (index, _) = Index::open(&state.index()).map_err(|error| error.to_string())?;
        index.enter([&row]).map_err(|error| error.to_string())
    });
    if let Err(error) = entered {
        out::error(&out::harmless(&format!(
            "drdrill: the index of the runs cannot be written, which changes nothing of this one: {error} (drdrill history \
             rebuild makes it again)"
        )));
    }
}

impl Runs {
    /// The runs of `state`, which need not be there. An index that cannot be used is made again, in memory where it cannot
    /// be written.
    pub(crate) fn of(state: &StateDir) -> Result<Self, Failure> {
        if !state.root().exists() {
            return Self::through(
                state,
                Index::in_memory().map_err(Failure::with(Code::NotReady))?,
            )
            .map_err(Trouble::failure);
        }
        let path = state.index();
        let tried = match Index::open(&path) {
            Ok((index, why)) => {
                // None at all is no news.
                if let Some(why) = why.filter(|why| !why.contains("there was none")) {
                    out::error(&format!("drdrill: the index of the runs is made again: {why}"));
                }
                Self::through(state, index)
            }
            Err(error) => Err(Trouble::Index(error)),
        };
        let error = match tried {
            Ok(runs) => return Ok(runs),
            Err(Trouble::Disk(failure)) => return Err(failure),
            Err(Trouble::Index(error)) => error,
        };
        out::error(&out::harmless(&format!(
            "drdrill: the index of the runs: {error}; it is made again"
        )));
        if matches!(error, IndexError::Damaged { .. })
            && let Ok(index) = Index::anew(&path)
            && let Ok(runs) = Self::through(state, index)
        {
            return Ok(runs);
        }
        // The directories say it all, only slower.
        let index = Index::in_memory().map_err(Failure::with(Code::NotReady))?;
        Self::through(state, index).map_err(Trouble::failure)
    }

    /// Makes the index again from nothing but the directories.
    pub(crate) fn rebuilt(state: &StateDir) -> Result<Self, Failure> {
        let index = Index::anew(&state.index()).map_err(Failure::with(Code::NotReady))?;
        Self::through(state, index).map_err(Trouble::failure)
    }

    /// Enters what the index lacks, forgets what is gone, and looks at runs without a record.
    fn through(state: &StateDir, index: Index) -> Result<Self, Trouble> {
        let unreadable = |directory: PathBuf| {
            move |error: std::io::Error| {
                let message = format!("read {}: {error}", directory.display());
                Trouble::Disk(Failure::new(Code::NotReady, message))
            }
        };
        let own = state.run_ids().map_err(unreadable(state.runs()))?;
        let imported = state.imported_ids().map_err(unreadable(state.imported()))?;
        let known = index.ids()?;
        let here: BTreeSet<&str> = own.iter().map(String::as_str).collect();
        let (own, imported) = (own.iter().map(|id| (id.clone(), false)), imported.iter());
        // What was imported and is here too is one run.
        let others = imported.filter(|id| !here.contains(id.as_str())).map(|id| (id.clone(), true));
        let on_disk: BTreeSet<(String, bool)> = own.chain(others).collect();
        let gone: Vec<&str> = known.difference(&on_disk).map(|(id, _)| id.as_str()).collect();
        if !gone.is_empty() {
            index.forget(gone.iter().copied())?;
        }
        let mut unrecorded = Vec::new();
        let mut recorded = known.len() - gone.len();
        let mut rows = Vec::new();
        for (id, imported) in on_disk.difference(&known) {
            let directory = if *imported { state.imported().join(id) } else { state.run(id) };
            match row_of(&directory, id) {
                Ok(row) => rows.push(RunRow { imported: *imported, ..row }),
                Err(why) => unrecorded.extend(look(state, &directory, id, *imported, why)),
            }
            if rows.len() >= BATCH {
                recorded += rows.len();
                index.enter(&rows)?;
                rows.clear();
            }
        }
        recorded += rows.len();
        if !rows.is_empty() {
            index.enter(&rows)?;
        }
        Ok(Self { index, unrecorded, recorded })
    }

    /// The runs with a record that are asked for, oldest first.
    pub(crate) fn find(&self, filter: &Filter) -> Result<Vec<RunRow>, Failure> {
        self.index.query(filter).map_err(|error| {
            let message = format!("{error} (drdrill history rebuild makes it again)");
            Failure::new(Code::NotReady, message)
        })
    }

    /// Enters again what the records of runs say otherwise than the index did.
    pub(crate) fn correct(&self, rows: &[RunRow]) {
        for row in rows {
            out::error(&out::harmless(&format!(
                "drdrill: the index said something else of run {} than its record, which counts",
                row.run_id
            )));
        }
        if !rows.is_empty()
            && let Err(error) = self.index.enter(rows)
        {
            out::error(&out::harmless(&format!("drdrill: the index of the runs: {error}")));
        }
    }

    /// Names of the scenarios and of the environments of all runs.
    pub(crate) fn names(&self) -> Result<(Vec<String>, Vec<String>), Failure> {
        self.index.names().map_err(Failure::with(Code::NotReady))
    }
}

enum Trouble {
    Index(IndexError),
    Disk(Failure),
}

impl From<IndexError> for Trouble {
    fn from(error: IndexError) -> Self {
        Self::Index(error)
    }
}

impl Trouble {
    fn failure(self) -> Failure {
        match self {
            Self::Index(error) => Failure::new(Code::NotReady, error),
            Self::Disk(failure) => failure,
        }
    }
}

/// The row of a run; `Err` says why there is none, with nothing where it has no record.
fn row_of(directory: &Path, id: &str) -> Result<RunRow, Option<String>> {
    if !directory.join(RECORD_FILE).exists() {
        return Err(None);
    }
    let record = evidence::read_record(directory).map_err(|failure| Some(failure.message))?;
    let row = RunRow::of(&record).map_err(|error| Some(error.to_string()))?;
    if row.run_id != id {
        return Err(Some(format!("its record is of run {}", row.run_id)));
    }
    Ok(row)
}

/// The day that the id of a run begins with, where it was drdrill that named it (UTC).
pub(crate) fn day_of_id(id: &str) -> Option<Date> {
    time_of_id(id).map(|time| Date(time.date_naive()))
}

/// What can be told of a run without a record; nothing when it was no drill.
fn look(
    state: &StateDir,
    directory: &Path,
    id: &str,
    imported: bool,
    unreadable: Option<String>,
) -> Option<Unrecorded> {
    let events = directory.join(EVENTS_FILE);
    let unreadable = match unreadable {
        // An environment that was up without a drill has neither; what was sealed was a drill.
        None if !events.exists() && directory.join(MANIFEST).exists() => {
            Some(format!("{RECORD_FILE} and {EVENTS_FILE} are missing"))
        }
        None if !events.exists() => return None,
        None if directory.join(MANIFEST).exists() => Some(format!("{RECORD_FILE} is missing")),
        unreadable => unreadable,
    };
    let busy = || matches!(Ledger::take_over(&state.ledger(id)), Err(LedgerError::InUse { .. }));
    let ended = if !imported && busy() { Ended::Running } else { Ended::CutOff };
    let mut run = Unrecorded {
        run_id: id.to_owned(),
        imported,
        scenario: None,
        environment: None,
        started: None,
        ended,
        unreadable,
        tabletop: None,
        emulated: None,
        counts: None,
    };
    let mut beginning = Vec::new();
    let read = File::open(&events)
        .and_then(|file| BufReader::new(file).take(BEGINNING).read_to_end(&mut beginning));
    let whole = beginning.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    beginning.truncate(whole);
    let entries = read.ok().and_then(|_| read_chain(beginning.as_slice()).ok());
    for entry in entries.into_iter().flat_map(|chain| chain.entries) {
        if let Event::DrillStarted(start) = entry.event {
            run.started = start.started_at.parse().ok();
            run.tabletop = Some(start.scenario.kind == Kind::Tabletop);
            run.emulated = Some(start.environment.emulated);
            run.counts = Some(start.settings.is_empty() && start.scenario.expect.is_none());
            run.scenario = Some(start.scenario.scenario);
            run.environment = Some(start.environment.name);
            break;
        }
    }
    Some(run)
}
