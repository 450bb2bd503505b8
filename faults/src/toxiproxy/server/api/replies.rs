//! What an answer looks like, to the byte.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use serde::Serialize;

use crate::toxiproxy::server::proxy::{Proxy, Snapshot};
use crate::toxiproxy::server::toxic::Toxic;

/// The version of Toxiproxy this server behaves as.
const VERSION: &str = "2.12.0";

const JSON: &str = "application/json";
const PLAIN: &str = "text/plain; charset=utf-8";

/// A refusal, with its status.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ApiError {
    #[serde(rename = "error")]
    message: String,
    status: u16,
}

impl ApiError {
    fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { message: message.into(), status: status.as_u16() }
    }

    pub(crate) fn proxy_not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "proxy not found")
    }

    pub(crate) fn proxy_already_exists() -> Self {
        Self::new(StatusCode::CONFLICT, "proxy already exists")
    }

    pub(crate) fn toxic_not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "toxic not found")
    }

    pub(crate) fn toxic_already_exists() -> Self {
        Self::new(StatusCode::CONFLICT, "toxic already exists")
    }

    pub(crate) fn invalid_toxic_type() -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid toxic type")
    }

    pub(crate) fn invalid_stream() -> Self {
        let message = "stream was invalid, can be either upstream or downstream";
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    pub(crate) fn missing_field(field: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, format!("missing required field: {field}"))
    }

    pub(crate) fn bad_request_body(complaint: impl AsRef<str>) -> Self {
        let message = format!("bad request body: {}", complaint.as_ref());
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    pub(crate) fn internal(message: String) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, message)
    }
}

/// A proxy as clients see it.
#[derive(Serialize)]
struct Shown {
    name: String,
    listen: String,
    upstream: String,
    enabled: bool,
    /// The original shows its logger, which is always empty.
    #[serde(rename = "Logger")]
    logger: BTreeMap<String, String>,
    toxics: Vec<Toxic>,
}

impl From<Snapshot> for Shown {
    fn from(snapshot: Snapshot) -> Self {
        Self {
            name: snapshot.name,
            listen: snapshot.listen,
            upstream: snapshot.upstream,
            enabled: snapshot.enabled,
            logger: BTreeMap::new(),
            toxics: snapshot.toxics,
        }
    }
}

#[derive(Serialize)]
struct Populated {
    #[serde(flatten)]
    error: Option<ApiError>,
    proxies: Option<Vec<Shown>>,
}

pub(super) fn json(value: &impl Serialize) -> Response {
    json_with(StatusCode::OK, value)
}

pub(super) fn proxy(proxy: &Proxy) -> Response {
    json(&Shown::from(proxy.snapshot()))
}

pub(super) fn created(proxy: &Proxy) -> Response {
    json_with(StatusCode::CREATED, &Shown::from(proxy.snapshot()))
}

pub(super) fn proxies(all: &[Arc<Proxy>]) -> Response {
    let shown = all.iter().map(|proxy| proxy.snapshot());
    let by_name: BTreeMap<_, _> = shown.map(|s| (s.name.clone(), Shown::from(s))).collect();
    json(&by_name)
}

/// The answer to `POST /populate`, which shows what was done even if something failed.
pub(super) fn populated(done: &[Arc<Proxy>], error: Option<ApiError>) -> Response {
    let status = error.as_ref().and_then(|error| StatusCode::from_u16(error.status).ok());
    let shown: Vec<_> = done.iter().map(|proxy| Shown::from(proxy.snapshot())).collect();
    let populated = Populated {
        error,
        // The original shows an empty list as null.
        proxies: Some(shown).filter(|shown| !shown.is_empty()),
    };
    json_with(status.unwrap_or(StatusCode::CREATED), &populated)
}

pub(super) fn error(error: &ApiError) -> Response {
    let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    // The original says JSON and sends JSON, but its library for errors makes it plain text.
    text(status, format!("{}\n", to_json(error)))
}

pub(super) fn version() -> Response {
    let body = format!("{{\"version\": \"{VERSION}\"}}\n");
    reply(StatusCode::OK, Some("application/json;charset=utf-8"), body)
}

pub(super) fn no_content() -> Response {
    reply(StatusCode::NO_CONTENT, None, String::new())
}

pub(super) fn method_not_allowed() -> Response {
    reply(StatusCode::METHOD_NOT_ALLOWED, None, String::new())
}

pub(super) fn page_not_found() -> Response {
    text(StatusCode::NOT_FOUND, "404 page not found\n".to_owned())
}

pub(super) fn browser_not_allowed() -> Response {
    text(StatusCode::FORBIDDEN, "User agent not allowed\n".to_owned())
}

fn text(status: StatusCode, body: String) -> Response {
    let mut response = reply(status, Some(PLAIN), body);
    let nosniff = HeaderValue::from_static("nosniff");
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, nosniff);
    response
}

fn json_with(status: StatusCode, value: &impl Serialize) -> Response {
    reply(status, Some(JSON), to_json(value))
}

fn to_json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

fn reply(status: StatusCode, content_type: Option<&'static str>, body: String) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    if let Some(content_type) = content_type {
        let value = HeaderValue::from_static(content_type);
        response.headers_mut().insert(header::CONTENT_TYPE, value);
    }
    response
}
