//! `drdrill history`: the runs of the past.

mod diff;
mod import;
mod list;
mod quarter;

pub(super) use list::worst;

use drdrill_engine::state::StateDir;

use crate::args::{Format, FormatArgs, HistoryArgs, HistoryCommand};
use crate::exit::{Code, Failure, Outcome};
use crate::out;
use crate::runs::Runs;

/// Lists runs, or does what is asked for with them.
pub(crate) fn history(state: &StateDir, args: &HistoryArgs) -> Outcome {
    match &args.what {
        None => list::list(state, &args.list),
        Some(HistoryCommand::Diff(args)) => diff::diff(state, args),
        Some(HistoryCommand::Import(args)) => import::import(state, args),
        Some(HistoryCommand::Quarter(args)) => quarter::quarter(state, args),
        Some(HistoryCommand::Rebuild(args)) => rebuild(state, *args),
    }
}

/// Makes the index again.
fn rebuild(state: &StateDir, args: FormatArgs) -> Outcome {
    if !state.root().exists() {
        let message = format!("there is no state directory {}", state.root().display());
        return Err(Failure::new(Code::Usage, message));
    }
    let runs = Runs::rebuilt(state)?;
    let unreadable = runs
        .unrecorded
        .iter()
        .filter_map(|run| Some((run.run_id.as_str(), run.unreadable.as_deref()?)));
    let unreadable: Vec<(&str, &str)> = unreadable.collect();
    if args.format == Format::Json {
        out::json(&serde_json::json!({
            "index": state.index(),
            "runs": runs.recorded,
            "without_record": runs.unrecorded.len(),
            "unreadable": unreadable.iter().map(|(run, why)| serde_json::json!({ "run": run, "why": why })).collect::<Vec<_>>(),
        }));
    } else {
        let (recorded, index) = (runs.recorded, state.index());
        out::line(&format!("{recorded} runs are in {}", index.display()));
        for (run, why) in &unreadable {
            out::line(&out::harmless(&format!(
                "not in it: run {run}, whose record cannot be read: {why}"
            )));
        }
    }
    Ok(if unreadable.is_empty() { Code::Passed } else { Code::Unknown })
}
