//! Small HTTP calls to the programs of the lab.

use std::time::Duration;

use drdrill_core::action::ActionError;
use drdrill_core::secret::Secret;
use reqwest::redirect::Policy;
use reqwest::{Method, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Time one call may take. A call is at most a commit on this machine's disk.
const TIMEOUT: Duration = Duration::from_secs(5);

/// A client whose every call is bounded.
#[derive(Clone, Debug)]
pub(super) struct Http(reqwest::Client);

impl Http {
    pub(super) fn new() -> Result<Self, ActionError> {
        Self::within(TIMEOUT)
    }

    /// A client whose calls may take so long.
    pub(super) fn within(time: Duration) -> Result<Self, ActionError> {
        // No kept connections: behind a proxy that was taken down and up again they would be dead ones.
        let client = reqwest::Client::builder()
            .timeout(time)
            .pool_max_idle_per_host(0)
            .no_proxy()
            // A redirect would carry the login to another server.
            .redirect(Policy::none())
            .build();
        client
            .map(Self)
            .map_err(|error| ActionError::new("make an HTTP client for", "the lab", error))
    }

    /// Calls, and reads the answer as JSON; any status but 2xx is an error that carries the answer.
    pub(super) async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        url: &str,
        token: Option<&Secret>,
        body: Option<&impl Serialize>,
    ) -> Result<T, ActionError> {
        let text = self.text(method, url, token, body).await?;
        serde_json::from_str(&text)
            .map_err(|error| ActionError::new("read the answer of", url, error))
    }

    /// As [`Http::call`], and leaves the answer as text.
    pub(super) async fn text(
        &self,
        method: Method,
        url: &str,
        token: Option<&Secret>,
        body: Option<&impl Serialize>,
    ) -> Result<String, ActionError> {
        let (status, text) = self.send(method, url, token, body).await?;
        if status.is_success() {
            return Ok(text);
        }
        Err(ActionError::new("call", url, format!("{status}: {text}")))
    }

    /// Calls, and returns whatever status and text come back.
    pub(super) async fn send(
        &self,
        method: Method,
        url: &str,
        token: Option<&Secret>,
        body: Option<&impl Serialize>,
    ) -> Result<(StatusCode, String), ActionError> {
        let mut request = self.0.request(method, url);
        if let Some(token) = token {
            request = request.bearer_auth(token.expose());
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let fail = |error: reqwest::Error| ActionError::new("call", url, root_cause(&error));
        let answer = request.send().await.map_err(fail)?;
        let status = answer.status();
        Ok((status, answer.text().await.map_err(fail)?))
    }
}

/// The library's own text names neither the cause nor what to do; the innermost source does.
fn root_cause(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), root_cause)
}
