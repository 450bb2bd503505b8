//! Probes of name servers, as written in an environment file.

use garde::Validate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::url::host_and_port;
use crate::dns::RecordKind;

/// One question to a name server.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct DnsAttempt {
    /// The server, `host:port`. It is asked itself, and nothing in between that remembers answers.
    #[serde(deserialize_with = "host_and_port")]
    #[garde(skip)]
    pub server: String,
    /// The name.
    #[garde(custom(domain_name))]
    pub name: String,
    /// The kind of record.
    #[serde(default)]
    #[garde(skip)]
    pub record: RecordKind,
    /// What must be among the answers, such as the address of the site that is to serve; any answer when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[garde(inner(length(min = 1, max = 255)), custom(can_be(self.record)))]
    pub answers: Option<String>,
}

/// Source: RFC 1035, section 2.3.4; `_` as service names have it.
fn domain_name<C>(name: &str, _: &C) -> garde::Result {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
    };
    let labels = name.strip_suffix('.').unwrap_or(name);
    if labels.len() <= 253 && labels.split('.').all(label) {
        return Ok(());
    }
    Err(garde::Error::new("must be a name such as app.example.org"))
}

fn can_be<C>(record: RecordKind) -> impl Fn(&Option<String>, &C) -> garde::Result {
    move |answers, _| match answers {
        Some(text) => record.can_be(text).map_err(garde::Error::new),
        None => Ok(()),
    }
}
