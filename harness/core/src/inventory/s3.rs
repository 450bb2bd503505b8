//! Probes of buckets, as written in an environment file.

use garde::Validate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::headers::{SecretSource, secret_source, some_secret_source};
use super::url::http_url;

/// One request to a service that speaks the API of S3.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct S3Attempt {
    /// Where the service is, such as `http://10.0.0.9:9000`. The bucket becomes part of the path.
    #[serde(deserialize_with = "http_url")]
    #[garde(skip)]
    pub endpoint: String,
    /// The region that requests are signed for.
    #[serde(default = "first_region")]
    #[garde(length(min = 1, max = 64))]
    pub region: String,
    /// The bucket.
    #[garde(length(min = 3, max = 63))]
    pub bucket: String,
    /// Where the id of the access key is.
    #[serde(deserialize_with = "secret_source")]
    #[garde(skip)]
    pub access_key: SecretSource,
    /// Where the secret access key is.
    #[serde(deserialize_with = "secret_source")]
    #[garde(skip)]
    pub secret_key: SecretSource,
    /// Where the session token is, for credentials that end.
    #[serde(
        default,
        deserialize_with = "some_secret_source",
        skip_serializing_if = "Option::is_none"
    )]
    #[garde(skip)]
    pub session_token: Option<SecretSource>,
    /// What is asked of it.
    #[garde(dive)]
    pub request: S3Request,
}

fn first_region() -> String {
    "us-east-1".to_owned()
}

/// A request: a map with one key.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize, Validate)]
#[serde(rename_all = "snake_case")]
pub enum S3Request {
    /// Writes an object of a name of its own, for a probe of purpose `write`. It is not read back, and stays.
    Put(#[garde(dive)] PutSpec),
    /// Reads an object.
    Get(#[garde(dive)] ObjectSpec),
    /// Asks whether an object is there.
    Head(#[garde(dive)] HeadSpec),
}

/// Objects that are written only once.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct PutSpec {
    /// What their names begin with; drill and number follow.
    #[garde(length(min = 1, max = 200), custom(prefix_name))]
    pub prefix: String,
}

/// An object that is read.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct ObjectSpec {
    /// Its name.
    #[garde(length(min = 1, max = 1000), custom(object_name))]
    pub key: String,
    /// Text that must be in it, where given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[garde(length(max = 1000))]
    pub body_contains: Option<String>,
}

/// An object that is asked for.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct HeadSpec {
    /// Its name.
    #[garde(length(min = 1, max = 1000), custom(object_name))]
    pub key: String,
}

/// Names that go through the paths of URLs, and libraries, as they are.
fn object_name<C>(name: &str, _: &C) -> garde::Result {
    let is_part = |part: &str| {
        !matches!(part, "" | "." | "..") && !part.chars().any(|c| c.is_ascii_control())
    };
    if name.split('/').all(is_part) {
        return Ok(());
    }
    Err(garde::Error::new(
        "must be parts with `/` between them, none of them empty, `.` or `..`, such as app/config.json",
    ))
}

fn prefix_name<C>(prefix: &str, context: &C) -> garde::Result {
    object_name(prefix.strip_suffix('/').unwrap_or(prefix), context)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_would_become_others_are_refused() {
        for name in ["a", "a~b#c*d?e", "a b/ü%41", "...", "a/.b"] {
            object_name(name, &()).unwrap();
        }
        for name in ["", "/a", "a/", "a//b", ".", "a/../b", "a\tb", "a/."] {
            assert!(object_name(name, &()).is_err(), "{name}");
        }
        prefix_name("probes/", &()).unwrap();
        assert!(prefix_name("probes//", &()).is_err() && prefix_name("/", &()).is_err());
    }
}
