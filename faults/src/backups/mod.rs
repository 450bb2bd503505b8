//! Backups that are cut short, changed or removed.
//!
//! 1. [`fault`] — the fault: the files of the newest restore points.
//! 2. [`log`] — the same of the log that goes on from them.
//! 3. `spoil` — what is done to one file, and how it is taken back.
//! 4. [`reverter`] — takes it back knowing only what the ledger knows.

pub mod fault;
pub mod log;
pub mod reverter;
pub(crate) mod spoil;
