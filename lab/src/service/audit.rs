//! `GET /entries?prefix=`: everything this site has, checked again row by row.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use axum::extract::{Query, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use hyper::body::Frame;
use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::auth;
use super::failure::Failure;
use super::site::Site;
use crate::durable;
use crate::node::log;
use crate::store::{Kind, StoreError};

/// Bytes that are gathered before they are sent.
const PIECE: usize = 32 * 1024;
/// Pieces that may wait for a slow client.
const PIECES: usize = 8;

/// Which entries.
#[derive(Debug, Deserialize)]
pub(super) struct Selection {
    #[serde(default)]
    prefix: String,
}

/// One line: what is stored, not what was once acknowledged.
#[derive(Debug, Serialize)]
struct Line<'a> {
    id: &'a str,
    sequence: u64,
    value_bytes: usize,
    /// Whether the stored value still has the stored checksum.
    checksum_ok: bool,
    /// How often the change log has this entry; 1 unless a write was doubled.
    copies: u64,
}

/// Streams one JSON line for each entry whose id begins so, in the order of ids.
///
/// An error in the middle breaks the answer off, so that a client cannot take it for whole.
pub(super) async fn audit(
    State(site): State<Arc<Site>>,
    Query(Selection { prefix }): Query<Selection>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    auth::require_login(&headers, &site.config.token_secret)?;
    let (pieces, received) = mpsc::channel(PIECES);
    let readers = Arc::clone(&site.readers);
    tokio::task::spawn_blocking(move || {
        let outcome = readers.read_here(|connection| stream(connection, &prefix, &pieces));
        if let Err(error) = outcome {
            log("service", format_args!("audit: {error}"));
            let _ = pieces.blocking_send(Err(error));
        }
    });
    let kind = [(header::CONTENT_TYPE, "application/x-ndjson")];
    Ok((kind, Body::new(Pieces(received))).into_response())
}

fn stream(
    connection: &Connection,
    prefix: &str,
    pieces: &mpsc::Sender<Result<Bytes, StoreError>>,
) -> Result<(), StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT id, sequence, value, checksum,
                (SELECT count(*) FROM changes WHERE kind = ?2 AND subject = entries.id)
         FROM entries WHERE id >= ?1 ORDER BY id",
    )?;
    let mut rows = statement.query((prefix, Kind::Entry))?;
    let mut piece = Vec::new();
    while let Some(row) = rows.next()? {
        let id: String = row.get(0)?;
        if !id.starts_with(prefix) {
            break;
        }
        // A fault may have put anything into the column, so it is read as bytes.
        let value = row.get_ref(2)?.as_bytes().unwrap_or_default();
        let checksum: String = row.get(3)?;
        let line = Line {
            id: &id,
            sequence: row.get(1)?,
            value_bytes: value.len(),
            checksum_ok: durable::sha256(value).eq_ignore_ascii_case(&checksum),
            copies: row.get(4)?,
        };
        serde_json::to_writer(&mut piece, &line)?;
        piece.push(b'\n');
        if piece.len() >= PIECE && !send(pieces, &mut piece) {
            return Ok(());
        }
    }
    send(pieces, &mut piece);
    Ok(())
}

/// Whether the client is still there.
fn send(pieces: &mpsc::Sender<Result<Bytes, StoreError>>, piece: &mut Vec<u8>) -> bool {
    let piece = Bytes::from(std::mem::take(piece));
    piece.is_empty() || pieces.blocking_send(Ok(piece)).is_ok()
}

/// The pieces as the body of an answer.
struct Pieces(mpsc::Receiver<Result<Bytes, StoreError>>);

impl hyper::body::Body for Pieces {
    type Data = Bytes;
    type Error = StoreError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, StoreError>>> {
        self.0.poll_recv(context).map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }
}
