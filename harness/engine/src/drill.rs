//! The life of a drill, from the environment's start to its end. Deliberately sequential.

mod faults;
mod guard;
mod read_back;
mod requests;
mod stages;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use drdrill_core::action::{Action, ActionError, Undo};
use drdrill_core::environment::{Environment, ProbeStream};
use drdrill_core::event::{DrillStarted, StreamFacts};
use drdrill_core::inventory::EnvironmentFacts;
use drdrill_core::parts::{Permit, Recovery, RestoreWatch, Sampling, StreamPlan};
use drdrill_core::probe::Probe;
use drdrill_core::record::Tool;
use drdrill_core::scenario::{Inject, Scenario};
use drdrill_core::time::nanos;
use tokio_util::sync::CancellationToken;

pub use self::faults::inject;
use crate::history::Recorder;
use crate::keeper::Keeper;
use crate::ledger::{Ledger, LedgerError};
use crate::revert::{Reverters, Stuck};
use crate::state::{LEDGER_FILE, StateDir};

/// Makes a fault of a scenario on an environment that is up.
pub type MakeFault = fn(&Inject, &Arc<dyn Environment>) -> Result<Arc<dyn Action>, ActionError>;

/// Everything a drill is made of.
#[derive(Debug)]
pub struct Drill {
    /// Unique id of the run.
    pub run_id: String,
    /// The scenario, with all overrides applied.
    pub scenario: Scenario,
    /// SHA-256 of its file.
    pub scenario_sha256: String,
    /// Settings that were changed for this run, as `NAME=VALUE`.
    pub settings: Vec<String>,
    /// This program.
    pub tool: Tool,
    /// Wall clock at the start, RFC 3339.
    pub started_at: String,
    /// Seed of every random choice.
    pub seed: u64,
    /// The environment.
    pub environment: Arc<dyn Environment>,
    /// The environment, as the history will know it.
    pub facts: EnvironmentFacts,
    /// Says whether the target may be broken now.
    pub permit: Arc<dyn Permit>,
    /// Makes a fault, once the environment is up.
    pub make_fault: MakeFault,
    /// Those who take changes back.
    pub reverters: Reverters,
    /// Those who take changes back knowing only the ledger, once the environment is gone.
    pub orphan_reverters: Reverters,
    /// The machinery; `None` when the environment has none.
    pub recovery: Option<Arc<dyn Recovery>>,
    /// Makes the probe of a stream.
    pub make_probe: fn(&ProbeStream) -> Result<Arc<dyn Probe>, ActionError>,
    /// Makes the live watch of the restored service, once the streams are known.
    pub restore_watch: fn(&[StreamFacts], &EnvironmentFacts) -> Arc<dyn RestoreWatch>,
    /// Where the run's directory and its ledger are.
    pub state: StateDir,
    /// This program, to start the keeper with.
    pub program: PathBuf,
    /// The operator's wish to stop, with its reason.
    pub interrupt: CancellationToken,
}

/// A drill that could not begin. Nothing was injected, and everything that was made was taken away again,
/// but for what `left` names.
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
pub struct NotReady {
    /// Why.
    pub reason: String,
    /// What could not be taken away.
    pub left: Vec<Stuck>,
}

impl From<ActionError> for NotReady {
    fn from(error: ActionError) -> Self {
        Self { reason: error.to_string(), left: Vec::new() }
    }
}

impl From<LedgerError> for NotReady {
    fn from(error: LedgerError) -> Self {
        Self { reason: error.to_string(), left: Vec::new() }
    }
}

/// How long a fault may take to show, after its apply call returned.
const EFFECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Runs a drill. The history ends complete also when the drill is aborted; what could not be taken back is in it.
///
/// # Errors
/// When the drill could not begin.
pub async fn run(
    drill: &Drill,
    sampling: &mut dyn Sampling,
    recorder: &Recorder,
    mut ledger: Ledger,
) -> Result<(), NotReady> {
    let keeper = match start_keeper(drill) {
        Ok(keeper) => keeper,
        Err(not_ready) => {
            close(drill, ledger, None);
            return Err(not_ready);
        }
    };
    if let Err(error) = drill.environment.is_ready().await {
        close(drill, ledger, keeper);
        return Err(error.into());
    }
    let environment =
        ledger.intend("environment", drill.environment.name(), drill.environment.undo())?;
    let streams = match bring_up(drill).await {
        Ok(streams) => streams,
        Err(error) => {
            // Its undo was written down before it was touched, so half an environment goes away like a whole one.
            let mut not_ready = NotReady::from(error);
            // What hangs is taken back below.
            let down = drill.environment.down();
            let _ = tokio::time::timeout(crate::revert::TOTAL_TIMEOUT, down).await;
            not_ready.left = crate::revert::revert_open(&mut ledger, &drill.reverters).await.stuck;
            close(drill, ledger, keeper);
            return Err(not_ready);
        }
    };
    let journal = recorder.journal();
    journal.record(drdrill_core::event::Event::DrillStarted(Box::new(started(drill, &streams))));
    for text in drill.environment.remarks() {
        journal.record(drdrill_core::event::Event::Note { text });
    }
    let guard = guard::Guard::new(drill, &streams, recorder, keeper.as_ref(), &mut ledger);
    stages::Stages::new(drill, &streams, recorder, guard).run(sampling, streams, environment).await;
    close(drill, ledger, keeper);
    Ok(())
}

/// Whether a drill neither starts nor breaks anything, and so needs neither ledger nor keeper.
#[must_use]
pub fn touches_nothing(scenario: &Scenario, environment: &dyn Environment) -> bool {
    scenario.faults.is_empty() && matches!(environment.undo(), Undo::Nothing { .. })
}

/// Starts the keeper, unless there is nothing to keep.
fn start_keeper(drill: &Drill) -> Result<Option<Keeper>, NotReady> {
    if touches_nothing(&drill.scenario, &*drill.environment) {
        return Ok(None);
    }
    let keeper =
        Keeper::start(&drill.program, &drill.state, &drill.run_id).map_err(|error| NotReady {
            reason: format!("start the keeper, without which nothing is injected: {error}"),
            left: Vec::new(),
        })?;
    Ok(Some(keeper))
}

async fn bring_up(drill: &Drill) -> Result<Vec<StreamPlan>, ActionError> {
    tokio::select! {
        up = drill.environment.up() => up?,
        () = drill.interrupt.cancelled() => {
            return Err(ActionError::new("bring up", drill.environment.name(), "interrupted"));
        }
    }
    let plan = &drill.scenario.probes;
    let wanted = |stream: &ProbeStream| {
        stream.asked_for_as.as_ref().is_none_or(|name| plan.also.contains(name))
    };
    let streams = drill.environment.streams()?.into_iter().filter(wanted);
    let streams = streams.zip(0..).map(|(stream, id)| {
        Ok(StreamPlan {
            probe: (drill.make_probe)(&stream)?,
            facts: StreamFacts {
                id,
                name: stream.name,
                service: stream.service,
                purpose: stream.purpose,
                connection: stream.connection,
                every_ns: nanos(plan.every.0.max(stream.at_least_every)),
                deadline_ns: nanos(plan.deadline.0),
                write_bytes: stream.write_bytes,
            },
        })
    });
    streams.collect()
}

fn started(drill: &Drill, streams: &[StreamPlan]) -> DrillStarted {
    DrillStarted {
        run_id: drill.run_id.clone(),
        tool: drill.tool.clone(),
        scenario: drill.scenario.clone(),
        scenario_sha256: drill.scenario_sha256.clone(),
        settings: drill.settings.clone(),
        environment: drill.facts.clone(),
        streams: streams.iter().map(|stream| stream.facts.clone()).collect(),
        started_at: drill.started_at.clone(),
        seed: drill.seed,
    }
}

/// Puts the ledger aside and lets the keeper go. What is stuck was tried and is reported; its ledger stays open for
/// `drdrill recover`, and the keeper could do no more about it.
fn close(drill: &Drill, ledger: Ledger, keeper: Option<Keeper>) {
    // A ledger that cannot be put aside stays, and `recover` finds that nothing in it is open.
    let _ = ledger.settle(&drill.state.run(&drill.run_id).join(LEDGER_FILE), false);
    // A keeper that is gone has nothing left to be told.
    let _ = keeper.map(Keeper::dismiss);
}
