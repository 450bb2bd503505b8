//! Faults of the network of nodes: packets are dropped or delayed by the kernel, in the node's own network namespace.
//!
//! 1. [`fault`] — a partition, a loss or a limit of packets as an action of a drill; [`delay`] — a delay of them.
//! 2. `proof` and `lateness` — what shows that it is in effect: [`canary`] connections, some of which must fail or be late
//!    now and others must not, and bytes that are pushed through (`push`); `ways` — between whom.
//! 3. `held` — the tables that hold faults in effect; they end with this process.
//! 4. [`reverter`] — takes a fault back, knowing only what the ledger knows; [`chains`] one that was made with `iptables`;
//!    [`delay_reverter`] a delay.

pub mod canary;
pub mod chains;
pub mod delay;
pub mod delay_reverter;
pub mod fault;
mod held;
mod lateness;
mod proof;
mod push;
pub mod reverter;
mod ways;
