//! Checkers of what clients did to data: pure functions from a history of operations to what it proves.
//!
//! An operation that timed out may have taken effect, may yet, or never: whatever such operations may explain is not
//! called a violation, and where nothing can be established the verdict is *unknown*. Times are those of one
//! monotonic clock; two operations are in order only when one ended before the other began.
//!
//! Read in this order:
//!
//! 1. [`operation`] — what clients did to keys.
//! 2. [`registers`] — linearizability, by zones.
//! 3. [`stale`] — reads of what was overwritten, and for how long at least.
//! 4. [`succession`] — registers of a system whose sites take over from each other, and may lose what they had.
//! 5. [`order`] — all clients see the values of a key in the same order.
//! 6. [`split_brain`] — two sites that decide at the same time.
//! 7. [`bank`] — transfers make and destroy no money.
//! 8. [`accounting`] — what became of every write: lost, duplicate, phantom, corrupt, resurrected.
//! 9. [`workload`] — the samples of a drill as such operations.
//! 10. [`edn`] — histories for Jepsen's checkers.

pub mod accounting;
pub mod bank;
pub mod edn;
pub mod operation;
pub mod order;
pub mod registers;
pub mod split_brain;
pub mod stale;
pub mod succession;
pub mod workload;

pub use accounting::Books;
pub use bank::Bank;
pub use operation::{Access, Operation, Outcome};
pub use order::KeyOrder;
pub use registers::Registers;
pub use split_brain::SplitBrain;
pub use stale::StaleReads;
pub use succession::Succession;
