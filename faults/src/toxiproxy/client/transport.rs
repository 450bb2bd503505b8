//! One request, its answer, and what the answer means when it is no.

use std::error::Error as _;
use std::io;

use reqwest::{Method, StatusCode, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Client, Error};

/// The most of an unexpected answer that an error shows, in characters.
const SHOWN: usize = 200;

/// One request to a server.
pub(super) struct Call<'a> {
    pub(super) method: Method,
    /// The parts of the path; names are encoded.
    pub(super) path: &'a [&'a str],
    pub(super) body: Option<Value>,
}

/// An answer, good or bad.
struct Answer {
    status: StatusCode,
    text: String,
}

/// A refusal as Toxiproxy words it.
#[derive(Deserialize)]
struct Refusal {
    error: String,
}

impl Call<'_> {
    /// How the call appears in errors: `POST /proxies`.
    pub(super) fn name(&self) -> String {
        format!("{} /{}", self.method, self.path.join("/"))
    }

    fn garbled(&self, reason: &impl ToString) -> Error {
        Error::Garbled { call: self.name(), reason: reason.to_string() }
    }

    /// What a refusal means, given what the call was about.
    fn refused(&self, answer: &Answer) -> Error {
        let message = answer.message();
        let name = |index: usize| (*self.path.get(index).unwrap_or(&"")).to_owned();
        let in_body = || {
            let body = self.body.as_ref();
            let name = body.and_then(|body| body.get("name")).and_then(Value::as_str);
            name.unwrap_or_default().to_owned()
        };
        match message.as_str() {
            "proxy not found" => Error::ProxyNotFound { proxy: name(1) },
            "proxy already exists" => Error::ProxyExists { proxy: in_body() },
            "toxic not found" => Error::ToxicNotFound { proxy: name(1), toxic: name(3) },
            "toxic already exists" => Error::ToxicExists { proxy: name(1), toxic: in_body() },
            _ => Error::Api { call: self.name(), status: answer.status.as_u16(), message },
        }
    }
}

impl Answer {
    fn message(&self) -> String {
        let refusal = serde_json::from_str::<Refusal>(&self.text);
        refusal.map_or_else(|_| shorten(&self.text), |refusal| refusal.error)
    }

    /// Whether the server does not know the method, rather than the thing.
    fn is_unknown_method(&self) -> bool {
        let unworded = serde_json::from_str::<Refusal>(&self.text).is_err();
        match self.status {
            StatusCode::METHOD_NOT_ALLOWED => true,
            StatusCode::NOT_FOUND => unworded,
            _ => false,
        }
    }
}

impl Client {
    /// Makes a call and returns what the server says, as it is.
    pub(super) async fn text(&self, call: &Call<'_>) -> Result<String, Error> {
        let answer = self.exchange(call, &call.method).await?;
        if answer.status.is_success() { Ok(answer.text) } else { Err(call.refused(&answer)) }
    }

    /// Makes a call and reads the answer.
    pub(super) async fn json<T: DeserializeOwned>(&self, call: &Call<'_>) -> Result<T, Error> {
        let text = self.text(call).await?;
        serde_json::from_str(&text).map_err(|error| call.garbled(&error))
    }

    /// Makes a call that changes something, with `PATCH`. Servers before 2.6 know only `POST`.
    pub(super) async fn patch(&self, path: &[&str], body: Value) -> Result<(), Error> {
        let call = Call { method: Method::PATCH, path, body: Some(body) };
        let mut answer = self.exchange(&call, &Method::PATCH).await?;
        if answer.is_unknown_method() {
            answer = self.exchange(&call, &Method::POST).await?;
        }
        if answer.status.is_success() { Ok(()) } else { Err(call.refused(&answer)) }
    }

    async fn exchange(&self, call: &Call<'_>, method: &Method) -> Result<Answer, Error> {
        let mut request = self.http.request(method.clone(), self.url(call.path));
        if let Some(body) = &call.body {
            request = request.json(body);
        }
        let response = request.send().await.map_err(|error| self.failed(call, error))?;
        let status = response.status();
        let text = response.text().await.map_err(|error| self.failed(call, error))?;
        Ok(Answer { status, text })
    }

    fn url(&self, path: &[&str]) -> Url {
        let mut url = self.base.clone();
        // `Client::new` has checked that the address can have a path.
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        url
    }

    fn failed(&self, call: &Call<'_>, error: reqwest::Error) -> Error {
        if error.is_timeout() {
            return self.timed_out(call.name());
        }
        if error.is_connect() || was_cut(&error) {
            return Error::Unreachable { url: self.base.to_string(), source: error };
        }
        call.garbled(&error)
    }
}

/// Whether the connection, and not the answer, was at fault.
fn was_cut(error: &reqwest::Error) -> bool {
    let mut source = error.source();
    while let Some(cause) = source {
        if let Some(io) = cause.downcast_ref::<io::Error>() {
            return io.kind() != io::ErrorKind::InvalidData;
        }
        source = cause.source();
    }
    false
}

fn shorten(text: &str) -> String {
    let text = text.trim();
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
