//! Whether one history goes on where another one ends.

use rusqlite::Connection;

use crate::store::{Change, StoreError};

/// Whether a history that ends with this change is a beginning of the one in the database.
///
/// Each epoch has one primary, and a primary only appends. So the same change at the same place
/// means that all before it is the same too.
pub(super) fn is_prefix(
    connection: &Connection,
    lsn: u64,
    digest: &str,
) -> Result<bool, StoreError> {
    if lsn == 0 {
        return Ok(true);
    }
    Ok(Change::at(connection, lsn)?.is_some_and(|change| change.digest() == digest))
}

/// What a standby says of its newest change; empty when it has none.
pub(super) fn digest_at(connection: &Connection, lsn: u64) -> Result<String, StoreError> {
    Ok(Change::at(connection, lsn)?.map_or_else(String::new, |change| change.digest()))
}
