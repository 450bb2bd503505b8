//! The database file and its tables.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::StoreError;

/// `changes` is the history; `entries`, `jobs`, `users`, `registers` and `accounts` follow from it.
/// `versions` and `conflicts` say where changes come from while two sites take writes, see `merge`.
/// `meta` and `health` belong to the site and are not part of the history.
const TABLES: &str = "
CREATE TABLE IF NOT EXISTS meta (
    key TEXT PRIMARY KEY, value TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS health (
    id INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS changes (
    lsn INTEGER PRIMARY KEY, epoch INTEGER NOT NULL, at_ms INTEGER NOT NULL,
    kind TEXT NOT NULL, payload TEXT NOT NULL, subject TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS changes_of ON changes (kind, subject);
CREATE TABLE IF NOT EXISTS entries (
    id TEXT PRIMARY KEY, sequence INTEGER NOT NULL, value TEXT NOT NULL,
    checksum TEXT NOT NULL, lsn INTEGER NOT NULL, epoch INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS jobs (
    id TEXT PRIMARY KEY, state TEXT NOT NULL, row TEXT NOT NULL, submitted_lsn INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS jobs_in ON jobs (state, submitted_lsn);
CREATE TABLE IF NOT EXISTS versions (
    lsn INTEGER PRIMARY KEY, clock INTEGER NOT NULL, site TEXT NOT NULL, seen INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS conflicts (
    id INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, kind TEXT NOT NULL, subject TEXT NOT NULL,
    kept_clock INTEGER NOT NULL, kept_site TEXT NOT NULL,
    dropped_clock INTEGER NOT NULL, dropped_site TEXT NOT NULL, dropped TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS users (
    name TEXT PRIMARY KEY, salt TEXT NOT NULL, iterations INTEGER NOT NULL, hash TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS registers (
    key TEXT PRIMARY KEY, value INTEGER NOT NULL, lsn INTEGER NOT NULL, epoch INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS accounts (
    name TEXT PRIMARY KEY, balance INTEGER NOT NULL, lsn INTEGER NOT NULL, epoch INTEGER NOT NULL
);
";

/// How long a connection waits for another one's lock.
const BUSY: Duration = Duration::from_secs(5);
/// Statements that a connection keeps compiled.
const STATEMENTS: usize = 64;

/// Where a service keeps its database below its data directory.
#[must_use]
pub fn database_path(data_dir: &Path) -> PathBuf {
    data_dir.join("site.db")
}

/// Opens a database for writing and makes its tables; every COMMIT is flushed to the disk.
pub(crate) fn open_writer(path: &Path) -> Result<Connection, StoreError> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(BUSY)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.execute_batch(TABLES)?;
    Ok(connection)
}

/// Opens an existing database for reading only.
pub(crate) fn open_reader(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(connection)
}
