//! Faults of the network of nodes: packets are dropped by the kernel, in the node's own network namespace.
//!
//! 1. [`fault`] — a partition, a loss or a limit of packets as an action of a drill.
//! 2. `proof` — what shows that it is in effect: [`canary`] connections, some of which must fail now and others must not,
//!    and bytes that are pushed through (`push`).
//! 3. `held` — the tables that hold faults in effect; they end with this process.
//! 4. [`reverter`] — takes a fault back, knowing only what the ledger knows; [`chains`] one that was made with `iptables`.

pub mod canary;
pub mod chains;
pub mod fault;
mod held;
mod proof;
mod push;
pub mod reverter;
