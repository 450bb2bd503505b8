//! Name servers as clients use them.

use std::net::{Ipv4Addr, Ipv6Addr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The kind of record that is asked for.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordKind {
    /// IPv4 addresses.
    #[default]
    A,
    /// IPv6 addresses.
    Aaaa,
    /// What a name stands for.
    Cname,
    /// Text.
    Txt,
}

/// A question to one name server.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DnsCall {
    /// The server, `host:port`. It is asked itself, and nothing in between that remembers answers.
    pub server: String,
    /// The name, with or without the dot at its end.
    pub name: String,
    /// The kind of record.
    pub record: RecordKind,
    /// What must be among the answers; any answer when absent.
    pub answers: Option<String>,
}

impl RecordKind {
    /// Whether an answer of this kind can be this text; the reason when not.
    ///
    /// # Errors
    /// When it can not.
    pub fn can_be(self, text: &str) -> Result<(), &'static str> {
        match self {
            Self::A if text.parse::<Ipv4Addr>().is_err() => Err("is no IPv4 address"),
            Self::Aaaa if text.parse::<Ipv6Addr>().is_err() => Err("is no IPv6 address"),
            _ => Ok(()),
        }
    }
}
