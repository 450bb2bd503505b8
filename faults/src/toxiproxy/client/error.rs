//! What can go wrong between us and a Toxiproxy server.

use std::time::Duration;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The address of the server is no `http://` URL.
    #[error("use {url} as address of a Toxiproxy server: {reason}")]
    InvalidUrl {
        /// The address given.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The call asks for something no server can do; nothing was sent.
    #[error("ask Toxiproxy for {what}: {reason}")]
    Invalid {
        /// What was asked for.
        what: String,
        /// Why that cannot be.
        reason: String,
    },
    /// No connection to the server.
    #[error("reach the Toxiproxy server at {url}")]
    Unreachable {
        /// The server.
        url: String,
        /// What the network said.
        #[source]
        source: reqwest::Error,
    },
    /// The call took too long. Whether the server has done it is not known.
    #[error("{call}: the Toxiproxy server gave no answer within {limit:?}")]
    Timeout {
        /// The call.
        call: String,
        /// How long it was given.
        limit: Duration,
    },
    /// The server has no such proxy.
    #[error("Toxiproxy has no proxy {proxy:?}")]
    ProxyNotFound {
        /// Its name.
        proxy: String,
    },
    /// The server has a proxy of that name already.
    #[error("Toxiproxy has a proxy {proxy:?} already")]
    ProxyExists {
        /// Its name.
        proxy: String,
    },
    /// The proxy has no such toxic.
    #[error("proxy {proxy:?} has no toxic {toxic:?}")]
    ToxicNotFound {
        /// The name of the proxy.
        proxy: String,
        /// The name of the toxic.
        toxic: String,
    },
    /// The proxy has a toxic of that name already.
    #[error("proxy {proxy:?} has a toxic {toxic:?} already")]
    ToxicExists {
        /// The name of the proxy.
        proxy: String,
        /// The name of the toxic.
        toxic: String,
    },
    /// The server refused, in its own words.
    #[error("{call}: Toxiproxy answered {status}: {message}")]
    Api {
        /// The call.
        call: String,
        /// The HTTP status.
        status: u16,
        /// What the server said.
        message: String,
    },
    /// The server said yes with an answer that makes no sense. Is it a Toxiproxy?
    #[error("{call}: the answer is not one of Toxiproxy: {reason}")]
    Garbled {
        /// The call.
        call: String,
        /// What is wrong with the answer.
        reason: String,
    },
    /// The server said yes, but what it then showed is something else.
    #[error("{call}: not in effect: wanted {wanted}, found {found}")]
    NotInEffect {
        /// The call.
        call: String,
        /// What was asked for.
        wanted: String,
        /// What the server shows.
        found: String,
    },
}

impl Error {
    /// Whether what the call was about is not there (any more). For an undo that is as good as success.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        matches!(self, Self::ProxyNotFound { .. } | Self::ToxicNotFound { .. })
    }
}
