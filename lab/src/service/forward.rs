//! What a standby does with a write that a client brings it, or with a read that only the leader may answer.

use axum::body::Bytes;
use axum::http::{HeaderMap, Method, Request, header};
use axum::response::{IntoResponse, Response};
use http_body_util::Full;

use super::failure::Failure;
use super::site::Site;
use crate::client::ClientError;
use crate::store::{Role, StoreError};

/// Headers by which an acknowledgement says who decided: the site, and the epoch in which it did.
pub(super) const DECIDER: [&str; 2] = ["x-drdrill-site", "x-drdrill-epoch"];

/// These headers of an acknowledgement.
pub(super) fn decider(site: String, epoch: u64) -> [(&'static str, String); 2] {
    let [site_name, epoch_name] = DECIDER;
    [(site_name, site), (epoch_name, epoch.to_string())]
}

/// Marks a request that a standby has sent on, so that none goes round in circles.
const FORWARDED: &str = "x-drdrill-forwarded";

/// Sends a write on to the leader where this site is a standby; `None` on a primary.
///
/// The leader's answer is the answer; a standby never acknowledges a write itself.
pub(super) async fn to_leader(
    site: &Site,
    method: Method,
    path: &str,
    headers: &HeaderMap,
    body: Bytes,
) -> Result<Option<Response>, Failure> {
    let state = site.writer.state();
    if state.fenced {
        return Err(StoreError::Fenced.into());
    }
    if state.role == Role::Primary {
        return Ok(None);
    }
    let leader = state
        .leader_url
        .filter(|_| !headers.contains_key(FORWARDED))
        .ok_or(StoreError::NotPrimary)?;
    let mut request = Request::builder()
        .method(method)
        .uri(format!("{}{path}", leader.trim_end_matches('/')))
        .header(header::CONTENT_TYPE, "application/json")
        .header(FORWARDED, &site.config.site);
    if let Some(token) = headers.get(header::AUTHORIZATION) {
        request = request.header(header::AUTHORIZATION, token);
    }
    let request = request
        .body(Full::new(body))
        .map_err(|error| Failure::Leader(ClientError::Request(error)))?;
    let answer = site.leader.send_request(request).await.map_err(Failure::Leader)?;
    let json = [(header::CONTENT_TYPE, "application/json")];
    let mut passed = (answer.status, json, answer.body).into_response();
    for name in DECIDER {
        if let Some(value) = answer.headers.get(name) {
            passed.headers_mut().insert(name, value.clone());
        }
    }
    Ok(Some(passed))
}
