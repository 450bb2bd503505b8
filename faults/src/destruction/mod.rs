//! A site of which nothing is left: its processes, its network and its data are gone.
//!
//! 1. [`fault`] — the fault.
//! 2. `moved` — a directory that is gone from its place, and how it comes back.
//! 3. [`reverter`] — takes it back knowing only what the ledger knows.

pub mod fault;
mod moved;
pub mod reverter;
