//! The small HTTP client that the lab's programs speak to each other with.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap};
use hyper::{Method, Request, StatusCode};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use serde::de::DeserializeOwned;
use tokio::time::timeout;

/// A client with one deadline for every request. It keeps connections and never retries.
#[derive(Clone, Debug)]
pub struct Client {
    inner: hyper_util::client::legacy::Client<HttpConnector, Full<Bytes>>,
    deadline: Duration,
}

/// A whole answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The request could not be made from its parts.
    #[error("make the request: {0}")]
    Request(#[from] hyper::http::Error),
    /// No connection was made, so the request certainly had no effect.
    #[error("connect: {0}")]
    NotSent(String),
    /// The connection broke; the request may have had its effect.
    #[error("no whole answer: {0}")]
    Broken(String),
    /// The deadline passed; the request may have had its effect.
    #[error("no whole answer within {} ms", .0.as_millis())]
    TimedOut(Duration),
}

impl Answer {
    /// The body as JSON.
    ///
    /// # Errors
    ///
    /// When it is not the JSON that `T` is read from.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_slice(&self.body)
    }
}

impl Client {
    /// A client whose requests end within `deadline`; half of it may go into connecting.
    #[must_use]
    pub fn new(deadline: Duration) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(deadline / 2));
        let inner = hyper_util::client::legacy::Client::builder(TokioExecutor::new())
            .retry_canceled_requests(false)
            .pool_timer(TokioTimer::new())
            .build(connector);
        Self { inner, deadline }
    }

    /// Sends one request, with a bearer token and a JSON body where given.
    ///
    /// # Errors
    ///
    /// When there is no whole answer in time; any status is an answer.
    pub async fn send(
        &self,
        method: Method,
        url: &str,
        token: Option<&str>,
        body: impl Into<Bytes>,
    ) -> Result<Answer, ClientError> {
        let mut request = Request::builder().method(method).uri(url);
        if let Some(token) = token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        let request =
            request.header(CONTENT_TYPE, "application/json").body(Full::new(body.into()))?;
        self.send_request(request).await
    }

    /// Sends a request made by the caller.
    pub(crate) async fn send_request(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<Answer, ClientError> {
        timeout(self.deadline, self.exchange(request))
            .await
            .map_err(|_| ClientError::TimedOut(self.deadline))?
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<Answer, ClientError> {
        let answer = self.inner.request(request).await.map_err(|error| {
            let text = with_causes(&error);
            if error.is_connect() { ClientError::NotSent(text) } else { ClientError::Broken(text) }
        })?;
        let (parts, body) = answer.into_parts();
        let body = body
            .collect()
            .await
            .map_err(|error| ClientError::Broken(with_causes(&error)))?
            .to_bytes();
        Ok(Answer { status: parts.status, headers: parts.headers, body })
    }
}

/// An error and its causes in one line.
pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}
