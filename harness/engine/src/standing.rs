//! An environment that is up without a drill. Its undo is on disk first and a keeper watches, as in a drill: it goes away
//! with whoever brought it up, however that ends.

use std::path::Path;
use std::time::Instant;

use drdrill_core::environment::Environment;

use crate::drill::NotReady;
use crate::keeper::Keeper;
use crate::ledger::Ledger;
use crate::revert::{Reverters, Stuck, TOTAL_TIMEOUT, revert_open};
use crate::state::{LEDGER_FILE, StateDir};

/// An environment that is up.
#[derive(Debug)]
pub struct Standing {
    ledger: Ledger,
    keeper: Keeper,
}

impl Standing {
    /// Brings an environment up.
    ///
    /// # Errors
    /// When it does not come up; what was made of it is taken away again, but for what the error names.
    pub async fn up(
        state: &StateDir,
        run_id: &str,
        program: &Path,
        mut ledger: Ledger,
        environment: &dyn Environment,
        reverters: &Reverters,
    ) -> Result<Self, NotReady> {
        let keeper = Keeper::start(program, state, run_id).map_err(|error| NotReady {
            reason: format!("start the keeper, without which nothing is brought up: {error}"),
            left: Vec::new(),
        })?;
        ledger.intend("environment", environment.name(), environment.undo())?;
        let standing = Self { ledger, keeper };
        if let Err(error) = environment.up().await {
            let left = standing.down(state, run_id, environment, reverters).await;
            return Err(NotReady { reason: error.to_string(), left });
        }
        Ok(standing)
    }

    /// Whether somebody still watches over it.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        self.keeper.is_alive()
    }

    /// Takes it down, and looks that it is gone; returns what is left.
    pub async fn down(
        mut self,
        state: &StateDir,
        run_id: &str,
        environment: &dyn Environment,
        reverters: &Reverters,
    ) -> Vec<Stuck> {
        let give_up = Instant::now() + TOTAL_TIMEOUT;
        // What a hanging or failing environment leaves is found and taken back below.
        let _ = tokio::time::timeout_at(give_up.into(), environment.down()).await;
        let stuck = revert_open(&mut self.ledger, reverters).await.stuck;
        // A ledger that cannot be put aside stays, and `recover` finds that nothing in it is open.
        let _ = self.ledger.settle(&state.run(run_id).join(LEDGER_FILE), false);
        // A keeper that is gone has nothing left to be told.
        let _ = self.keeper.dismiss();
        stuck
    }
}
