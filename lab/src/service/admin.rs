//! The operators' listener. Every step answers the status that it has led to.

use std::sync::{Arc, PoisonError};

use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};

use super::config::FollowTarget;
use super::control;
use super::failure::Failure;
use super::health::{self, Replication};
use super::site::Site;
use crate::replication::FollowersView;
use crate::store::{Consistency, Role, Session, SiteState, StoreError, consistency};

/// What a site is and does.
#[derive(Debug, Serialize)]
struct Status {
    site: String,
    role: Role,
    epoch: u64,
    fenced: bool,
    lsn: u64,
    last_change_at_ms: u64,
    source: Option<String>,
    leader_url: Option<String>,
    #[serde(flatten)]
    replication: Replication,
    /// The standbys of this site, by name.
    followers: FollowersView,
}

/// The epoch that a site is promoted to.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Promotion {
    epoch: u64,
}

pub(super) fn routes(site: Arc<Site>) -> Router {
    Router::new()
        .route("/status", get(status))
        .route("/consistency", get(look_at_data))
        .route("/fence", post(fence))
        .route("/unfence", post(unfence))
        .route("/promote", post(promote))
        .route("/follow", post(follow))
        .route("/demote", post(demote))
        .with_state(site)
}

async fn status(State(site): State<Arc<Site>>) -> Json<Status> {
    Json(status_of(&site).await)
}

/// Whether all that this site has is what was written. Reads the whole database.
async fn look_at_data(State(site): State<Arc<Site>>) -> Result<Json<Consistency>, Failure> {
    Ok(Json(site.readers.read(consistency).await?))
}

async fn fence(State(site): State<Arc<Site>>) -> Result<Json<Status>, Failure> {
    step(&site, control::fence).await
}

async fn unfence(State(site): State<Arc<Site>>) -> Result<Json<Status>, Failure> {
    step(&site, control::unfence).await
}

async fn promote(
    State(site): State<Arc<Site>>,
    Json(Promotion { epoch }): Json<Promotion>,
) -> Result<Json<Status>, Failure> {
    let user = site.user.clone();
    step(&site, move |session| control::promote(session, epoch, &user)).await
}

async fn follow(
    State(site): State<Arc<Site>>,
    Json(target): Json<FollowTarget>,
) -> Result<Json<Status>, Failure> {
    step(&site, move |session| control::follow(session, target)).await
}

async fn demote(State(site): State<Arc<Site>>) -> Result<Json<Status>, Failure> {
    step(&site, control::demote).await
}

/// Takes a step in the order of the writer's queue, so that all writes before it are durable.
async fn step(
    site: &Site,
    step: impl FnOnce(&mut Session<'_>) -> Result<(), StoreError> + Send + 'static,
) -> Result<Json<Status>, Failure> {
    site.writer.write(step).await?;
    Ok(Json(status_of(site).await))
}

async fn status_of(site: &Site) -> Status {
    let state = site.writer.state();
    let replication = health::replication(site, &state).await;
    let followers = site.followers.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let SiteState { role, epoch, fenced, lsn, changed_at_ms, source, leader_url, .. } = state;
    Status {
        site: site.config.site.clone(),
        role,
        epoch,
        fenced,
        lsn,
        last_change_at_ms: changed_at_ms,
        source,
        leader_url,
        replication,
        followers,
    }
}
