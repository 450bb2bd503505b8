//! `drdrill recover`: takes back whatever runs that were killed have left in place.

use std::path::Path;
use std::time::{Duration, Instant};

use drdrill_engine::ledger::{Intent, Ledger, LedgerError};
use drdrill_engine::revert::revert_open;
use drdrill_engine::state::{LEDGER_FILE, StateDir};
use drdrill_reports::evidence::MANIFEST;
use serde::Serialize;
use tokio::runtime::Runtime;

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
        if intents.is_empty() && contents.damaged_inside == 0 {
            continue;
        }
        let environment = contents.opened().map(|(_, name, ..)| name.to_owned());
        let what = intents.iter().map(|intent| format!("{} of {}", intent.kind, intent.target));
        let lost = (contents.damaged_inside > 0).then(|| "whatever a damaged line said".to_owned());
        let what = what.chain(lost).collect();
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

/// A keeper that is at work is waited for so long: an undo takes at most a minute.
const BUSY_TIMEOUT: Duration = Duration::from_secs(75);
/// Time between two looks at a busy ledger.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// A drill that was killed a moment ago holds its ledger until the kernel has ended it; one that runs longer than this
/// is at work.
const DYING: Duration = Duration::from_secs(1);

/// Takes back everything open, of any run.
pub(crate) fn recover(state: &StateDir, args: FormatArgs) -> Outcome {
    state.trusted().map_err(Failure::with(Code::NotReady))?;
    state.sweep();
    let ids = state.open_ledgers().map_err(|error| {
        Failure::new(Code::NotReady, format!("read {}: {error}", state.ledgers().display()))
    })?;
    let runtime = super::runtime()?;
    // One run that cannot be recovered does not stop the others.
    let all: Vec<Recovered> =
        ids.into_iter().filter_map(|run_id| recover_one(state, run_id, &runtime)).collect();
    // An undo that was given up and still hangs must not keep this process from ending.
    runtime.shutdown_background();
    if args.format == Format::Json {
        out::json(&all);
    } else {
        print(&all);
    }
    let stuck = all.iter().any(|run| !run.still_open.is_empty());
    Ok(if stuck { Code::LeftInPlace } else { Code::Passed })
}

/// `None` when there was nothing to do.
fn recover_one(state: &StateDir, run_id: String, runtime: &Runtime) -> Option<Recovered> {
    let mut recovered = Recovered {
        run_id,
        taken_back: Vec::new(),
        still_open: Vec::new(),
        busy: false,
        damaged_lines: 0,
    };
    let path = state.ledger(&recovered.run_id);
    let mut ledger = match take_over(&path) {
        Ok(ledger) => ledger,
        // Its harness or keeper was quicker.
        Err(error) if error.is_missing() => return None,
        Err(LedgerError::InUse { .. }) if harness_lives(&path) => {
            recovered.busy = true;
            return Some(recovered);
        }
        Err(error) => {
            recovered.still_open.push(StillOpen {
                what: "whatever its undo ledger says".to_owned(),
                error: error.to_string(),
                residue: Vec::new(),
                by_hand: format!("make {} usable, then: drdrill recover", path.display()),
            });
            return Some(recovered);
        }
    };
    recovered.damaged_lines = ledger.contents().damaged;
    if ledger.contents().damaged_inside > 0 {
        recovered.still_open.push(StillOpen {
            what: "whatever a damaged line of its undo ledger said".to_owned(),
            error: "lines in the middle of the ledger are damaged, which no crash does, or a later drdrill wrote them".to_owned(),
            residue: Vec::new(),
            by_hand: format!("look at the environment, then: rm {}", path.display()),
        });
    }
    let reverted = runtime.block_on(revert_open(&mut ledger, &wiring::reverters(None)));
    put_aside(state, &recovered.run_id, ledger);
    let name = |intent: &Intent| format!("{} of {}", intent.kind, intent.target);
    recovered.taken_back = reverted.done.iter().map(name).collect();
    recovered.still_open.extend(reverted.stuck.into_iter().map(|stuck| StillOpen {
        what: name(&stuck.intent),
        error: stuck.error,
        residue: stuck.residue,
        by_hand: stuck.by_hand,
    }));
    let nothing = recovered.taken_back.is_empty()
        && recovered.still_open.is_empty()
        && recovered.damaged_lines == 0;
    (!nothing).then_some(recovered)
}

/// Takes a ledger over; waits for a keeper that is at work, but not for a drill that runs.
fn take_over(path: &Path) -> Result<Ledger, LedgerError> {
    let began = Instant::now();
    loop {
        match Ledger::take_over(path) {
            Err(LedgerError::InUse { .. })
                if began.elapsed() < if harness_lives(path) { DYING } else { BUSY_TIMEOUT } =>
            {
                std::thread::sleep(LOOK_AGAIN);
            }
            other => return other,
        }
    }
}

/// Whether the harness that a ledger names still runs.
fn harness_lives(path: &Path) -> bool {
    let contents = Ledger::look(path).unwrap_or_default();
    contents.harness().is_some_and(drdrill_process::is_alive)
}

fn print(all: &[Recovered]) {
    if all.is_empty() {
        out::line("nothing is open: no run has left anything in place");
    }
    for run in all {
        if run.busy {
            out::line(&format!(
                "run {}: a drill is running; nothing of it was touched",
                run.run_id
            ));
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
