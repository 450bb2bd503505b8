//! Writes that a database of the lab has, read without drdrill's help.

use std::collections::BTreeSet;
use std::path::Path;

use rusqlite::Connection;

/// Sequences of the writes in a database of the lab.
pub(crate) fn present(database: &Path) -> BTreeSet<u64> {
    let database = Connection::open(database).unwrap();
    let mut query = database.prepare("SELECT id FROM entries WHERE id LIKE 'w-%'").unwrap();
    let ids = query.query_map([], |row| row.get::<_, String>(0)).unwrap();
    ids.map(|id| id.unwrap().strip_prefix("w-").unwrap().parse().unwrap()).collect()
}
