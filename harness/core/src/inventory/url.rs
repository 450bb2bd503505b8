//! Checks of addresses in environment files; what may be probed says [`crate::address`]. Those of probes are made
//! while the file is read, so that an error points at the address.

use std::fmt;
use std::net::SocketAddr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::address::{HostPort, HttpUrl, allowed};
use crate::secret::NOT_IN_FILES;

use super::headers::SecretSource;

/// Longest URL, in bytes.
const LONGEST: usize = 2000;

/// What names of parameters that carry credentials contain.
const SECRET_WORDS: [&str; 8] =
    ["token", "secret", "password", "passwd", "apikey", "api_key", "api-key", "signature"];

/// Says what is wrong with a text, if anything is.
type Check = fn(&str) -> Result<(), String>;

struct Checked(Check);

impl Visitor<'_> for Checked {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an address, as a text")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<String, E> {
        if text.len() > LONGEST {
            return Err(E::custom(format!("an address has at most {LONGEST} bytes")));
        }
        (self.0)(text).map_err(E::custom)?;
        Ok(text.to_owned())
    }
}

/// A URL that may be probed.
pub(super) fn http_url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    deserializer.deserialize_str(Checked(check_url))
}

/// `host:port` that may be probed.
pub(super) fn host_and_port<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    from.deserialize_str(Checked(|text| {
        HostPort::parse(text, None).map(drop).map_err(|error| error.to_string())
    }))
}

/// Several of them.
pub(super) fn addresses<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    struct One(String);
    impl<'de> Deserialize<'de> for One {
        fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
            host_and_port(from).map(Self)
        }
    }
    Ok(Vec::<One>::deserialize(from)?.into_iter().map(|one| one.0).collect())
}

/// An address and a port, without a name, that may be probed.
pub(super) fn address_and_port<C>(text: &str, _: &C) -> garde::Result {
    let address = text
        .parse::<SocketAddr>()
        .map_err(|_| garde::Error::new("must be an address and a port, such as 10.0.0.5:5432"))?;
    allowed(address.ip()).map_err(garde::Error::new)
}

/// As [`http_url`], for what may also be set on the command line.
pub(super) fn valid_url<C>(url: &str, _: &C) -> garde::Result {
    check_url(url).map_err(garde::Error::new)
}

/// A URL of `https://` or `http://` to which something is sent, or where it is, when it is itself a secret.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum SecretUrl {
    /// One that everybody may see.
    Plain(String),
    /// One that nobody may see.
    Secret(SecretSource),
}

/// Says what is wrong with a URL in a file to which something is sent, if anything is.
fn check_web_url(url: &str) -> Result<(), String> {
    web_host(url)?;
    check_url(&without_tls(url))
}

/// Host and port of a URL to which something is sent.
///
/// # Errors
/// When it is no such thing, or its address is never probed.
pub fn web_host(url: &str) -> Result<HostPort, String> {
    if !url.starts_with("https://") && !url.starts_with("http://") {
        return Err("write a URL that begins with https:// or http://".to_owned());
    }
    let read = HttpUrl::parse(&without_tls(url)).map(|url| url.target);
    read.map_err(|error| error.to_string())
}

fn without_tls(url: &str) -> String {
    url.strip_prefix("https://").map_or_else(|| url.to_owned(), |rest| format!("http://{rest}"))
}

impl Serialize for SecretUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Plain(url) => serializer.serialize_str(url),
            Self::Secret(source) => source.serialize(serializer),
        }
    }
}

struct UrlOrSource;

impl<'de> Visitor<'de> for UrlOrSource {
    type Value = SecretUrl;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a URL, or where it is: { env: NAME } or { file: PATH }")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<SecretUrl, E> {
        Checked(check_web_url).visit_str(text).map(SecretUrl::Plain)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<SecretUrl, A::Error> {
        SecretSource::deserialize(MapAccessDeserializer::new(map)).map(SecretUrl::Secret)
    }
}

impl<'de> Deserialize<'de> for SecretUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UrlOrSource)
    }
}

impl JsonSchema for SecretUrl {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "SecretUrl".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let source = generator.subschema_for::<SecretSource>();
        json_schema!({ "anyOf": [{ "type": "string", "pattern": "^https?://" }, source] })
    }
}

fn check_url(url: &str) -> Result<(), String> {
    let read = HttpUrl::parse(url).map_err(|error| error.to_string())?;
    let query = read.path.split_once('?').map_or("", |(_, query)| query);
    for pair in query.split(['&', ';']) {
        let name = pair.split('=').next().unwrap_or_default().to_ascii_lowercase();
        if SECRET_WORDS.iter().any(|word| name.contains(word)) || name == "key" || name == "sig" {
            return Err(format!(
                "a secret in a URL: {NOT_IN_FILES}; send it as a header: headers: {{ NAME: {{ env: VARIABLE }} }}"
            ));
        }
    }
    Ok(())
}
