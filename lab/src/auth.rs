//! Logins of one site: checks passwords against the site's own database and issues tokens.
//!
//! A process of its own beside the service, so that logins can fail while data access works: whoever has a token already
//! is let in by its signature. It reads the database that the service writes, on a primary and on a standby.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};

use crate::node::{self, LabError};
use crate::service::failure::Failure;
use crate::service::login::{Desk, Login, Token};
use crate::store::{Readers, database_path};

/// How to run the logins of one site.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuthConfig {
    /// Where the service asks.
    pub http: SocketAddr,
    /// The data directory of the service; its database need not be there yet.
    pub data_dir: PathBuf,
    /// Signs login tokens; the same on both sites.
    pub token_secret: String,
    /// How long a login is good for.
    pub token_lifetime_ms: u64,
    /// Whether it also dies with the thread that started it; see the `node` module.
    #[serde(default)]
    pub die_with_starting_thread: bool,
}

/// Runs the logins of one site until its standard input ends.
///
/// # Errors
///
/// When its address cannot be listened on.
pub async fn run(config: AuthConfig) -> Result<(), LabError> {
    node::hold_lifeline("auth", config.die_with_starting_thread)?;
    node::survive_refused_writes()?;
    let (listener, bound) = node::listen(config.http).await?;
    let mut fields = node::ready_fields("auth");
    fields.insert("http".to_owned(), bound.to_string().into());
    node::ready(fields)?;
    let readers = Readers::new(database_path(&config.data_dir));
    let desk = Arc::new(Desk::new(readers, config.token_secret, config.token_lifetime_ms));
    let routes =
        Router::new().route("/health", get(health)).route("/login", post(log_in)).with_state(desk);
    node::serve(listener, routes).await
}

/// Answers 200 when the users can be read.
async fn health(State(desk): State<Arc<Desk>>) -> Result<StatusCode, Failure> {
    desk.look().await?;
    Ok(StatusCode::OK)
}

async fn log_in(
    State(desk): State<Arc<Desk>>,
    Json(login): Json<Login>,
) -> Result<Json<Token>, Failure> {
    desk.log_in(login).await.map(Json)
}
