//! Probes of Redis, as written in an environment file.

use std::time::Duration;

use garde::Validate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::headers::{SecretSource, some_secret_source};
use super::url::host_and_port;
use crate::units::{Span, within};

/// One command to a Redis server.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct RedisAttempt {
    /// Where the server is, `host:port`.
    #[serde(deserialize_with = "host_and_port")]
    #[garde(skip)]
    pub address: String,
    /// The user; the default one when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[garde(length(min = 1, max = 200))]
    pub user: Option<String>,
    /// Password of the user, which never stands here: `{ env: NAME }` or `{ file: PATH }`.
    #[serde(
        default,
        deserialize_with = "some_secret_source",
        skip_serializing_if = "Option::is_none"
    )]
    #[garde(skip)]
    pub password: Option<SecretSource>,
    /// The number of the database.
    #[serde(default)]
    #[garde(skip)]
    pub database: u16,
    /// What is asked of it.
    #[serde(default)]
    #[garde(dive)]
    pub command: RedisCommand,
}

/// A command: a map with one key, or `ping`.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize, Validate)]
#[serde(rename_all = "snake_case")]
pub enum RedisCommand {
    /// Whether it answers.
    #[default]
    Ping,
    /// The value of a key.
    Get(#[garde(dive)] GetSpec),
    /// Sets a key that is set only once, for a probe of purpose `write`. It is not read back: no RPO comes of it.
    Set(#[garde(dive)] SetSpec),
}

/// The value of a key.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct GetSpec {
    /// The key.
    #[garde(length(min = 1, max = 1000))]
    pub key: String,
    /// What it must be; anything but nothing, when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[garde(length(max = 1000))]
    pub answers: Option<String>,
}

/// Keys that are set only once.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct SetSpec {
    /// What the keys begin with; drill and number follow.
    #[garde(length(min = 1, max = 200))]
    pub prefix: String,
    /// The server removes each after this time.
    #[serde(default = "an_hour")]
    #[garde(custom(within(Duration::from_secs(1), Duration::from_hours(24 * 30))))]
    pub expires: Span,
}

const fn an_hour() -> Span {
    Span(Duration::from_hours(1))
}
