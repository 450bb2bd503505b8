//! The lab as real processes, killed for real.

#![expect(clippy::unwrap_used, reason = "a helper of a test panics as the test does")]

mod auth;
mod backups;
mod durability;
mod failback;
mod failover;
mod fencing;
mod gateway;
mod jobs;
mod lifeline;
mod link;
mod logins;
mod pair;
mod support;
mod synchronous;
mod workloads;
