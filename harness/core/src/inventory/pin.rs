//! What must be read from the target itself before anything of it is broken: that it is the one that is meant.

use garde::Validate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::headers::Headers;
use super::url::http_url;

/// Facts that identify an environment. All that are given must hold right before the drill and right before each fault.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct Pin {
    /// Content of `/etc/machine-id` of the machine that drdrill runs on, and so of its nodes, which are network
    /// namespaces and processes of that machine.
    #[garde(inner(custom(thirty_two_digits)))]
    #[schemars(regex(pattern = r"^[0-9a-f]{32}$"))]
    pub machine_id: Option<String>,
    /// Name of the machine that drdrill runs on.
    #[garde(inner(length(min = 1, max = 64)))]
    pub hostname: Option<String>,
    /// A page of the system itself that says which system it is.
    #[garde(dive)]
    pub http: Option<IdentityPage>,
}

/// A page that says which system it is, such as `http://10.0.0.5:8080/identity`.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct IdentityPage {
    /// Where it is.
    #[serde(deserialize_with = "http_url")]
    #[garde(skip)]
    pub url: String,
    /// Headers of the request.
    #[serde(default)]
    #[garde(skip)]
    pub headers: Headers,
    /// What it must contain, such as the name of the cluster.
    #[garde(length(min = 1, max = 1000))]
    pub contains: String,
}

impl Pin {
    /// What is pinned and to what, a line each, for the record.
    #[must_use]
    pub fn facts(&self) -> Vec<String> {
        let machine = self.machine_id.as_ref().map(|id| format!("machine_id {id}"));
        let host = self.hostname.as_ref().map(|name| format!("hostname {name}"));
        let page =
            self.http.as_ref().map(|page| format!("{} contains {}", page.url, page.contains));
        machine.into_iter().chain(host).chain(page).collect()
    }
}

/// A pin that pins nothing is a mistake.
pub(super) fn pins_something<T, C>(pin: Option<&Pin>) -> impl Fn(&T, &C) -> garde::Result {
    let nothing = pin.is_some_and(|pin| pin.facts().is_empty());
    move |_, _| {
        if nothing {
            return Err(garde::Error::new(
                "a pin needs at least one of machine_id, hostname and http (drdrill doctor prints that of this machine)",
            ));
        }
        Ok(())
    }
}

/// What is broken in production must be known to be what is meant.
pub(super) fn production_is_pinned<C>(pinned: bool) -> impl Fn(&bool, &C) -> garde::Result {
    move |production, _| {
        if *production && !pinned {
            return Err(garde::Error::new(
                "a production environment needs a pin, such as pin: { machine_id: \"…\" } (drdrill doctor prints that of this machine)",
            ));
        }
        Ok(())
    }
}

fn thirty_two_digits<C>(id: &str, _: &C) -> garde::Result {
    if id.len() == 32 && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
        return Ok(());
    }
    Err(garde::Error::new("must be 32 digits and letters a to f, as in /etc/machine-id"))
}
