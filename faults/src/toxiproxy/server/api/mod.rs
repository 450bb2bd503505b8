//! The control interface: 14 routes over HTTP.
//!
//! 1. [`requests`] — what a body means.
//! 2. [`replies`] — what an answer looks like, errors too.
//! 3. [`answer`] — which request gets which answer.

mod replies;
mod requests;
mod resource;

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::{Method, Request, header};
use axum::response::Response;

pub(crate) use replies::ApiError;

use super::proxies::Proxies;
use super::proxy::Snapshot;
use resource::Resource;

/// More than any list of proxies needs.
const LARGEST_BODY_BYTES: usize = 16 * 1024 * 1024;

/// Answers one request.
pub(crate) async fn answer(
    State(proxies): State<Arc<Proxies>>,
    request: Request<Body>,
) -> Response {
    let (head, body) = request.into_parts();
    let Some(resource) = Resource::at(head.uri.path()) else {
        return replies::page_not_found();
    };
    if !resource.methods().contains(&head.method) {
        return replies::method_not_allowed();
    }
    let agent = head.headers.get(header::USER_AGENT);
    if agent.is_some_and(|agent| agent.as_bytes().starts_with(b"Mozilla/")) {
        return replies::browser_not_allowed();
    }
    let Ok(body) = to_bytes(body, LARGEST_BODY_BYTES).await else {
        return replies::error(&ApiError::bad_request_body("unexpected EOF"));
    };
    let done = act(&proxies, &head.method, resource, &body).await;
    done.unwrap_or_else(|error| replies::error(&error))
}

async fn act(
    proxies: &Proxies,
    method: &Method,
    resource: Resource,
    body: &[u8],
) -> Result<Response, ApiError> {
    let reading = method == Method::GET;
    let deleting = method == Method::DELETE;
    match resource {
        Resource::Version => Ok(replies::version()),
        Resource::Reset => {
            proxies.reset().await?;
            Ok(replies::no_content())
        }
        Resource::Populate => Ok(populate(proxies, body).await),
        Resource::Proxies if reading => Ok(replies::proxies(&proxies.all().await)),
        Resource::Proxies => {
            let wanted = requests::proxy_to_create(body)?;
            Ok(replies::created(&*proxies.create(wanted).await?))
        }
        Resource::Proxy(name) if deleting => {
            proxies.remove(&name).await?;
            Ok(replies::no_content())
        }
        Resource::Proxy(name) if reading => Ok(replies::proxy(&*proxies.get(&name).await?)),
        Resource::Proxy(name) => {
            let wanted = |current: &Snapshot| requests::proxy_to_update(current, body);
            Ok(replies::proxy(&*proxies.update(&name, wanted).await?))
        }
        Resource::Toxics(name) => {
            let proxy = proxies.get(&name).await?;
            if reading {
                return Ok(replies::json(&proxy.snapshot().toxics));
            }
            let toxic = requests::toxic_to_add(&proxy, body)?;
            let reply = replies::json(&toxic);
            if proxy.add_toxic(toxic) { Ok(reply) } else { Err(ApiError::toxic_already_exists()) }
        }
        Resource::Toxic(name, toxic) => {
            let proxy = proxies.get(&name).await?;
            if deleting {
                let removed = proxy.remove_toxic(&toxic);
                return removed.then(replies::no_content).ok_or_else(ApiError::toxic_not_found);
            }
            let mut found = proxy.toxic(&toxic).ok_or_else(ApiError::toxic_not_found)?;
            if !reading {
                requests::change_toxic(&mut found, body)?;
                if !proxy.update_toxic(&found) {
                    return Err(ApiError::toxic_not_found());
                }
            }
            Ok(replies::json(&found))
        }
    }
}

async fn populate(proxies: &Proxies, body: &[u8]) -> Response {
    match requests::proxies_to_populate(body) {
        Ok(wanted) => {
            let (done, result) = proxies.populate(wanted).await;
            replies::populated(&done, result.err())
        }
        Err(error) => replies::populated(&[], Some(error)),
    }
}
