//! An HTTP POST of JSON.

use drdrill_core::notice::Notice;
use drdrill_core::probe::HeaderValue;
use hyper::Method;
use serde_json::json;

use super::web::{Web, WebError};
use super::{SendError, Words};

/// Where to POST, and what.
#[derive(Debug)]
pub struct Webhook {
    url: String,
    headers: Vec<(String, HeaderValue)>,
    body: Option<String>,
    web: Web,
}

impl Webhook {
    /// POSTs to `url`, the template `body` filled in with values as JSON, or what comes along.
    ///
    /// # Errors
    /// When the certificates of this machine cannot be read.
    pub fn new(
        url: String,
        headers: Vec<(String, HeaderValue)>,
        body: Option<String>,
    ) -> Result<Self, WebError> {
        Ok(Self { url, headers, body, web: Web::new()? })
    }

    pub(super) async fn send(&self, notice: &Notice, words: &Words) -> Result<(), SendError> {
        let body = match &self.body {
            Some(template) => notice.json_of(template).map_err(SendError::Template)?,
            // Chats show what is called `text`.
            None => json!({
                "text": format!("{}\n\n{}", words.title, words.text),
                "notice": notice,
            })
            .to_string(),
        };
        self.web.send(Method::POST, &self.url, &self.headers, body).await?;
        Ok(())
    }
}
