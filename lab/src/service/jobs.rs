//! `/jobs`: processes that clients ask for and the site's worker runs.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use rusqlite::{Connection, OptionalExtension, params};
use serde::Deserialize;
use serde_json::json;

use super::failure::Failure;
use super::site::Site;
use super::{auth, forward};
use crate::node::now_ms;
use crate::store::{Job, JobState, Kind, Row, Session, StoreError, made_here};

/// What a client asks for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Submission {
    argv: Vec<String>,
}

/// What a worker reports of a job that has ended.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Finish {
    claim: u64,
    exit_code: Option<i32>,
    output: String,
}

/// Queues a job: 201 once it is durable on the leader.
pub(super) async fn submit(
    State(site): State<Arc<Site>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Failure> {
    auth::require_login(&headers, &site.config.token_secret)?;
    let Submission { argv } =
        serde_json::from_slice(&body).map_err(|error| Failure::Invalid(error.to_string()))?;
    if argv.first().is_none_or(String::is_empty) {
        return Err(Failure::Invalid("argv names no program".to_owned()));
    }
    let forwarded = forward::to_leader(&site, Method::POST, "/jobs", &headers, body).await?;
    if let Some(answer) = forwarded {
        return Ok(answer);
    }
    let job = Job {
        id: format!("job-{}", hex::encode(rand::random::<[u8; 8]>())),
        argv,
        state: JobState::Queued,
        submitted_at_ms: now_ms(),
        claim: 0,
        claim_epoch: 0,
        claimed_at_ms: 0,
        exit_code: None,
        output: None,
    };
    let answer = Json(json!({ "id": job.id }));
    site.write(|session| {
        session.require_primary()?;
        session.append(&Row::Job(job))
    })
    .await?;
    Ok((StatusCode::CREATED, answer).into_response())
}

/// Reads a job from this site's own database.
pub(super) async fn get(
    State(site): State<Arc<Site>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    auth::require_login(&headers, &site.config.token_secret)?;
    let job = site.readers.read(move |connection| find(connection, &id)).await?;
    Ok(Json(job).into_response())
}

/// Gives a worker the oldest job that is to be run: 200, or 204 where there is none.
pub(super) async fn claim(
    State(site): State<Arc<Site>>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    auth::require_worker(&headers, &site.config.worker_token)?;
    let lease_ms = site.config.timing.job_lease_ms;
    let claimed = site.write(move |session| claim_next(session, lease_ms)).await?;
    Ok(claimed
        .map_or_else(|| StatusCode::NO_CONTENT.into_response(), |job| Json(job).into_response()))
}

/// Records how a job has ended; 409 when it was claimed again meanwhile.
pub(super) async fn finish(
    State(site): State<Arc<Site>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    Json(finish): Json<Finish>,
) -> Result<Response, Failure> {
    auth::require_worker(&headers, &site.config.worker_token)?;
    let job = site.write(move |session| end(session, &id, finish)).await?;
    Ok(Json(job).into_response())
}

/// How long the oldest waiting job has waited.
pub(super) fn longest_wait_ms(connection: &Connection) -> Result<u64, StoreError> {
    let oldest = first_in(connection, JobState::Queued)?;
    Ok(oldest.map_or(0, |job| now_ms().saturating_sub(job.submitted_at_ms)))
}

/// A job runs at least once: one whose worker was lost, with its site or alone, runs again.
fn claim_next(session: &mut Session<'_>, lease_ms: u64) -> Result<Option<Job>, StoreError> {
    session.require_primary()?;
    let (epoch, now) = (session.state.epoch, now_ms());
    let lost = |job: &Job| job.claim_epoch < epoch || now >= job.claimed_at_ms + lease_ms;
    // While both sites take writes each runs the jobs that were brought to it.
    let own = |job: &Job| match &session.state.peer {
        Some(peer) => made_here(session.connection, &peer.me, Kind::Job, &job.id),
        None => Ok(true),
    };
    let mut next = match &session.state.peer {
        Some(_) => first(all_in(session.connection, JobState::Queued)?, own)?,
        None => first_in(session.connection, JobState::Queued)?,
    };
    if next.is_none() {
        let running = all_in(session.connection, JobState::Running)?.into_iter();
        next = first(running.filter(lost).collect(), own)?;
    }
    let Some(mut job) = next else {
        return Ok(None);
    };
    job.state = JobState::Running;
    job.claim += 1;
    job.claim_epoch = epoch;
    job.claimed_at_ms = now;
    session.append(&Row::Job(job.clone()))?;
    Ok(Some(job))
}

fn first(
    jobs: Vec<Job>,
    fits: impl Fn(&Job) -> Result<bool, StoreError>,
) -> Result<Option<Job>, StoreError> {
    for job in jobs {
        if fits(&job)? {
            return Ok(Some(job));
        }
    }
    Ok(None)
}

fn end(session: &mut Session<'_>, id: &str, finish: Finish) -> Result<Job, StoreError> {
    session.require_primary()?;
    let mut job = find(session.connection, id)?;
    let Finish { claim, exit_code, output } = finish;
    let ended = matches!(job.state, JobState::Done | JobState::Failed);
    if job.claim != claim || job.claim_epoch != session.state.epoch {
        return Err(StoreError::Conflict(format!("{id} was claimed again")));
    }
    if !ended {
        job.state = if exit_code == Some(0) { JobState::Done } else { JobState::Failed };
        job.exit_code = exit_code;
        job.output = Some(output);
        session.append(&Row::Job(job.clone()))?;
    }
    Ok(job)
}

fn find(connection: &Connection, id: &str) -> Result<Job, StoreError> {
    let row: Option<String> = connection
        .prepare_cached("SELECT row FROM jobs WHERE id = ?1")?
        .query_row([id], |row| row.get(0))
        .optional()?;
    let row = row.ok_or_else(|| StoreError::NotFound("no such job".to_owned()))?;
    Ok(serde_json::from_str(&row)?)
}

fn first_in(connection: &Connection, state: JobState) -> Result<Option<Job>, StoreError> {
    Ok(some_in(connection, state, 1)?.pop())
}

fn all_in(connection: &Connection, state: JobState) -> Result<Vec<Job>, StoreError> {
    some_in(connection, state, u32::MAX)
}

fn some_in(connection: &Connection, state: JobState, count: u32) -> Result<Vec<Job>, StoreError> {
    let mut statement = connection
        .prepare_cached("SELECT row FROM jobs WHERE state = ?1 ORDER BY submitted_lsn LIMIT ?2")?;
    let rows = statement.query_map(params![state.name(), count], |row| row.get::<_, String>(0))?;
    rows.map(|row| Ok(serde_json::from_str(&row?)?)).collect()
}
