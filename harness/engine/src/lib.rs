//! Runs a drill, and takes back what it did, whatever happens.
//!
//! 1. [`state`] — where runs, locks and keys live.
//! 2. [`ledger`] — the undo ledger: intents on disk before effects.
//! 3. [`revert`] — taking open intents back; the recovery path is the normal path.
//! 4. [`keeper`] — the process that does so when the harness is gone.
//! 5. [`lock`] — one drill at a time for each environment.
//! 6. [`history`] — the recorder that everything writes to.
//! 7. [`stop`] — stop conditions, watched throughout.
//! 8. [`drill`] — the life of a drill; [`standing`] — an environment that is up without one.

pub mod drill;
pub mod history;
pub mod keeper;
pub mod ledger;
pub mod lock;
mod locked;
pub mod revert;
pub mod standing;
pub mod state;
pub mod stop;
