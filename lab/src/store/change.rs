//! The change log: the one history that replication and restore go by.

use rusqlite::{Connection, OptionalExtension, params};
use serde::{Deserialize, Serialize};

use super::{Kind, Row, StoreError};
use crate::durable;

/// One change: what a row became, where in the history, and under which primary.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Change {
    /// Its place in the history, from 1, without gaps.
    pub(crate) lsn: u64,
    /// The fencing token of the primary that made it.
    pub(crate) epoch: u64,
    /// The wall time of that primary, never going back within a history.
    pub(crate) at_ms: u64,
    pub(crate) kind: Kind,
    /// The whole new row, as JSON.
    pub(crate) payload: String,
}

impl Change {
    /// Appends the change to the log and carries it out.
    pub(crate) fn record(&self, connection: &Connection) -> Result<(), StoreError> {
        let row = Row::parse(self.kind, &self.payload)?;
        self.record_row(connection, &row)
    }

    /// As [`Change::record`], for a caller that has the row of the payload at hand.
    pub(crate) fn record_row(&self, connection: &Connection, row: &Row) -> Result<(), StoreError> {
        connection
            .prepare_cached(
                "INSERT INTO changes (lsn, epoch, at_ms, kind, payload, subject)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![
                self.lsn,
                self.epoch,
                self.at_ms,
                self.kind,
                self.payload,
                row.subject()
            ])?;
        row.store(connection, self.lsn, self.epoch)
    }

    /// The change at one place of the history.
    pub(crate) fn at(connection: &Connection, lsn: u64) -> Result<Option<Self>, StoreError> {
        Ok(connection
            .prepare_cached("SELECT lsn, epoch, at_ms, kind, payload FROM changes WHERE lsn = ?1")?
            .query_row([lsn], Self::from_row)
            .optional()?)
    }

    /// The changes in `(after, until]`, at most `count` and, after the first, `bytes` of payload.
    pub(crate) fn between(
        connection: &Connection,
        (after, until): (u64, u64),
        count: usize,
        bytes: usize,
    ) -> Result<Vec<Self>, StoreError> {
        let mut statement = connection.prepare_cached(
            "SELECT lsn, epoch, at_ms, kind, payload FROM changes
             WHERE lsn > ?1 AND lsn <= ?2 ORDER BY lsn",
        )?;
        let mut found = Vec::new();
        let mut size = 0;
        for change in statement.query_map([after, until], Self::from_row)? {
            let change = change?;
            size += change.payload.len();
            if !found.is_empty() && size > bytes {
                break;
            }
            found.push(change);
            if found.len() == count {
                break;
            }
        }
        Ok(found)
    }

    /// When the first change after `lsn` was made.
    pub(crate) fn time_after(connection: &Connection, lsn: u64) -> Result<Option<u64>, StoreError> {
        Ok(connection
            .prepare_cached("SELECT at_ms FROM changes WHERE lsn > ?1 ORDER BY lsn LIMIT 1")?
            .query_row([lsn], |row| row.get(0))
            .optional()?)
    }

    /// Fails when the change contradicts itself: an entry whose value is not the one with its checksum. Whoever changed
    /// such an entry did so through the application, so that it is in the log like any other.
    pub(crate) fn is_sound(&self) -> Result<(), String> {
        let row = Row::parse(self.kind, &self.payload).map_err(|error| error.to_string())?;
        match row {
            Row::Entry(entry)
                if !durable::sha256(&entry.value).eq_ignore_ascii_case(&entry.checksum) =>
            {
                Err(format!("the value of {} does not have its checksum", entry.id))
            }
            _ => Ok(()),
        }
    }

    /// What tells two changes at the same place of two histories apart.
    pub(crate) fn digest(&self) -> String {
        let Self { lsn, epoch, at_ms, kind, payload } = self;
        durable::sha256(format!("{lsn} {epoch} {at_ms} {kind:?} {payload}"))
    }

    pub(super) fn from_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            lsn: row.get(0)?,
            epoch: row.get(1)?,
            at_ms: row.get(2)?,
            kind: row.get(3)?,
            payload: row.get(4)?,
        })
    }
}
