//! `/accounts` and `/transfers`: money that only moves.
//!
//! A transfer is one change of the log that has both new balances, so that no site, backup or restored volume ever has half
//! of one. All balances are read in one snapshot, from the site that decides.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use rusqlite::{Connection, OptionalExtension};
use serde::{Deserialize, Serialize};

use super::entries::{require_simple, think};
use super::failure::Failure;
use super::planted::{BETWEEN, Planted};
use super::registers::require_one_history;
use super::site::Site;
use super::{auth, forward};
use crate::store::{Kind, Moved, Posting, Row, Session, StoreError};

/// The id of the posting that opens the accounts.
const OPENING: &str = "opening";

/// The body of a request to open accounts.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Opening {
    balances: BTreeMap<String, i64>,
}

/// The body of a transfer.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Transfer {
    id: String,
    from: String,
    to: String,
    amount: i64,
}

/// An acknowledgement.
#[derive(Debug, Serialize)]
struct Posted {
    lsn: u64,
    epoch: u64,
    #[serde(skip)]
    created: bool,
}

/// What a client reads.
#[derive(Debug, Serialize)]
struct Balances {
    balances: BTreeMap<String, i64>,
}

/// Opens accounts, all of them together and only once: 201, or 200 where that was done before.
pub(super) async fn open(
    State(site): State<Arc<Site>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Failure> {
    auth::require_login(&headers, &site.config.token_secret)?;
    let Opening { balances } =
        serde_json::from_slice(&body).map_err(|error| Failure::Invalid(error.to_string()))?;
    balances.keys().try_for_each(|name| require_simple(name))?;
    if balances.values().any(|balance| *balance < 0) {
        return Err(Failure::Invalid("no account is overdrawn from the beginning".to_owned()));
    }
    if let Some(answer) =
        forward::to_leader(&site, Method::POST, "/accounts", &headers, body).await?
    {
        return Ok(answer);
    }
    let posted = site.write(move |session| once(session, OPENING, None, |_| Ok(balances))).await?;
    Ok(acknowledged(&site, posted))
}

/// Moves money, where there is enough: 201 once it is durable on the leader and on the standbys that must have it; 200 where
/// this very transfer was made before.
pub(super) async fn transfer(
    State(site): State<Arc<Site>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Failure> {
    auth::require_login(&headers, &site.config.token_secret)?;
    let Transfer { id, from, to, amount } =
        serde_json::from_slice(&body).map_err(|error| Failure::Invalid(error.to_string()))?;
    [&id, &from, &to].into_iter().try_for_each(|name| require_simple(name))?;
    if amount <= 0 || from == to {
        let reason = "a transfer moves a positive amount between two accounts";
        return Err(Failure::Invalid(reason.to_owned()));
    }
    think(&site).await;
    if let Some(answer) =
        forward::to_leader(&site, Method::POST, "/transfers", &headers, body).await?
    {
        return Ok(answer);
    }
    let moved = Moved { from, to, amount };
    if site.config.planted == Some(Planted::TornTransfers) {
        return torn(&site, &id, moved).await;
    }
    let posted = site
        .write(move |session| {
            once(session, &id, Some(&moved), |session| both(session.connection, &moved))
        })
        .await?;
    Ok(acknowledged(&site, posted))
}

/// All balances, of one instant, from the site that decides.
pub(super) async fn balances(
    State(site): State<Arc<Site>>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    auth::require_login(&headers, &site.config.token_secret)?;
    think(&site).await;
    let asked = forward::to_leader(&site, Method::GET, "/accounts", &headers, Bytes::new()).await?;
    if let Some(answer) = asked {
        return Ok(answer);
    }
    let (balances, state) = site.read_decided(all).await?;
    require_one_history(&state)?;
    let decider = forward::decider(site.config.site.clone(), state.epoch);
    Ok((decider, Json(Balances { balances })).into_response())
}

fn acknowledged(site: &Site, posted: Posted) -> Response {
    let status = if posted.created { StatusCode::CREATED } else { StatusCode::OK };
    (status, forward::decider(site.config.site.clone(), posted.epoch), Json(posted)).into_response()
}

/// Makes a posting, unless it was made before.
fn once(
    session: &mut Session<'_>,
    id: &str,
    moved: Option<&Moved>,
    balances: impl FnOnce(&Session<'_>) -> Result<BTreeMap<String, i64>, StoreError>,
) -> Result<Posted, StoreError> {
    session.require_primary()?;
    require_one_history(&session.state)?;
    let epoch = session.state.epoch;
    if let Some((lsn, before)) = find(session.connection, id)? {
        if before.moved.as_ref() != moved {
            return Err(StoreError::Conflict(format!("{id} is another transfer")));
        }
        return Ok(Posted { lsn, epoch, created: false });
    }
    let balances = balances(session)?;
    session.append(&Row::Posting(Posting {
        id: id.to_owned(),
        moved: moved.cloned(),
        balances,
    }))?;
    Ok(Posted { lsn: session.state.lsn, epoch, created: true })
}

/// The new balances of both accounts.
fn both(connection: &Connection, moved: &Moved) -> Result<BTreeMap<String, i64>, StoreError> {
    let Moved { from, to, amount } = moved;
    Ok([debited(connection, from, *amount)?, credited(connection, to, *amount)?].into())
}

fn debited(connection: &Connection, name: &str, amount: i64) -> Result<(String, i64), StoreError> {
    let left = balance(connection, name)?.checked_sub(amount).filter(|left| *left >= 0);
    let left =
        left.ok_or_else(|| StoreError::Conflict(format!("{name} has less than {amount}")))?;
    Ok((name.to_owned(), left))
}

fn credited(connection: &Connection, name: &str, amount: i64) -> Result<(String, i64), StoreError> {
    let more = balance(connection, name)?.checked_add(amount);
    let more = more.ok_or_else(|| StoreError::Conflict(format!("{name} can hold no more")))?;
    Ok((name.to_owned(), more))
}

/// The planted defect: two transactions where there should be one. Money that was taken is given, also when the client is
/// gone by then.
async fn torn(site: &Arc<Site>, id: &str, moved: Moved) -> Result<Response, Failure> {
    let (own, id) = (Arc::clone(site), id.to_owned());
    let both = tokio::spawn(async move { two_halves(&own, &id, moved).await });
    let posted = both.await.map_err(|error| StoreError::Commit(error.to_string()))??;
    Ok(acknowledged(site, posted))
}

async fn two_halves(site: &Site, id: &str, moved: Moved) -> Result<Posted, Failure> {
    let [debit, credit] = ["debit", "credit"].map(|half| format!("{id}.{half}"));
    let first = moved.clone();
    site.write(move |session| {
        once(session, &debit, Some(&first), |session| {
            Ok([debited(session.connection, &first.from, first.amount)?].into())
        })
    })
    .await?;
    tokio::time::sleep(BETWEEN).await;
    site.write(move |session| {
        once(session, &credit, Some(&moved), |session| {
            Ok([credited(session.connection, &moved.to, moved.amount)?].into())
        })
    })
    .await
}

fn balance(connection: &Connection, name: &str) -> Result<i64, StoreError> {
    connection
        .prepare_cached("SELECT balance FROM accounts WHERE name = ?1")?
        .query_row([name], |row| row.get(0))
        .optional()?
        .ok_or_else(|| StoreError::NotFound(format!("there is no account {name}")))
}

/// All balances, and the newest change that they depend on.
fn all(connection: &Connection) -> Result<(BTreeMap<String, i64>, u64), StoreError> {
    let mut statement = connection.prepare_cached("SELECT name, balance, lsn FROM accounts")?;
    let mut rows = statement.query([])?;
    let mut found = BTreeMap::new();
    let mut newest = 0;
    while let Some(row) = rows.next()? {
        found.insert(row.get(0)?, row.get(1)?);
        newest = newest.max(row.get(2)?);
    }
    Ok((found, newest))
}

/// A posting that was made, and where in the history.
fn find(connection: &Connection, id: &str) -> Result<Option<(u64, Posting)>, StoreError> {
    let found: Option<(u64, String)> = connection
        .prepare_cached(
            "SELECT lsn, payload FROM changes WHERE kind = ?1 AND subject = ?2 LIMIT 1",
        )?
        .query_row((Kind::Posting, id), |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    Ok(match found {
        Some((lsn, payload)) => Some((lsn, serde_json::from_str(&payload)?)),
        None => None,
    })
}
