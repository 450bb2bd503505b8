//! Probes of `PostgreSQL`, as written in an environment file.

use garde::Validate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::headers::{SecretSource, some_secret_source};
use super::host::absolute;
use super::url::{addresses, host_and_port};
use super::{Attempt, HostProbe, RedisCommand, S3Request};
use crate::postgres::Tls;
use crate::probe::Purpose;

/// One statement to a `PostgreSQL` server.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct PostgresAttempt {
    /// Where the server is, `host:port`. After a failover that clients reach by the same address, so does the probe.
    #[serde(deserialize_with = "host_and_port")]
    #[garde(skip)]
    pub address: String,
    /// The database.
    #[garde(length(min = 1, max = 63))]
    pub database: String,
    /// The user.
    #[garde(length(min = 1, max = 63))]
    pub user: String,
    /// Password of the user, which never stands here: `{ env: NAME }` or `{ file: PATH }`.
    #[serde(
        default,
        deserialize_with = "some_secret_source",
        skip_serializing_if = "Option::is_none"
    )]
    #[garde(skip)]
    pub password: Option<SecretSource>,
    /// How the connection is encrypted, in the words of libpq.
    #[serde(default)]
    #[garde(skip)]
    pub tls: Tls,
    /// File of the certificates (PEM) that `verify_full` trusts; those of the machine where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[garde(inner(custom(absolute)), custom(goes_with_verify_full(self.tls)))]
    pub ca: Option<String>,
    /// What is asked of it.
    #[serde(default)]
    #[garde(dive)]
    pub statement: StatementSpec,
}

/// A statement: a map with one key.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize, Validate)]
#[serde(rename_all = "snake_case")]
pub enum StatementSpec {
    /// A query in a transaction that may only read.
    Select(#[garde(dive)] SelectSpec),
    /// A row with a unique id, for a probe of purpose `write`. All rows are read back after the recovery: the RPO.
    Insert(#[garde(dive)] InsertSpec),
    /// The newest row of this drill in the table of the probe that inserts, which must be whole.
    Newest(#[garde(dive)] NewestSpec),
}

impl Default for StatementSpec {
    fn default() -> Self {
        Self::Select(SelectSpec { query: "SELECT 1".to_owned(), answers: None })
    }
}

/// A query.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct SelectSpec {
    /// The query: one statement. In it, `;` is written chr(59).
    #[garde(length(min = 1, max = 4000), custom(one_statement))]
    pub query: String,
    /// What the first column of the first row must be, as psql prints it; anything, also no row, when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[garde(length(max = 1000))]
    pub answers: Option<String>,
}

/// Rows with unique ids.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct InsertSpec {
    /// The table, `name` or `schema.name`. It belongs to drdrill; rows of earlier drills do not matter.
    #[garde(custom(table_name))]
    pub table: String,
    /// Whether drdrill may create the table where it is not there. It stays.
    #[serde(default)]
    #[garde(skip)]
    pub create: bool,
    /// Other servers (`host:port`) from which all rows are read as well, such as standbys: what they have is reported, and
    /// the verdict comes from `address`.
    #[serde(default, deserialize_with = "addresses", skip_serializing_if = "Vec::is_empty")]
    #[garde(length(max = 20))]
    pub copies: Vec<String>,
}

/// The newest row.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct NewestSpec {
    /// The table.
    #[garde(custom(table_name))]
    pub table: String,
}

/// Names that mean the same with and without quotes.
fn table_name<C>(name: &str, _: &C) -> garde::Result {
    let simple = |part: &str| {
        part.len() <= 63
            && part.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
            && part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    };
    if name.split('.').count() <= 2 && name.split('.').all(simple) {
        return Ok(());
    }
    Err(garde::Error::new(
        "must be `table` or `schema.table`, of lower-case letters, digits and `_`",
    ))
}

/// A second statement could end the transaction that may only read, and be carried out after it.
fn one_statement<C>(query: &str, _: &C) -> garde::Result {
    let query = query.trim_end();
    if query.strip_suffix(';').unwrap_or(query).contains(';') {
        return Err(garde::Error::new(
            "must be one statement: there may be a `;` at its end only; in a text write chr(59)",
        ));
    }
    Ok(())
}

fn goes_with_verify_full<C>(tls: Tls) -> impl Fn(&Option<String>, &C) -> garde::Result {
    move |ca, _| {
        if ca.is_some() && tls != Tls::VerifyFull {
            return Err(garde::Error::new(
                "goes with `tls: verify_full`; nothing else looks at it",
            ));
        }
        Ok(())
    }
}

impl HostProbe {
    /// The attempt and its statement, of a probe that inserts rows.
    #[must_use]
    pub fn inserts(&self) -> Option<(&PostgresAttempt, &InsertSpec)> {
        match &self.attempt {
            Attempt::Postgres(attempt) => match &attempt.statement {
                StatementSpec::Insert(insert) => Some((attempt, insert)),
                _ => None,
            },
            _ => None,
        }
    }
}

/// What changes something is a write, and nothing else that is asked of a server here is one.
pub(super) fn fits<C>(attempt: &Attempt) -> impl Fn(&Purpose, &C) -> garde::Result {
    let (writes, how) = match attempt {
        Attempt::Postgres(attempt) => (
            Some(matches!(attempt.statement, StatementSpec::Insert(_))),
            "`write` needs `statement: { insert: { table: NAME } }`, whose rows can be counted",
        ),
        Attempt::Redis(attempt) => (
            Some(matches!(attempt.command, RedisCommand::Set(_))),
            "`write` needs `command: { set: { prefix: NAME } }`",
        ),
        Attempt::S3(attempt) => (
            Some(matches!(attempt.request, S3Request::Put(_))),
            "`write` needs `request: { put: { prefix: NAME } }`",
        ),
        Attempt::Dns(_) => (Some(false), "a question to a name server writes nothing"),
        Attempt::Http(_) | Attempt::Tcp(_) => (None, ""),
    };
    move |purpose, _| match (writes, *purpose == Purpose::Write) {
        (Some(true), false) => {
            Err(garde::Error::new("must be `write`: what is asked of the server changes something"))
        }
        (Some(false), true) => Err(garde::Error::new(how)),
        _ => Ok(()),
    }
}

/// The rows of one stream are read back, and what reads the newest of them needs somebody who writes them.
pub(super) fn one_inserts<C>(probes: &Vec<HostProbe>, _: &C) -> garde::Result {
    let tables: Vec<&str> =
        probes.iter().filter_map(|probe| Some(probe.inserts()?.1.table.as_str())).collect();
    if tables.len() > 1 {
        return Err(garde::Error::new("at most one probe inserts rows"));
    }
    for probe in probes {
        if let Attempt::Postgres(attempt) = &probe.attempt
            && let StatementSpec::Newest(newest) = &attempt.statement
            && !tables.contains(&newest.table.as_str())
        {
            return Err(garde::Error::new(format!(
                "the probe {} reads the newest row of {}, into which no probe inserts",
                probe.name, newest.table
            )));
        }
    }
    Ok(())
}
