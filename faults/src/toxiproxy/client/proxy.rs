//! Proxies as a server shows them and as we ask for them.

use serde::{Deserialize, Deserializer, Serialize};

use super::NamedToxic;

/// A proxy as the server shows it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Proxy {
    /// Its name.
    pub name: String,
    /// Where clients connect to; with the real port, if any was asked for.
    pub listen: String,
    /// Where it leads.
    pub upstream: String,
    /// Whether clients can connect. No toxic of a disabled proxy has an effect.
    pub enabled: bool,
    /// Its toxics: those of the upstream direction first, each direction in order.
    #[serde(default, deserialize_with = "null_is_none")]
    pub toxics: Vec<NamedToxic>,
}

impl Proxy {
    /// The toxic of that name.
    #[must_use]
    pub fn toxic(&self, name: &str) -> Option<&NamedToxic> {
        self.toxics.iter().find(|toxic| toxic.name == name)
    }
}

fn null_is_none<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<NamedToxic>, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

/// A proxy to be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NewProxy {
    /// Its name, without a slash.
    pub name: String,
    /// Where clients will connect to, `host:port`; port 0 stands for any free one.
    pub listen: String,
    /// Where it leads, `host:port`.
    pub upstream: String,
    /// Whether clients can connect.
    pub enabled: bool,
}

impl NewProxy {
    /// A proxy that is enabled.
    #[must_use]
    pub fn new(
        name: impl Into<String>,
        listen: impl Into<String>,
        upstream: impl Into<String>,
    ) -> Self {
        Self { name: name.into(), listen: listen.into(), upstream: upstream.into(), enabled: true }
    }
}

/// What to change of a proxy; `None` stays as it is. New addresses cut the connections.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ProxyChange {
    /// Where clients will connect to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen: Option<String>,
    /// Where it leads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream: Option<String>,
    /// Whether clients can connect. Disabling cuts the connections.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
}

impl ProxyChange {
    /// Lets clients connect, or no longer.
    #[must_use]
    pub fn enabled(enabled: bool) -> Self {
        Self { enabled: Some(enabled), ..Self::default() }
    }
}
