//! The operators' listener. Every step answers the status that it has led to.

use std::sync::Arc;

use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};

use super::auth;
use super::config::{FollowTarget, ServiceUser};
use super::control::{self, Pairing};
use super::failure::Failure;
use super::health::{self, Replication};
use super::site::Site;
use crate::replication::FollowersView;
use crate::store::{Consistency, Role, Session, SiteState, StoreError, conflicts, consistency};

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
    /// Standbys without which nothing is acknowledged.
    synchronous: Vec<String>,
    /// How far the log of the other site is merged here, while both take writes.
    merged_lsn: Option<u64>,
    /// How often two changes at the two sites did not know of each other.
    conflicts: u64,
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

/// The standbys that a site has to wait for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Synchronous {
    standbys: Vec<String>,
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
        .route("/password", post(set_password))
        .route("/pair", post(pair))
        .route("/synchronous", post(synchronous))
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

async fn pair(
    State(site): State<Arc<Site>>,
    Json(pairing): Json<Pairing>,
) -> Result<Json<Status>, Failure> {
    let me = site.config.site.clone();
    step(&site, move |session| control::pair(session, me, pairing)).await
}

async fn synchronous(
    State(site): State<Arc<Site>>,
    Json(Synchronous { standbys }): Json<Synchronous>,
) -> Result<Json<Status>, Failure> {
    step(&site, move |session| control::synchronous(session, standbys)).await
}

async fn demote(State(site): State<Arc<Site>>) -> Result<Json<Status>, Failure> {
    step(&site, control::demote).await
}

/// Gives a user another password, by a change like any other: it is replicated and backed up.
async fn set_password(
    State(site): State<Arc<Site>>,
    Json(user): Json<ServiceUser>,
) -> Result<Json<Status>, Failure> {
    let user = auth::hash_user(&user, site.config.timing.password_iterations);
    step(&site, move |session| auth::set(session, &user)).await
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
    let followers = site.followers.borrow().clone();
    let merged_lsn = state.peer.as_ref().map(|peer| peer.cursor);
    let conflicts = site.readers.read(conflicts).await.unwrap_or_default();
    let SiteState {
        role, epoch, fenced, lsn, changed_at_ms, source, leader_url, synchronous, ..
    } = state;
    Status {
        site: site.config.site.clone(),
        role,
        epoch,
        fenced,
        lsn,
        last_change_at_ms: changed_at_ms,
        source,
        leader_url,
        synchronous,
        merged_lsn,
        conflicts,
        replication,
        followers,
    }
}
