//! What steps of a runbook did that can be taken back.

use std::sync::Arc;
use std::time::Duration;

use drdrill_core::action::{Reverter, Undo};
use drdrill_core::event::{Event, Journal, StepOutcome};
use drdrill_core::parts::Undos;
use tokio::time::timeout;

use crate::command::{CommandReverter, KIND};
use crate::plan::Step;

/// Time that the undo of a command has. Source: the engine gives it as much.
const UNDO_TIMEOUT: Duration = Duration::from_secs(10);

/// Something that was done, or begun.
#[derive(Debug)]
pub(super) enum Carried {
    /// Steps of the machinery's own plan.
    Plan(Vec<Step>),
    /// A command.
    Command {
        /// Its name.
        name: String,
        /// Its number in the ledger.
        id: u32,
        /// What takes it back.
        undo: Undo,
        /// The ledger.
        undos: Arc<dyn Undos>,
    },
}

impl Carried {
    /// Takes a command back. When it does not work the ledger keeps it open, and the end of the drill tries again.
    pub(super) async fn take_back(&self, site: &str, journal: &dyn Journal) {
        let Self::Command { name, id, undo: Undo::Revert { node, params, .. }, undos } = self
        else {
            return;
        };
        let started = journal.now();
        let undone = timeout(UNDO_TIMEOUT, CommandReverter.revert(node, params)).await;
        let (outcome, detail) = match undone {
            Ok(Ok(())) => (StepOutcome::Done, "taken back".to_owned()),
            Ok(Err(error)) => (StepOutcome::Failed, error.to_string()),
            Err(_) => (StepOutcome::Failed, format!("not done within {UNDO_TIMEOUT:?}")),
        };
        journal.record(Event::Step {
            name: name.clone(),
            action: KIND.to_owned(),
            site: site.to_owned(),
            started,
            finished: journal.now(),
            outcome,
            rollback: true,
            detail,
        });
        if outcome == StepOutcome::Done {
            undos.taken_back(*id).await;
            journal.record(Event::CommandTakenBack { id: *id, at: journal.now() });
        }
    }
}
