//! Headers of HTTP requests. What is secret in them never stands in a file: the file says where it is.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, DeserializeSeed, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::secret::NOT_IN_FILES;

/// Where a secret is: a map with one key.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SecretSource {
    /// In a variable of drdrill's environment.
    Env(String),
    /// In a file that only its owner can read.
    File(PathBuf),
}

impl fmt::Display for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "environment variable {name}"),
            Self::File(path) => write!(f, "file {}", path.display()),
        }
    }
}

/// Where a secret is. One that stands there itself is refused in words that make the error leave its line out.
struct NeverWritten;

impl<'de> Visitor<'de> for NeverWritten {
    type Value = SecretSource;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{ env: NAME } or { file: PATH }")
    }

    fn visit_str<E: de::Error>(self, _: &str) -> Result<SecretSource, E> {
        Err(E::custom(format!("{NOT_IN_FILES}; write {{ env: NAME }} or {{ file: PATH }}")))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<SecretSource, A::Error> {
        SecretSource::deserialize(MapAccessDeserializer::new(map))
    }
}

/// Reads where a secret is.
pub(crate) fn secret_source<'de, D: Deserializer<'de>>(from: D) -> Result<SecretSource, D::Error> {
    from.deserialize_any(NeverWritten)
}

/// As [`secret_source`], of one that need not be there.
pub(crate) fn some_secret_source<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<SecretSource>, D::Error> {
    secret_source(from).map(Some)
}

/// The value of a header.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum HeaderSource {
    /// One that everybody may see.
    Plain(String),
    /// A secret.
    Secret(SecretSource),
}

/// Headers by name.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Headers(pub BTreeMap<String, HeaderSource>);

/// Most headers of a request.
const MOST: usize = 30;
/// Longest value, in bytes.
const LONGEST: usize = 4000;

/// Headers that drdrill sets itself.
const OURS: [&str; 4] = ["host", "connection", "content-length", "transfer-encoding"];

/// What the names of headers that carry credentials contain.
const SECRET_WORDS: [&str; 10] = [
    "auth",
    "cookie",
    "token",
    "secret",
    "password",
    "api-key",
    "apikey",
    "credential",
    "session",
    "signature",
];

/// What values that are credentials begin with.
const SCHEMES: [&str; 3] = ["bearer ", "basic ", "digest "];

/// Says what is wrong with a header, if anything is.
fn fault(name: &str, value: &HeaderSource) -> Option<String> {
    let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    let lower = name.to_ascii_lowercase();
    if name.is_empty() || name.len() > 100 || !name.chars().all(token) {
        return Some("the name of a header is 1 to 100 letters, digits and `-`".to_owned());
    }
    if OURS.contains(&lower.as_str()) {
        return Some(format!("drdrill sets the header {name} itself; leave it out"));
    }
    let HeaderSource::Plain(text) = value else { return None };
    let start = text.get(..text.len().min(10)).unwrap_or_default().to_ascii_lowercase();
    if SECRET_WORDS.iter().any(|word| lower.contains(word))
        || SCHEMES.iter().any(|scheme| start.starts_with(scheme))
    {
        return Some(format!(
            "the header {name}: {NOT_IN_FILES}; write {name}: {{ env: NAME }} or {name}: {{ file: PATH }}"
        ));
    }
    if text.len() > LONGEST || text.chars().any(char::is_control) {
        return Some(format!("the value of a header is one line of at most {LONGEST} bytes"));
    }
    None
}

impl Serialize for HeaderSource {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Plain(text) => serializer.serialize_str(text),
            Self::Secret(source) => source.serialize(serializer),
        }
    }
}

/// Reads the value of the header of that name, so that an error points at the value.
struct ValueOf<'a>(&'a str);

impl<'de> DeserializeSeed<'de> for ValueOf<'_> {
    type Value = HeaderSource;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<HeaderSource, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ValueOf<'_> {
    type Value = HeaderSource;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text in quotes, { env: NAME } or { file: PATH }")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<HeaderSource, E> {
        let value = HeaderSource::Plain(text.to_owned());
        fault(self.0, &value).map_or(Ok(value), |fault| Err(E::custom(fault)))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<HeaderSource, A::Error> {
        let source = SecretSource::deserialize(MapAccessDeserializer::new(map))?;
        let value = HeaderSource::Secret(source);
        fault(self.0, &value).map_or(Ok(value), |fault| Err(de::Error::custom(fault)))
    }
}

struct All;

impl<'de> Visitor<'de> for All {
    type Value = Headers;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("headers, such as { Accept: text/plain, Authorization: { env: NAME } }")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Headers, A::Error> {
        let mut headers = BTreeMap::new();
        while let Some(name) = map.next_key::<String>()? {
            let value = map.next_value_seed(ValueOf(&name))?;
            headers.insert(name, value);
            if headers.len() > MOST {
                return Err(de::Error::custom(format!("a request has at most {MOST} headers")));
            }
        }
        Ok(Headers(headers))
    }
}

impl<'de> Deserialize<'de> for Headers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(All)
    }
}

impl JsonSchema for Headers {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Headers".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let source = generator.subschema_for::<SecretSource>();
        json_schema!({
            "type": "object",
            "description": "Headers by name. What carries credentials is never written here: { env: NAME } or { file: PATH }.",
            "additionalProperties": { "anyOf": [{ "type": "string" }, source] },
        })
    }
}
