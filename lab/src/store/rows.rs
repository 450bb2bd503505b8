//! What the change log is about: entries, jobs, users, registers and accounts.

use std::collections::BTreeMap;

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};

use super::StoreError;

/// What a change is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    Entry,
    Job,
    User,
    Register,
    Posting,
}

/// One write of a client: never changed once it is acknowledged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) id: String,
    pub(crate) sequence: u64,
    pub(crate) value: String,
    /// SHA-256 of `value`, in hex, as the client computed it.
    pub(crate) checksum: String,
}

/// How far a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum JobState {
    Queued,
    Running,
    Done,
    Failed,
}

/// One process that a client asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Job {
    pub(crate) id: String,
    pub(crate) argv: Vec<String>,
    pub(crate) state: JobState,
    pub(crate) submitted_at_ms: u64,
    /// Counts the claims; only the newest claim may finish the job.
    pub(crate) claim: u64,
    /// The epoch of the newest claim: an older one belongs to a site that was failed over.
    pub(crate) claim_epoch: u64,
    pub(crate) claimed_at_ms: u64,
    pub(crate) exit_code: Option<i32>,
    pub(crate) output: Option<String>,
}

/// Somebody who may log in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct User {
    pub(crate) name: String,
    /// Hex.
    pub(crate) salt: String,
    pub(crate) iterations: u32,
    /// PBKDF2-HMAC-SHA-256, hex.
    pub(crate) hash: String,
}

/// What is written under a key; the last write is the value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Register {
    pub(crate) key: String,
    pub(crate) value: u64,
}

/// Accounts that change together, in one change of the log: no copy can ever have one of them without the others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Posting {
    /// Unique; a posting is made once, however often it is asked for.
    pub(crate) id: String,
    /// What was moved; nothing when accounts are opened.
    pub(crate) moved: Option<Moved>,
    /// The accounts that changed, with their new balances.
    pub(crate) balances: BTreeMap<String, i64>,
}

/// Money that goes from one account to another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Moved {
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) amount: i64,
}

/// The new content of one row, or of rows that change together.
#[derive(Clone, Debug)]
pub(crate) enum Row {
    Entry(Entry),
    Job(Job),
    User(User),
    Register(Register),
    Posting(Posting),
}

impl Row {
    pub(crate) fn parse(kind: Kind, payload: &str) -> Result<Self, StoreError> {
        Ok(match kind {
            Kind::Entry => Self::Entry(serde_json::from_str(payload)?),
            Kind::Job => Self::Job(serde_json::from_str(payload)?),
            Kind::User => Self::User(serde_json::from_str(payload)?),
            Kind::Register => Self::Register(serde_json::from_str(payload)?),
            Kind::Posting => Self::Posting(serde_json::from_str(payload)?),
        })
    }

    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Entry(_) => Kind::Entry,
            Self::Job(_) => Kind::Job,
            Self::User(_) => Kind::User,
            Self::Register(_) => Kind::Register,
            Self::Posting(_) => Kind::Posting,
        }
    }

    pub(crate) fn subject(&self) -> &str {
        match self {
            Self::Entry(entry) => &entry.id,
            Self::Job(job) => &job.id,
            Self::User(user) => &user.name,
            Self::Register(register) => &register.key,
            Self::Posting(posting) => &posting.id,
        }
    }

    pub(crate) fn payload(&self) -> Result<String, StoreError> {
        Ok(match self {
            Self::Entry(entry) => serde_json::to_string(entry)?,
            Self::Job(job) => serde_json::to_string(job)?,
            Self::User(user) => serde_json::to_string(user)?,
            Self::Register(register) => serde_json::to_string(register)?,
            Self::Posting(posting) => serde_json::to_string(posting)?,
        })
    }

    /// Puts the row into its table; the same on a primary, a standby and in a restore.
    pub(crate) fn store(
        &self,
        connection: &Connection,
        lsn: u64,
        epoch: u64,
    ) -> Result<(), StoreError> {
        match self {
            Self::Entry(entry) => connection
                .prepare_cached(
                    "INSERT INTO entries (id, sequence, value, checksum, lsn, epoch)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                     ON CONFLICT (id) DO UPDATE SET sequence = excluded.sequence,
                     value = excluded.value, checksum = excluded.checksum,
                     lsn = excluded.lsn, epoch = excluded.epoch",
                )?
                .execute(params![
                    entry.id,
                    entry.sequence,
                    entry.value,
                    entry.checksum,
                    lsn,
                    epoch
                ])?,
            Self::Job(job) => connection
                .prepare_cached(
                    "INSERT INTO jobs (id, state, row, submitted_lsn) VALUES (?1, ?2, ?3, ?4)
                     ON CONFLICT (id) DO UPDATE SET state = excluded.state, row = excluded.row",
                )?
                .execute(params![job.id, job.state.name(), serde_json::to_string(job)?, lsn])?,
            Self::User(user) => connection
                .prepare_cached(
                    "INSERT OR REPLACE INTO users (name, salt, iterations, hash)
                     VALUES (?1, ?2, ?3, ?4)",
                )?
                .execute(params![user.name, user.salt, user.iterations, user.hash])?,
            Self::Register(register) => connection
                .prepare_cached(
                    "INSERT OR REPLACE INTO registers (key, value, lsn, epoch)
                     VALUES (?1, ?2, ?3, ?4)",
                )?
                .execute(params![register.key, register.value, lsn, epoch])?,
            Self::Posting(posting) => {
                let mut account = connection.prepare_cached(
                    "INSERT OR REPLACE INTO accounts (name, balance, lsn, epoch)
                     VALUES (?1, ?2, ?3, ?4)",
                )?;
                for (name, balance) in &posting.balances {
                    account.execute(params![name, balance, lsn, epoch])?;
                }
                posting.balances.len()
            }
        };
        Ok(())
    }
}

impl JobState {
    /// The name in tables and in JSON.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
        }
    }
}

impl ToSql for Kind {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Self::Entry => "entry",
            Self::Job => "job",
            Self::User => "user",
            Self::Register => "register",
            Self::Posting => "posting",
        }
        .into())
    }
}

impl FromSql for Kind {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        match value.as_str()? {
            "entry" => Ok(Self::Entry),
            "job" => Ok(Self::Job),
            "user" => Ok(Self::User),
            "register" => Ok(Self::Register),
            "posting" => Ok(Self::Posting),
            _ => Err(FromSqlError::InvalidType),
        }
    }
}
