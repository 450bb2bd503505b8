//! Probes watch. They record; they never judge.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::dns::DnsCall;
use crate::postgres::PostgresCall;
use crate::redis::RedisCall;
use crate::s3::S3Call;
use crate::sample::{Answered, Deed, Outcome};
use crate::secret::Secret;

/// What a stream of samples is evidence of.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// Writes with unique ids, each accounted for at the end: decides RTO and RPO.
    Write,
    /// Reads: decides RTO.
    Read,
    /// Something outside the blast radius that the fault must not touch.
    Bystander,
    /// Operations on data that are judged one by one, for what they wrote, read and moved: decides neither RTO nor RPO.
    #[schemars(skip)]
    Workload,
}

/// Whether each attempt opens its own connection.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Connection {
    /// A new connection for each attempt: what a new client sees. The headline figures come from these.
    #[default]
    Fresh,
    /// One connection kept for as long as it works: what an old client sees. Reported apart.
    Kept,
}

/// Makes the body of a request from the number of the attempt.
pub type MakeBody = Arc<dyn Fn(u64) -> Vec<u8> + Send + Sync>;

/// Says what an attempt does to data, from its number.
pub type MakeDeed = Arc<dyn Fn(u64) -> Deed + Send + Sync>;

/// Says what a secret is now.
pub type CurrentSecret = Arc<dyn Fn() -> Secret + Send + Sync>;

/// The value of a header.
#[derive(Clone)]
pub enum HeaderValue {
    /// One that everybody may see.
    Plain(String),
    /// A secret.
    Secret(Secret),
    /// A secret that may be another one for a later attempt, such as the token of a login.
    Current(CurrentSecret),
}

impl fmt::Debug for HeaderValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(text) => f.debug_tuple("Plain").field(text).finish(),
            Self::Secret(secret) => f.debug_tuple("Secret").field(secret).finish(),
            Self::Current(_) => f.write_str("Current"),
        }
    }
}

impl HeaderValue {
    /// The value as it is now, for the one who sends it.
    #[must_use]
    pub fn expose(&self) -> Cow<'_, str> {
        match self {
            Self::Plain(text) => Cow::Borrowed(text),
            Self::Secret(secret) => Cow::Borrowed(secret.expose()),
            Self::Current(secret) => Cow::Owned(secret().expose().to_owned()),
        }
    }
}

/// What one attempt does, as data: environments say it, the measuring side does it.
#[derive(Clone)]
pub enum Call {
    /// An HTTP request that any 2xx answers well.
    Http {
        /// `GET`, `PUT` and so on.
        method: &'static str,
        /// Where to; `{sequence}` stands for the number of the attempt, `{key}` for the register of its deed.
        url: String,
        /// Other addresses (`host:port`) of the same service, tried in turn where a connection to the one before is refused.
        /// Nothing is ever sent twice.
        else_at: Vec<String>,
        /// Headers besides those every request has.
        headers: Vec<(String, HeaderValue)>,
        /// The body, where there is one.
        body: Option<MakeBody>,
        /// Text that the answer must contain: catches a 200 that carries an error.
        body_contains: Option<String>,
        /// What the request does to data, where that is to be judged. A read is answered in JSON: `{"value": 7}` (`null`
        /// before the first write), or `{"balances": {"0": 100}}`.
        deed: Option<MakeDeed>,
    },
    /// A TCP connection that must be accepted.
    Tcp {
        /// Where to, `host:port`.
        address: String,
    },
    /// A statement to a `PostgreSQL` server.
    Postgres(Box<PostgresCall>),
    /// A command to a Redis server.
    Redis(Box<RedisCall>),
    /// A question to a name server.
    Dns(Box<DnsCall>),
    /// A request to a service that speaks the API of S3.
    S3(Box<S3Call>),
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Headers may carry secrets.
        match self {
            Self::Http { method, url, .. } => write!(f, "{method} {url}"),
            Self::Tcp { address } => write!(f, "connect to {address}"),
            Self::S3(call) => write!(f, "s3 {}/{}: {:?}", call.endpoint, call.bucket, call.request),
            Self::Redis(call) => write!(f, "redis {}: {:?}", call.address, call.command),
            Self::Dns(call) => {
                write!(f, "ask {} for {:?} of {}", call.server, call.record, call.name)
            }
            Self::Postgres(call) => write!(f, "{}: {:?}", call.server, call.statement),
        }
    }
}

/// One kind of attempt, as a client would make it.
#[async_trait]
pub trait Probe: fmt::Debug + Send + Sync {
    /// Makes attempt number `sequence`. The sampler stamps the times and enforces the deadline: dropping the
    /// future must abandon the attempt.
    async fn attempt(&self, sequence: u64) -> Outcome;
    /// As [`Probe::attempt`], and what else the answer says.
    async fn attempt_in_full(&self, sequence: u64) -> Answered {
        self.attempt(sequence).await.into()
    }
    /// What attempt number `sequence` does to data, where the history has to know: also of one that never ends.
    fn deed(&self, _sequence: u64) -> Option<Deed> {
        None
    }
}
