//! How to run a gateway.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// How to run a gateway.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GatewayConfig {
    /// Where clients come.
    pub http: SocketAddr,
    /// Where operators come.
    pub admin: SocketAddr,
    /// The backends by name, such as `primary` and `dr`.
    pub backends: BTreeMap<String, SocketAddr>,
    /// The share of each backend in percent; together 100.
    pub weights: BTreeMap<String, u32>,
    /// Times.
    #[serde(default)]
    pub timing: GatewayTiming,
    /// Whether it also dies with the thread that started it; see the `node` module.
    #[serde(default)]
    pub die_with_starting_thread: bool,
}

/// Times of a gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GatewayTiming {
    /// How long connecting to a backend may take, before 502.
    pub connect_timeout_ms: u64,
    /// How long a whole exchange with a backend may take, before 504 or, in the middle of an
    /// answer, before the answer is broken off.
    pub timeout_ms: u64,
}

impl Default for GatewayTiming {
    fn default() -> Self {
        Self { connect_timeout_ms: 500, timeout_ms: 2_000 }
    }
}
