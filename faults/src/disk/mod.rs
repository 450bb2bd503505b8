//! A file system that is full.
//!
//! 1. [`place`] — the directory, its file system, and those that must not be filled.
//! 2. [`ballast`] — the space that is taken: a file without a name, which ends with this process.
//! 3. [`canary`] — a small write that tells whether there is room.
//! 4. [`fault`] — the fault of scenarios; [`reverter`] — takes it back, knowing only what the ledger knows.

pub mod ballast;
pub mod canary;
pub mod fault;
pub mod place;
pub mod reverter;
