//! The state of the protected system (requirement C3). Every change goes to the journal, which is its history.

use std::sync::{Mutex, PoisonError};

use drdrill_core::event::{Event, Journal, SystemState};

#[derive(Debug)]
pub(crate) struct State(Mutex<SystemState>);

impl State {
    pub(crate) const fn healthy() -> Self {
        Self(Mutex::new(SystemState::Healthy))
    }

    /// Goes over to `to`; false when it was there already.
    pub(crate) fn change(&self, to: SystemState, reason: &str, journal: &dyn Journal) -> bool {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let from = std::mem::replace(&mut *state, to);
        if from != to {
            journal.record(Event::StateChanged { from, to, reason: reason.to_owned() });
        }
        from != to
    }
}
