//! `GET /health`: what a health monitor asks, and the state of replication as both roles see it.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tokio::time::timeout;

use super::jobs;
use super::site::Site;
use crate::node::now_ms;
use crate::store::{Change, Role, SiteState, StoreError};

const OK: &str = "ok";

/// The body of a health answer.
#[derive(Debug, Serialize)]
struct Health {
    site: String,
    role: Role,
    epoch: u64,
    fenced: bool,
    lsn: u64,
    database: String,
    queue: String,
    login: String,
    replication: Replication,
}

/// The state of replication: to its source for a standby, to its standbys for a primary.
#[derive(Debug, Serialize)]
pub(super) struct Replication {
    /// Whether the other side is there.
    pub(super) connected: bool,
    /// The age of the oldest change that may not be on the standby, or `null` where none is known.
    pub(super) lag_ms: Option<u64>,
    /// What is durable on the standby.
    pub(super) applied_lsn: Option<u64>,
}

/// Answers 200 when the database takes a durable write, the job queue moves and users can log in, else 503.
pub(super) async fn health(State(site): State<Arc<Site>>) -> Response {
    let limit = Duration::from_millis(site.config.timing.health_timeout_ms);
    let (database, queue, login) = tokio::join!(
        within(limit, check_database(&site)),
        within(limit, check_queue(&site)),
        within(limit, check_login(&site)),
    );
    let healthy = [&database, &queue, &login].into_iter().all(|part| part == OK);
    let state = site.writer.state();
    let replication = within_replication(limit, &site, &state).await;
    let SiteState { role, epoch, fenced, lsn, .. } = state;
    let site = site.config.site.clone();
    let body = Health { site, role, epoch, fenced, lsn, database, queue, login, replication };
    let status = if healthy { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(body)).into_response()
}

async fn within(limit: Duration, check: impl Future<Output = Result<(), String>>) -> String {
    match timeout(limit, check).await {
        Ok(Ok(())) => OK.to_owned(),
        Ok(Err(reason)) => reason,
        Err(_) => format!("no answer within {} ms", limit.as_millis()),
    }
}

/// A real write through the writer's queue, in its next COMMIT; with all before it, it is also where a client's would
/// have to be.
async fn check_database(site: &Site) -> Result<(), String> {
    site.write(|session| {
        session
            .connection
            .prepare_cached("INSERT OR REPLACE INTO health (id, at_ms) VALUES (1, ?1)")?
            .execute([now_ms()])?;
        Ok(())
    })
    .await
    .map_err(|error| error.to_string())
}

/// Jobs wait on a standby until it is promoted, so only a primary's queue can stall.
async fn check_queue(site: &Site) -> Result<(), String> {
    let stall_ms = site.config.timing.queue_stall_ms;
    let waited_ms =
        site.readers.read(jobs::longest_wait_ms).await.map_err(|error| error.to_string())?;
    let state = site.writer.state();
    let moves = state.role == Role::Standby || state.fenced;
    if moves || stall_ms == 0 || waited_ms < stall_ms {
        Ok(())
    } else {
        Err(format!("stalled: a job has waited {waited_ms} ms"))
    }
}

/// Whether the process that checks passwords answers.
async fn check_login(site: &Site) -> Result<(), String> {
    let Some(auth) = &site.config.auth_url else { return Ok(()) };
    let url = format!("{auth}/health");
    let answer = site.auth.send(Method::GET, &url, None, "").await;
    match answer.map_err(|error| error.to_string())?.status {
        StatusCode::OK => Ok(()),
        other => Err(format!("answered {other}")),
    }
}

async fn within_replication(limit: Duration, site: &Site, state: &SiteState) -> Replication {
    timeout(limit, replication(site, state)).await.unwrap_or(Replication {
        connected: false,
        lag_ms: None,
        applied_lsn: None,
    })
}

/// The state of replication as this site sees it.
pub(super) async fn replication(site: &Site, state: &SiteState) -> Replication {
    match state.role {
        Role::Standby => {
            let view = *site.following.lock().unwrap_or_else(PoisonError::into_inner);
            Replication {
                connected: view.connected,
                lag_ms: view.lag().map(|lag| u64::try_from(lag.as_millis()).unwrap_or(u64::MAX)),
                applied_lsn: Some(state.lsn),
            }
        }
        Role::Primary => {
            let standby = site
                .followers
                .borrow()
                .values()
                .filter(|standby| standby.epoch == state.epoch)
                .max_by_key(|standby| (standby.connected, standby.applied_lsn))
                .copied();
            let applied_lsn = standby.map(|standby| standby.applied_lsn);
            let lag_ms = match applied_lsn {
                Some(lsn) => site.readers.read(move |database| age_after(database, lsn)).await.ok(),
                None => None,
            };
            let connected = standby.is_some_and(|standby| standby.connected);
            Replication { connected, lag_ms, applied_lsn }
        }
    }
}

fn age_after(connection: &rusqlite::Connection, lsn: u64) -> Result<u64, StoreError> {
    let since = Change::time_after(connection, lsn)?;
    Ok(since.map_or(0, |since| now_ms().saturating_sub(since)))
}
