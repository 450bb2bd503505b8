//! Probes watch. They record; they never judge.

use std::fmt;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::sample::Outcome;

/// What a stream of samples is evidence of.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// Writes with unique ids, each accounted for at the end: decides RTO and RPO.
    Write,
    /// Reads: decides RTO.
    Read,
    /// Something outside the blast radius that the fault must not touch.
    Bystander,
}

/// Whether each attempt opens its own connection.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Connection {
    /// A new connection for each attempt: what a new client sees. The headline figures come from these.
    Fresh,
    /// One connection kept for as long as it works: what an old client sees. Reported apart.
    Kept,
}

/// One kind of attempt, as a client would make it.
#[async_trait]
pub trait Probe: fmt::Debug + Send + Sync {
    /// Makes attempt number `sequence`. The sampler stamps the times and enforces the deadline: dropping the
    /// future must abandon the attempt.
    async fn attempt(&self, sequence: u64) -> Outcome;
}
