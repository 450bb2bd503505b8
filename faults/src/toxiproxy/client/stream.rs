//! The two directions of a connection.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The direction in which a toxic works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", try_from = "String")]
pub enum Stream {
    /// From the client to the server behind the proxy.
    Upstream,
    /// From the server behind the proxy to the client.
    Downstream,
}

impl TryFrom<String> for Stream {
    type Error = String;

    /// Servers show a direction in the case in which a client wrote it.
    fn try_from(text: String) -> Result<Self, String> {
        let streams = [Self::Upstream, Self::Downstream];
        let found = streams.into_iter().find(|stream| text.eq_ignore_ascii_case(stream.word()));
        found.ok_or_else(|| format!("{text:?} is no direction"))
    }
}

impl Stream {
    fn word(self) -> &'static str {
        match self {
            Self::Upstream => "upstream",
            Self::Downstream => "downstream",
        }
    }
}

impl fmt::Display for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}
