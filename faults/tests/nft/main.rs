//! Faults of `nf_tables` in real namespaces: what they strike, and that they go away.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod chains;
mod death;
mod drills;
mod errors;
mod first_packet;
mod foreign;
mod privileges;
mod strikes;
mod world;
