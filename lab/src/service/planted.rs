//! Defects on purpose: what a drill has to notice. Nothing has one unless its configuration asks for it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension};
use serde::{Deserialize, Serialize};

use crate::node::now_ms;
use crate::store::{Kind, Readers, StoreError};

/// A defect that a service has on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Planted {
    /// It reads registers from a snapshot that is [`OLD`].
    StaleReads,
    /// It takes from one account in one transaction, and gives to the other in another one, [`BETWEEN`] later.
    TornTransfers,
    /// It answers with the values of registers that it had when it was started, until they are written again, although
    /// its data was replaced by that of another site meanwhile.
    OldValues,
}

/// Age of a snapshot that is not fresh.
const OLD: Duration = Duration::from_secs(1);
/// Time between two transactions that should be one.
pub(super) const BETWEEN: Duration = Duration::from_millis(60);

/// What a register was [`OLD`] ago, and the change that made it so.
pub(super) fn old_value(
    connection: &Connection,
    key: &str,
) -> Result<Option<(u64, u64)>, StoreError> {
    let then = now_ms().saturating_sub(u64::try_from(OLD.as_millis()).unwrap_or(u64::MAX));
    Ok(connection
        .prepare_cached(
            "SELECT payload ->> '$.value', lsn FROM changes
             WHERE kind = ?1 AND subject = ?2 AND at_ms <= ?3 ORDER BY lsn DESC LIMIT 1",
        )?
        .query_row((Kind::Register, key, then), |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?)
}

/// Values of registers that are kept in memory and never doubted.
#[derive(Debug, Default)]
pub(super) struct Remembered(Mutex<BTreeMap<String, u64>>);

impl Remembered {
    /// Takes all values that there are now.
    pub(super) async fn fill(&self, readers: &Arc<Readers>) -> Result<(), StoreError> {
        let all = readers.read(|connection| {
            let mut statement = connection.prepare_cached("SELECT key, value FROM registers")?;
            let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            Ok(rows.collect::<Result<BTreeMap<String, u64>, _>>()?)
        });
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = all.await?;
        Ok(())
    }

    /// The value of a key, where one is remembered.
    pub(super) fn value(&self, key: &str) -> Option<u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(key).copied()
    }

    /// Forgets a key: it was written.
    pub(super) fn forget(&self, key: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}
