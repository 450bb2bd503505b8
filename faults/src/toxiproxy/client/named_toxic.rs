//! A toxic of a proxy, here and on its way.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Error, Stream, Toxic};

/// A toxic of a proxy.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(from = "Wire")]
pub struct NamedToxic {
    /// Its name, unique among the toxics of a proxy, without a slash.
    pub name: String,
    /// The direction in which it works.
    pub stream: Stream,
    /// The part of connections that it strikes, 0 to 1.
    pub toxicity: f32,
    /// What it does.
    pub toxic: Toxic,
}

impl NamedToxic {
    /// A toxic that strikes every connection.
    #[must_use]
    pub fn new(name: impl Into<String>, stream: Stream, toxic: Toxic) -> Self {
        Self { name: name.into(), stream, toxicity: 1.0, toxic }
    }

    /// Strikes only this part of connections, 0 to 1.
    #[must_use]
    pub fn with_toxicity(self, toxicity: f32) -> Self {
        Self { toxicity, ..self }
    }

    /// What is sent, after everything that can be checked here was checked.
    pub(super) fn to_wire(&self) -> Result<Wire, Error> {
        if !(0.0..=1.0).contains(&self.toxicity) {
            let what = format!("a toxicity of {}", self.toxicity);
            let reason = "it has to be from 0 to 1".to_owned();
            return Err(Error::Invalid { what, reason });
        }
        Ok(Wire {
            name: self.name.clone(),
            kind: self.toxic.kind().to_owned(),
            stream: self.stream,
            toxicity: self.toxicity,
            attributes: self.toxic.to_attributes()?,
        })
    }
}

/// A toxic as it travels.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Wire {
    pub(super) name: String,
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) stream: Stream,
    pub(super) toxicity: f32,
    #[serde(default)]
    pub(super) attributes: Value,
}

impl From<Wire> for NamedToxic {
    fn from(wire: Wire) -> Self {
        Self {
            name: wire.name,
            stream: wire.stream,
            toxicity: wire.toxicity,
            toxic: Toxic::from_wire(wire.kind, wire.attributes),
        }
    }
}
