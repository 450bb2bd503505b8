//! `/registers/{key}`: values that are written and read under a key, the last one written counts.
//!
//! Unlike entries they are read from the site that decides, so that a read returns what was last acknowledged: a standby
//! sends reads on as it does writes, and both say who decided, in which epoch.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Method};
use axum::response::{IntoResponse, Response};
use rusqlite::{Connection, OptionalExtension};
use serde::{Deserialize, Serialize};

use super::entries::{require_simple, think};
use super::failure::Failure;
use super::planted::{self, Planted};
use super::site::Site;
use super::{auth, forward};
use crate::store::{Register, Row, Session, StoreError};

/// The body of a write.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    value: u64,
}

/// An acknowledgement: this site has the value on its disk, and so has every standby that must have it.
#[derive(Debug, Serialize)]
struct Written {
    lsn: u64,
    epoch: u64,
}

/// What a client reads.
#[derive(Debug, Serialize)]
struct Found {
    /// `null` before the first write.
    value: Option<u64>,
}

/// Writes a value: 200 once it is durable on the leader and on the standbys that must have it.
pub(super) async fn put(
    State(site): State<Arc<Site>>,
    Path(key): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Failure> {
    auth::require_login(&headers, &site.config.token_secret)?;
    require_simple(&key)?;
    let Content { value } =
        serde_json::from_slice(&body).map_err(|error| Failure::Invalid(error.to_string()))?;
    if i64::try_from(value).is_err() {
        return Err(Failure::Invalid("the value is beyond 2^63".to_owned()));
    }
    think(&site).await;
    let path = format!("/registers/{key}");
    if let Some(answer) = forward::to_leader(&site, Method::PUT, &path, &headers, body).await? {
        return Ok(answer);
    }
    let register = Register { key: key.clone(), value };
    let written = site.write(|session| store(session, register)).await?;
    site.remembered.forget(&key);
    let decider = forward::decider(site.config.site.clone(), written.epoch);
    Ok((decider, Json(written)).into_response())
}

/// Reads the value from the site that decides.
pub(super) async fn get(
    State(site): State<Arc<Site>>,
    Path(key): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    auth::require_login(&headers, &site.config.token_secret)?;
    require_simple(&key)?;
    think(&site).await;
    let path = format!("/registers/{key}");
    let asked = forward::to_leader(&site, Method::GET, &path, &headers, Bytes::new()).await?;
    if let Some(answer) = asked {
        return Ok(answer);
    }
    let from_old = site.config.planted == Some(Planted::StaleReads);
    let remembered = site.remembered.value(&key);
    let read = move |connection: &Connection| {
        let found =
            if from_old { planted::old_value(connection, &key)? } else { find(connection, &key)? };
        let (value, lsn) = found.unzip();
        Ok((value, lsn.unwrap_or(0)))
    };
    let (value, state) = site.read_decided(read).await?;
    require_one_history(&state)?;
    let decider = forward::decider(site.config.site.clone(), state.epoch);
    Ok((decider, Json(Found { value: remembered.or(value) })).into_response())
}

/// Where two sites take writes, of two that did not know of each other one is dropped: no value that was read would hold,
/// and two transfers would make money of nothing.
pub(super) fn require_one_history(state: &crate::store::SiteState) -> Result<(), StoreError> {
    if state.peer.is_none() {
        return Ok(());
    }
    let reason = "two sites take writes here, and neither registers nor accounts can be merged";
    Err(StoreError::Conflict(reason.to_owned()))
}

fn store(session: &mut Session<'_>, register: Register) -> Result<Written, StoreError> {
    session.require_primary()?;
    require_one_history(&session.state)?;
    session.append(&Row::Register(register))?;
    Ok(Written { lsn: session.state.lsn, epoch: session.state.epoch })
}

fn find(connection: &Connection, key: &str) -> Result<Option<(u64, u64)>, StoreError> {
    Ok(connection
        .prepare_cached("SELECT value, lsn FROM registers WHERE key = ?1")?
        .query_row([key], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?)
}
