//! Faults of the network in real namespaces, by `nf_tables`, iptables and queueing disciplines: what they strike, and
//! that they go away.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod chains;
mod death;
mod delays;
mod drills;
mod errors;
mod first_packet;
mod foreign;
mod privileges;
mod qdiscs;
mod strikes;
mod world;
