//! A database that faults strike, and a look at its rows that owes nothing to drdrill.

use std::path::PathBuf;

use rusqlite::Connection;
use tempfile::TempDir;

/// A row: its key, its value, and what else there is.
type Row = (String, Option<String>, Vec<u8>);

/// A database with some rows.
pub(crate) struct Database {
    pub(crate) place: TempDir,
    pub(crate) path: PathBuf,
    before: Vec<Row>,
}

impl Database {
    pub(crate) fn new() -> Self {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("struck.db");
        let connection = Connection::open(&path).unwrap();
        connection.pragma_update(None, "journal_mode", "WAL").unwrap();
        connection
            .execute_batch(
                "CREATE TABLE entries (id TEXT PRIMARY KEY, value TEXT NOT NULL, more BLOB);
                 CREATE INDEX entries_by_value ON entries (value);",
            )
            .unwrap();
        for number in 0..30 {
            let row = (format!("row-{number}"), format!("value {number}"), [number; 3]);
            connection.execute("INSERT INTO entries VALUES (?1, ?2, ?3)", row).unwrap();
        }
        drop(connection);
        let mut database = Self { place, path, before: Vec::new() };
        database.before = database.rows();
        assert_eq!(database.before.len(), 30);
        database
    }

    /// The rows, in no order that depends on where they are stored.
    fn rows(&self) -> Vec<Row> {
        let connection = Connection::open(&self.path).unwrap();
        let query = "SELECT id, value, more FROM entries ORDER BY id";
        let Ok(mut statement) = connection.prepare(query) else { return Vec::new() };
        let rows =
            statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
        rows.map(Result::unwrap).collect()
    }

    /// Changes a row.
    pub(crate) fn spoil(&self) {
        let connection = Connection::open(&self.path).unwrap();
        connection.execute("UPDATE entries SET value = 'x' WHERE id = 'row-3'", []).unwrap();
    }

    /// What is not as it was before, a line each.
    pub(crate) fn changed(&self) -> Vec<String> {
        let now = self.rows();
        if now.is_empty() {
            return vec!["there are no rows".to_owned()];
        }
        let connection = Connection::open(&self.path).unwrap();
        let indexes = "SELECT count(*) FROM sqlite_master WHERE name = 'entries_by_value'";
        let indexes: i64 = connection.query_row(indexes, [], |row| row.get(0)).unwrap();
        let mut changed: Vec<String> = now
            .iter()
            .filter(|row| !self.before.contains(row))
            .map(|row| format!("{row:?}"))
            .collect();
        if now.len() != self.before.len() || indexes != 1 {
            changed.push(format!("{} rows of {}", now.len(), self.before.len()));
        }
        changed
    }
}
