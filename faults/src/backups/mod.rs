//! Backups that are cut short, changed or removed.
//!
//! 1. [`fault`] — the fault: the files of the newest restore points.
//! 2. `spoil` — what is done to one file, and how it is taken back.
//! 3. [`reverter`] — takes it back knowing only what the ledger knows.

pub mod fault;
pub mod reverter;
pub(crate) mod spoil;
