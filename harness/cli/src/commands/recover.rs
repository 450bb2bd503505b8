//! `drdrill recover`: takes back whatever runs that were killed have left in place.

use drdrill_core::action::Undo;
use drdrill_engine::ledger::{Ledger, LedgerError};
use drdrill_engine::revert::revert_open;
use drdrill_engine::state::{LEDGER_FILE, StateDir};
use drdrill_reports::evidence::MANIFEST;
use serde::Serialize;

use crate::args::{Format, FormatArgs};
use crate::exit::{Code, Failure, Outcome};
use crate::{out, wiring};

/// A run whose ledger has open intents.
#[derive(Debug)]
pub(crate) struct OpenRun {
    pub(crate) run_id: String,
    /// Its environment, unless its ledger is too damaged to tell.
    pub(crate) environment: Option<String>,
    pub(crate) what: Vec<String>,
    /// Whether a harness, a keeper or a recover holds its ledger.
    pub(crate) busy: bool,
}

/// Runs that have something in place.
pub(crate) fn open_runs(state: &StateDir) -> Result<Vec<OpenRun>, String> {
    let mut open = Vec::new();
    for run_id in state.open_ledgers().map_err(|error| error.to_string())? {
        let path = state.ledger(&run_id);
        let (contents, busy) = match Ledger::take_over(&path) {
            Ok(ledger) => (ledger.contents().clone(), false),
            Err(LedgerError::InUse { .. }) => (Ledger::look(&path).unwrap_or_default(), true),
            // Its harness or keeper was quicker.
            Err(error) if error.is_missing() => continue,
            Err(error) => return Err(error.to_string()),
        };
        let intents = contents.open();
        if intents.is_empty() {
            continue;
        }
        let environment = contents.opened().map(|(_, name, ..)| name.to_owned());
        let what = intents.iter().map(|intent| format!("{} of {}", intent.kind, intent.target));
        let what = what.collect();
        open.push(OpenRun { run_id, environment, what, busy });
    }
    Ok(open)
}

/// Puts the ledger of a run that was killed with its evidence, unless something is still open.
pub(crate) fn put_aside(state: &StateDir, run_id: &str, ledger: Ledger) {
    let dir = state.run(run_id);
    // One that cannot be moved stays, and the next recover finds that nothing in it is open.
    let _ = ledger.settle(&dir.join(LEDGER_FILE), dir.join(MANIFEST).exists());
}

/// What became of one run.
#[derive(Debug, Serialize)]
struct Recovered {
    run_id: String,
    taken_back: Vec<String>,
    still_open: Vec<StillOpen>,
    busy: bool,
    damaged_lines: usize,
}

#[derive(Debug, Serialize)]
struct StillOpen {
    what: String,
    error: String,
    residue: Vec<String>,
    by_hand: String,
}

/// Takes back everything open, of any run.
pub(crate) fn recover(state: &StateDir, args: FormatArgs) -> Outcome {
    state.trusted().map_err(Failure::with(Code::NotReady))?;
    let ids = state.open_ledgers().map_err(|error| {
        Failure::new(Code::NotReady, format!("read {}: {error}", state.ledgers().display()))
    })?;
    let runtime = super::runtime()?;
    let reverters = wiring::reverters(None);
    let mut all = Vec::new();
    for run_id in ids {
        let mut ledger = match Ledger::take_over(&state.ledger(&run_id)) {
            Ok(ledger) => ledger,
            Err(LedgerError::InUse { .. }) => {
                let (taken_back, still_open) = (Vec::new(), Vec::new());
                all.push(Recovered {
                    run_id,
                    taken_back,
                    still_open,
                    busy: true,
                    damaged_lines: 0,
                });
                continue;
            }
            // Its harness or keeper was quicker.
            Err(error) if error.is_missing() => continue,
            // One that cannot be read does not stop the others.
            Err(error) => {
                all.push(Recovered {
                    run_id,
                    taken_back: Vec::new(),
                    still_open: vec![StillOpen {
                        what: "whatever its undo ledger says".to_owned(),
                        error: error.to_string(),
                        residue: Vec::new(),
                        by_hand: "make the undo ledger readable, then: drdrill recover".to_owned(),
                    }],
                    busy: false,
                    damaged_lines: 0,
                });
                continue;
            }
        };
        let damaged_lines = ledger.contents().damaged;
        let reverted = runtime.block_on(revert_open(&mut ledger, &reverters));
        put_aside(state, &run_id, ledger);
        let name = |undo: &Undo, target: &str| match undo {
            Undo::Revert { kind, .. } => format!("{kind} {target}"),
            Undo::Nothing { .. } => target.to_owned(),
        };
        if reverted.done.is_empty() && reverted.stuck.is_empty() && damaged_lines == 0 {
            continue;
        }
        all.push(Recovered {
            run_id,
            taken_back: reverted.done.iter().map(|one| name(&one.undo, &one.target)).collect(),
            still_open: reverted
                .stuck
                .into_iter()
                .map(|stuck| StillOpen {
                    what: name(&stuck.intent.undo, &stuck.intent.target),
                    error: stuck.error,
                    residue: stuck.residue,
                    by_hand: stuck.by_hand,
                })
                .collect(),
            busy: false,
            damaged_lines,
        });
    }
    if args.format == Format::Json {
        out::json(&all);
    } else {
        print(&all);
    }
    let stuck = all.iter().any(|run| !run.still_open.is_empty());
    Ok(if stuck { Code::LeftInPlace } else { Code::Passed })
}

fn print(all: &[Recovered]) {
    if all.is_empty() {
        out::line("nothing is open: no run has left anything in place");
    }
    for run in all {
        if run.busy {
            out::line(&format!("run {}: busy (a drill or its keeper is at work)", run.run_id));
        }
        for what in &run.taken_back {
            out::line(&format!("run {}: taken back and seen to be gone: {what}", run.run_id));
        }
        for left in &run.still_open {
            out::line(&format!(
                "run {}: STILL IN PLACE: {}: {}",
                run.run_id, left.what, left.error
            ));
            for line in &left.residue {
                out::line(&format!("    left: {line}"));
            }
            out::line(&format!("    by hand: {}", left.by_hand));
        }
        if run.damaged_lines > 0 {
            let lines = run.damaged_lines;
            out::line(&format!(
                "run {}: {lines} damaged lines in its undo ledger were passed over",
                run.run_id
            ));
        }
    }
}
