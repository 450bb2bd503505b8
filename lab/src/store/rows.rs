//! What the change log is about: entries, jobs and users.

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

/// The new content of one row.
#[derive(Clone, Debug)]
pub(crate) enum Row {
    Entry(Entry),
    Job(Job),
    User(User),
}

impl Row {
    pub(crate) fn parse(kind: Kind, payload: &str) -> Result<Self, StoreError> {
        Ok(match kind {
            Kind::Entry => Self::Entry(serde_json::from_str(payload)?),
            Kind::Job => Self::Job(serde_json::from_str(payload)?),
            Kind::User => Self::User(serde_json::from_str(payload)?),
        })
    }

    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Entry(_) => Kind::Entry,
            Self::Job(_) => Kind::Job,
            Self::User(_) => Kind::User,
        }
    }

    pub(crate) fn subject(&self) -> &str {
        match self {
            Self::Entry(entry) => &entry.id,
            Self::Job(job) => &job.id,
            Self::User(user) => &user.name,
        }
    }

    pub(crate) fn payload(&self) -> Result<String, StoreError> {
        Ok(match self {
            Self::Entry(entry) => serde_json::to_string(entry)?,
            Self::Job(job) => serde_json::to_string(job)?,
            Self::User(user) => serde_json::to_string(user)?,
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
            _ => Err(FromSqlError::InvalidType),
        }
    }
}
