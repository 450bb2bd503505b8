//! What is in a database file, read without the service's help.

use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::{Connection, OpenFlags};

/// The ids and values of all entries.
pub(crate) fn entries(path: &Path) -> BTreeMap<String, String> {
    let connection = open(path);
    let mut statement = connection.prepare("SELECT id, value FROM entries").unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    rows.map(Result::unwrap).collect()
}

/// The whole change log: lsn, epoch and payload.
pub(crate) fn changes(path: &Path) -> Vec<(u64, u64, String)> {
    let connection = open(path);
    let mut statement =
        connection.prepare("SELECT lsn, epoch, payload FROM changes ORDER BY lsn").unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
    rows.map(Result::unwrap).collect()
}

/// All rows of all replicated tables, as text.
pub(crate) fn content(path: &Path) -> Vec<String> {
    let connection = open(path);
    let mut content = Vec::new();
    for table in ["changes", "entries", "jobs", "users", "registers", "accounts"] {
        let sql = format!("SELECT * FROM {table} ORDER BY 1");
        let mut statement = connection.prepare(&sql).unwrap();
        let columns = statement.column_count();
        let rows = statement
            .query_map([], |row| {
                (0..columns)
                    .map(|column| row.get_ref(column).map(|cell| format!("{cell:?}")))
                    .collect()
            })
            .unwrap();
        content.extend(
            rows.map(|row: rusqlite::Result<Vec<_>>| format!("{table}: {:?}", row.unwrap())),
        );
    }
    content
}

fn open(path: &Path) -> Connection {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE).unwrap();
    connection.busy_timeout(super::PATIENCE).unwrap();
    connection
}
