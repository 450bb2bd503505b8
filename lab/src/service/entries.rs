//! `/entries/{id}`: the writes that a drill counts.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use rusqlite::{Connection, OptionalExtension};
use serde::{Deserialize, Serialize};

use super::failure::Failure;
use super::site::Site;
use super::{auth, forward};
use crate::durable;
use crate::store::{Entry, Row, Session, StoreError};

/// The body of a write.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    sequence: u64,
    value: String,
    checksum: String,
}

/// An acknowledgement: this site has the entry on its disk, and so has every standby that must have it.
#[derive(Debug, Serialize)]
struct Acknowledged {
    lsn: u64,
    epoch: u64,
    #[serde(skip)]
    created: bool,
    /// The epoch in which this acknowledgement is given; that of the entry may be an older one.
    #[serde(skip)]
    decided_in: u64,
    /// What both sites are called together, while both take writes.
    #[serde(skip)]
    decided_by: Option<String>,
}

/// What a client reads back.
#[derive(Debug, Serialize)]
struct Stored {
    #[serde(flatten)]
    entry: Entry,
    lsn: u64,
    epoch: u64,
}

/// Stores an entry: 201, or 200 where it was stored before, once it is durable on the leader and on the standbys that must
/// have it.
pub(super) async fn put(
    State(site): State<Arc<Site>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Failure> {
    auth::require_login(&headers, &site.config.token_secret)?;
    let entry = read(id, &body)?;
    think(&site).await;
    let path = format!("/entries/{}", entry.id);
    if let Some(answer) = forward::to_leader(&site, Method::PUT, &path, &headers, body).await? {
        return Ok(answer);
    }
    let acknowledged = site.write(|session| store(session, entry)).await?;
    let status = if acknowledged.created { StatusCode::CREATED } else { StatusCode::OK };
    let decided_by = acknowledged.decided_by.clone().unwrap_or_else(|| site.config.site.clone());
    let decider = forward::decider(decided_by, acknowledged.decided_in);
    Ok((status, decider, Json(acknowledged)).into_response())
}

/// Reads an entry from this site's own database.
pub(super) async fn get(
    State(site): State<Arc<Site>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    auth::require_login(&headers, &site.config.token_secret)?;
    think(&site).await;
    let found = site.readers.read(move |connection| find(connection, &id)).await?;
    let found = found.ok_or_else(|| StoreError::NotFound("no such entry".to_owned()))?;
    Ok(Json(found).into_response())
}

pub(super) async fn think(site: &Site) {
    let time = Duration::from_millis(site.config.timing.think_time_ms);
    if !time.is_zero() {
        tokio::time::sleep(time).await;
    }
}

/// Refuses a name that would have to be escaped somewhere.
pub(super) fn require_simple(name: &str) -> Result<(), Failure> {
    let simple = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
    if name.is_empty() || !name.bytes().all(simple) {
        let reason = "an id is made of letters, digits and - _ . :";
        return Err(Failure::Invalid(reason.to_owned()));
    }
    Ok(())
}

fn read(id: String, body: &[u8]) -> Result<Entry, Failure> {
    let Content { sequence, value, checksum } =
        serde_json::from_slice(body).map_err(|error| Failure::Invalid(error.to_string()))?;
    require_simple(&id)?;
    if i64::try_from(sequence).is_err() {
        return Err(Failure::Invalid("the sequence is beyond 2^63".to_owned()));
    }
    if !durable::sha256(&value).eq_ignore_ascii_case(&checksum) {
        let reason = "the checksum is not the SHA-256 of the value";
        return Err(Failure::Invalid(reason.to_owned()));
    }
    Ok(Entry { id, sequence, value, checksum })
}

fn store(session: &mut Session<'_>, entry: Entry) -> Result<Acknowledged, StoreError> {
    session.require_primary()?;
    let decided_by = session.state.peer.as_ref().map(|peer| peer.pair.clone());
    if let Some(stored) = find(session.connection, &entry.id)? {
        if stored.entry != entry {
            let reason = format!("{} is stored with other content", entry.id);
            return Err(StoreError::Conflict(reason));
        }
        let Stored { lsn, epoch, .. } = stored;
        let decided_in = session.state.epoch;
        return Ok(Acknowledged { lsn, epoch, created: false, decided_in, decided_by });
    }
    session.append(&Row::Entry(entry))?;
    let (lsn, epoch) = (session.state.lsn, session.state.epoch);
    Ok(Acknowledged { lsn, epoch, created: true, decided_in: epoch, decided_by })
}

fn find(connection: &Connection, id: &str) -> Result<Option<Stored>, StoreError> {
    Ok(connection
        .prepare_cached(
            "SELECT id, sequence, value, checksum, lsn, epoch FROM entries WHERE id = ?1",
        )?
        .query_row([id], |row| {
            let entry = Entry {
                id: row.get(0)?,
                sequence: row.get(1)?,
                value: row.get(2)?,
                checksum: row.get(3)?,
            };
            Ok(Stored { entry, lsn: row.get(4)?, epoch: row.get(5)? })
        })
        .optional()?)
}
