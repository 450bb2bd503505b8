//! The bystander: a service outside the blast radius, which must never notice a drill.

use std::net::SocketAddr;

use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::node::{self, LabError};

/// How to run a bystander.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BystanderConfig {
    /// Where it serves HTTP.
    pub http: SocketAddr,
    /// Whether it also dies with the thread that started it; see the `node` module.
    #[serde(default)]
    pub die_with_starting_thread: bool,
}

/// Runs a bystander until its standard input ends: `GET /health` answers 200.
///
/// # Errors
///
/// When its address cannot be listened on.
pub async fn run(config: BystanderConfig) -> Result<(), LabError> {
    node::hold_lifeline("bystander", config.die_with_starting_thread)?;
    let (listener, bound) = node::listen(config.http).await?;
    let mut fields = node::ready_fields("bystander");
    fields.insert("http".to_owned(), bound.to_string().into());
    node::ready(fields)?;
    node::serve(listener, Router::new().route("/health", get(health))).await
}

async fn health() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}
