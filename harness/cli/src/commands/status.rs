//! `drdrill status`: what runs, what is halted, what is in place.

use std::fs::{self, File, TryLockError};
use std::io;

use drdrill_engine::state::StateDir;
use drdrill_engine::stop::halt::{self, Halt};
use serde::Serialize;
use tabled::Tabled;

use super::list::table;
use super::recover::{OpenRun, open_runs};
use crate::args::{Format, FormatArgs};
use crate::exit::{Code, Failure, Outcome};
use crate::out;

/// A drill that holds its environment's lock.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub(super) struct Running {
    pub(super) environment: String,
    /// What follows is what the drill wrote down of itself; `None` in the moment before it did.
    pub(super) run: Option<String>,
    pub(super) process: Option<u32>,
    pub(super) since: Option<String>,
}

/// Something that a run has in place, or may have.
#[derive(Debug, Serialize)]
pub(super) struct InPlace {
    pub(super) run: String,
    pub(super) environment: Option<String>,
    pub(super) what: Vec<String>,
    /// Whether a drill, its keeper or a recover is at work on it.
    pub(super) busy: bool,
}

#[derive(Debug, Serialize)]
struct Status {
    running: Vec<Running>,
    halts: Vec<Halt>,
    in_place: Vec<InPlace>,
}

#[derive(Tabled)]
struct RunningRow {
    environment: String,
    run: String,
    process: String,
    since: String,
}

#[derive(Tabled)]
struct HaltRow {
    halted: String,
    by: String,
    since: String,
    release: String,
}

#[derive(Tabled)]
struct InPlaceRow {
    run: String,
    environment: String,
    #[tabled(rename = "in place")]
    what: String,
    #[tabled(rename = "who undoes it")]
    who: String,
}

/// Tells what there is, and changes nothing.
pub(crate) fn status(state: &StateDir, args: FormatArgs) -> Outcome {
    // Runs before ledgers: a drill that ends in between is then shown as running, and not as gone.
    let running = running(state)?;
    let halts = halts(state)?;
    let in_place = in_place(state)?;
    let left = in_place.iter().any(|one| !one.busy);
    let status = Status { running, halts, in_place };
    if args.format == Format::Json {
        out::json(&status);
    } else {
        print(state, &status);
    }
    Ok(if left { Code::LeftInPlace } else { Code::Passed })
}

/// The drills that run now. A lock file stays when its drill ends, so each is asked whether it is held; the question
/// holds the lock itself for some microseconds, and a drill that starts right then asks again.
pub(super) fn running(state: &StateDir) -> Result<Vec<Running>, Failure> {
    let mut running = Vec::new();
    for environment in locked_once(state)? {
        let path = state.locks().join(format!("{environment}.lock"));
        let cannot = |error: io::Error| {
            Failure::new(Code::NotReady, format!("read {}: {error}", path.display()))
        };
        let file = File::open(&path).map_err(cannot)?;
        match file.try_lock_shared() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let note = fs::read_to_string(&path).map_err(cannot)?;
                running.push(holder(environment, &note));
            }
            Err(TryLockError::Error(error)) => return Err(cannot(error)),
        }
    }
    Ok(running)
}

/// Names of the environments that a drill of this state directory ever locked, sorted.
pub(super) fn locked_once(state: &StateDir) -> Result<Vec<String>, Failure> {
    let cannot = |error: io::Error| {
        Failure::new(Code::NotReady, format!("read {}: {error}", state.locks().display()))
    };
    let entries = match fs::read_dir(state.locks()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(cannot)?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry.map_err(cannot)?.file_name();
        names.extend(name.to_str().and_then(|name| name.strip_suffix(".lock")).map(str::to_owned));
    }
    names.sort();
    Ok(names)
}

/// What a drill wrote into its lock: the mark of its process, and then `run ID (process PID) since WHEN`.
fn holder(environment: String, note: &str) -> Running {
    let parts = || {
        let (_mark, said) = note.trim_end().split_once("run ")?;
        let (run, rest) = said.split_once(" (process ")?;
        let (process, since) = rest.split_once(") since ")?;
        Some((run.to_owned(), process.parse().ok()?, since.to_owned()))
    };
    match parts() {
        Some((run, process, since)) => {
            Running { environment, run: Some(run), process: Some(process), since: Some(since) }
        }
        None => Running { environment, run: None, process: None, since: None },
    }
}

/// The levers that are pulled.
pub(super) fn halts(state: &StateDir) -> Result<Vec<Halt>, Failure> {
    halt::all(state)
        .map_err(|error| Failure::new(Code::NotReady, format!("read the halts: {error}")))
}

/// What runs have in place. One ledger that cannot be read may hide anything, so that counts as left.
pub(super) fn in_place(state: &StateDir) -> Result<Vec<InPlace>, Failure> {
    let open = open_runs(state).map_err(|error| {
        let message = format!("it cannot be told whether something was left in place: {error}");
        Failure::new(Code::LeftInPlace, message)
    })?;
    let one = |run: OpenRun| InPlace {
        run: run.run_id,
        environment: run.environment,
        what: run.what,
        busy: run.busy,
    };
    Ok(open.into_iter().map(one).collect())
}

fn print(state: &StateDir, status: &Status) {
    let text = |text: Option<&str>| text.unwrap_or("-").to_owned();
    if status.running.is_empty() {
        out::line(&format!("no drill is running in {}", state.root().display()));
    } else {
        let row = |one: &Running| RunningRow {
            environment: one.environment.clone(),
            run: text(one.run.as_deref()),
            process: one.process.map_or_else(|| "-".to_owned(), |pid| pid.to_string()),
            since: text(one.since.as_deref()),
        };
        out::line(&table(&status.running.iter().map(row).collect::<Vec<_>>()));
    }
    if !status.halts.is_empty() {
        let row = |one: &Halt| HaltRow {
            halted: one.environment.clone().unwrap_or_else(|| "every environment".to_owned()),
            by: text(one.note.as_ref().map(|note| note.by.as_str())),
            since: text(one.note.as_ref().map(|note| note.since.as_str())),
            release: super::halt::release_command(one.environment.as_deref()),
        };
        out::line("");
        out::line(&table(&status.halts.iter().map(row).collect::<Vec<_>>()));
    }
    if status.in_place.is_empty() {
        out::line("nothing is in place");
        return;
    }
    let row = |one: &InPlace| InPlaceRow {
        run: one.run.clone(),
        environment: text(one.environment.as_deref()),
        what: one.what.join(", "),
        who: if one.busy { "its drill or its keeper" } else { "nobody: drdrill recover" }
            .to_owned(),
    };
    out::line("");
    out::line(&table(&status.in_place.iter().map(row).collect::<Vec<_>>()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_tells_who_holds_it() {
        let mark = "1f2e3d4c-0000-4000-8000-000000000000 42 123456";
        let words = "run 20261121-075631-3fa9c1d2 (process 42) since 2026-11-21 07:56:31 UTC";
        let note = format!("{mark} {words}\n");
        let running = holder("lab".into(), &note);
        assert_eq!(running.run.as_deref(), Some("20261121-075631-3fa9c1d2"));
        assert_eq!(running.process, Some(42));
        assert_eq!(running.since.as_deref(), Some("2026-11-21 07:56:31 UTC"));
    }

    #[test]
    fn a_lock_that_says_nothing_yet_is_held_all_the_same() {
        for note in ["", "run", "run x (process y) since z", "run x (process 1)"] {
            let running = holder("lab".into(), note);
            assert_eq!((running.run, running.process, running.since), (None, None, None), "{note}");
        }
    }
}
