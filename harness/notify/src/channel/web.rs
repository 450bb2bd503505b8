//! Requests of JSON over HTTP, with TLS where the URL says so. Redirects are not followed.

use std::error::Error;

use drdrill_core::probe::HeaderValue;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::{Method, Request, StatusCode, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

/// Longest answer that is read, in bytes.
const LONGEST_ANSWER: usize = 64 * 1024;

/// A request that was not answered with success.
#[derive(Debug, thiserror::Error)]
pub enum WebError {
    /// The URL or a header is wrong.
    #[error("make the request: {0}")]
    Request(String),
    /// The machine's certificates cannot be read, so that nobody can be trusted.
    #[error("read the certificates of this machine: {0}")]
    Certificates(std::io::Error),
    /// There is no answer.
    #[error("{0}")]
    Unanswered(String),
    /// The answer is no success.
    #[error("it answered {0}")]
    Status(StatusCode),
    /// The answer says something else than it should.
    #[error("its answer makes no sense: {0}")]
    Answer(String),
}

impl WebError {
    pub(super) fn is_transient(&self) -> bool {
        match self {
            Self::Unanswered(_) => true,
            Self::Status(status) => {
                status.is_server_error() || *status == StatusCode::TOO_MANY_REQUESTS
            }
            Self::Request(_) | Self::Certificates(_) | Self::Answer(_) => false,
        }
    }
}

/// A client that trusts whom this machine trusts.
#[derive(Debug)]
pub(super) struct Web(Client<HttpsConnector<HttpConnector>, Full<Bytes>>);

impl Web {
    pub(super) fn new() -> Result<Self, WebError> {
        let connector = HttpsConnectorBuilder::new()
            .with_native_roots()
            .map_err(WebError::Certificates)?
            .https_or_http()
            .enable_http1()
            .build();
        Ok(Self(Client::builder(TokioExecutor::new()).build(connector)))
    }

    /// Sends JSON; returns the answer.
    pub(super) async fn send(
        &self,
        method: Method,
        url: &str,
        headers: &[(String, HeaderValue)],
        json: String,
    ) -> Result<Bytes, WebError> {
        let uri: Uri = url.parse().map_err(|_| WebError::Request("this is no URL".to_owned()))?;
        let mut request = Request::builder().method(method).uri(uri);
        let own_type = headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type"));
        if !own_type {
            request = request.header("content-type", "application/json");
        }
        for (name, value) in headers {
            request = request.header(name, &*value.expose());
        }
        let request = request
            .body(Full::new(Bytes::from(json)))
            .map_err(|error| WebError::Request(error.to_string()))?;
        let answer = self.0.request(request).await;
        let answer = answer.map_err(|error| WebError::Unanswered(innermost(&error)))?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), LONGEST_ANSWER).collect().await;
        if !status.is_success() {
            return Err(WebError::Status(status));
        }
        Ok(body.map_err(|error| WebError::Answer(error.to_string()))?.to_bytes())
    }
}

/// What is at the bottom of an error: all above it only say that something failed.
fn innermost(error: &dyn Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}
