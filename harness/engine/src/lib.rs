//! Runs a drill, and takes back what it did, whatever happens.
//!
//! 1. [`state`] — where runs, locks and keys live.
//! 2. [`identity`] — processes named so exactly that no later one can be mistaken for them.
//! 3. [`ledger`] — the undo ledger: intents on disk before effects.
//! 4. [`revert`] — taking open intents back; the recovery path is the normal path.
//! 5. [`keeper`] — the process that does so when the harness is gone.
//! 6. [`lock`] — one drill at a time for each environment.
//! 7. [`history`] — the recorder that everything writes to.
//! 8. [`stop`] — stop conditions, watched throughout.
//! 9. [`drill`] — the life of a drill.

pub mod drill;
pub mod history;
pub mod identity;
pub mod keeper;
pub mod ledger;
pub mod lock;
pub mod revert;
pub mod state;
pub mod stop;
