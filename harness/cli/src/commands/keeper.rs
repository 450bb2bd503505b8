//! `drdrill keeper`: takes everything back when the harness is gone.

use std::io;
use std::process::Command;
use std::time::Duration;

use drdrill_engine::keeper::{Farewell, LEASE, take_over, wait_for_harness};
use drdrill_engine::revert::revert_open;
use drdrill_engine::state::StateDir;

use crate::exit::{Code, Failure, Outcome};
use crate::wiring;

/// The harness's ledger is free a moment after its death.
const PATIENCE: Duration = Duration::from_secs(10);

/// Starts the keeper and ends, so that the keeper is no descendant of the harness.
pub(crate) fn detach(state: &StateDir, run_id: &str) -> Outcome {
    let start = || {
        let mut keeper = Command::new(std::env::current_exe()?);
        keeper.arg("--state").arg(state.root()).args(["keeper", run_id, "--detached"]).spawn()
    };
    start().map_err(Failure::with(Code::Bug))?;
    Ok(Code::Passed)
}

/// Waits for the end of the harness, in a session of its own: what kills the harness's process group spares the keeper.
pub(crate) fn keeper(state: &StateDir, run_id: &str) -> Outcome {
    // Fails only for the leader of a process group, and a child that was just started is none.
    let _ = nix::unistd::setsid();
    let farewell =
        wait_for_harness(io::stdin(), io::stdout(), LEASE).map_err(Failure::with(Code::Bug))?;
    if farewell == Farewell::Dismissed {
        return Ok(Code::Passed);
    }
    let ledger = take_over(&state.ledger(run_id), farewell, PATIENCE);
    let Some(mut ledger) = ledger.map_err(Failure::with(Code::LeftInPlace))? else {
        return Ok(Code::Passed);
    };
    let runtime = super::runtime()?;
    let reverted = runtime.block_on(revert_open(&mut ledger, &wiring::reverters(None)));
    // An undo that was given up and still hangs must not keep this process from ending.
    runtime.shutdown_background();
    super::recover::put_aside(state, run_id, ledger);
    Ok(if reverted.stuck.is_empty() { Code::Passed } else { Code::LeftInPlace })
}
