//! Faults of processes, which are named by number and start time and never by what they are called.
//!
//! 1. [`targets`] — which processes a fault strikes; [`protected`] — which it never does.
//! 2. [`pause`] — processes stand still, as an action of a drill; [`pauser`] — the process that holds them: when it
//!    ends, they run on; [`reverter`] — lets them run on, knowing only what the ledger knows.
//! 3. [`end`] — processes are killed or asked to end; [`end_undo`] — starts them again, knowing only what the ledger
//!    knows; [`starter`] — so that they outlive drdrill.
//! 4. [`read_only`] — processes can read files and not write to them, by a [`file_limit`] of theirs; [`read_only_undo`] —
//!    lets them write again, knowing only what the ledger knows.

mod canary;
pub mod end;
pub mod end_undo;
pub mod file_limit;
pub mod pause;
pub mod pauser;
pub mod protected;
pub mod read_only;
pub mod read_only_undo;
pub mod reverter;
pub mod starter;
pub mod targets;
mod threads;
