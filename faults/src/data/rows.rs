//! Choosing, striking and putting back rows of an `SQLite` database that others use meanwhile.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use drdrill_core::data::DataTable;
use rusqlite::{Connection, OpenFlags, OptionalExtension, TransactionBehavior, params_from_iter};
use sha2::{Digest, Sha256};

use super::encrypted::RandomKey;
use super::saved::{Cell, MOST_BYTES, Saved, SavedRow};

/// How long others may hold the database.
const BUSY: Duration = Duration::from_secs(5);

/// What is done to rows.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Harm {
    /// So many rows get another value.
    Corrupt(u32),
    /// So many rows get another value, which is their own under a random key that nobody has.
    Encrypt(u32),
    /// Every row gets another value, and with it a credential that lets nobody in.
    Revoke,
    /// So many rows are removed.
    Delete(u32),
    /// The table is dropped, unless it has more rows.
    Drop(u32),
}

/// Rows that could not be dealt with.
#[derive(Debug, thiserror::Error)]
pub(super) enum RowsError {
    #[error("{0}")]
    Sql(#[from] rusqlite::Error),
    #[error("{0}")]
    File(#[from] io::Error),
    #[error("{0}")]
    Refused(String),
}

/// What tells a database from a later one in its place.
pub(super) fn identity(path: &Path) -> io::Result<(u64, u64)> {
    fs::metadata(path).map(|facts| (facts.dev(), facts.ino()))
}

/// Opens a database that is there.
pub(super) fn open(path: &Path) -> Result<Connection, RowsError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    // What was undone has to stay so when the power goes.
    connection.pragma_update(None, "synchronous", "FULL")?;
    Ok(connection)
}

/// A name as SQL wants it.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Keys of rows, spread evenly over all in the order in which they were made, the oldest among them.
pub(super) fn choose(
    connection: &Connection,
    table: &DataTable,
    harm: &Harm,
) -> Result<Vec<Cell>, RowsError> {
    let (from, key) = (quoted(&table.table), quoted(&table.key));
    let count: usize =
        connection.query_row(&format!("SELECT count(*) FROM {from}"), [], |row| row.get(0))?;
    let wanted = match harm {
        Harm::Corrupt(rows) | Harm::Encrypt(rows) | Harm::Delete(rows) => {
            usize::try_from(*rows).unwrap_or(usize::MAX)
        }
        Harm::Drop(most) if count > usize::try_from(*most).unwrap_or(usize::MAX) => {
            return Err(RowsError::Refused(format!(
                "{} has {count} rows, and max_rows is {most}; raise it in the scenario if that is meant",
                table.table
            )));
        }
        Harm::Drop(_) | Harm::Revoke => count,
    };
    let mut statement = connection.prepare(&format!("SELECT {key} FROM {from} ORDER BY rowid"))?;
    let mut rows = statement.query([])?;
    let (mut keys, mut place) = (Vec::new(), 0);
    while let Some(row) = rows.next()? {
        let chosen = wanted >= count || place * wanted % count < wanted;
        if chosen && keys.len() < wanted {
            keys.push(cell(row, 0, &table.table)?);
        }
        place += 1;
    }
    if keys.is_empty() {
        return Err(RowsError::Refused(format!("{} has no rows", table.table)));
    }
    Ok(keys)
}

fn cell(row: &rusqlite::Row<'_>, index: usize, table: &str) -> Result<Cell, RowsError> {
    Cell::of(row.get_ref(index)?).ok_or_else(|| {
        RowsError::Refused(format!("a text in {table} is not UTF-8 and could not be put back"))
    })
}

/// Strikes rows in one transaction. They are saved inside it, when nobody can change them any more, and before it does
/// anything: `save` returns when they are on the disk.
pub(super) fn strike(
    connection: &mut Connection,
    table: &DataTable,
    keys: &[Cell],
    harm: &Harm,
    seed: &str,
    save: impl FnOnce(&Saved) -> io::Result<()>,
) -> Result<Saved, RowsError> {
    let struck = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let saved = read(&struck, table, keys, harm, seed)?;
    save(&saved)?;
    let (from, key, value) = (quoted(&table.table), quoted(&table.key), quoted(&table.value));
    match harm {
        Harm::Corrupt(_) | Harm::Encrypt(_) | Harm::Revoke => {
            let sql = format!("UPDATE {from} SET {value} = ?2 WHERE {key} = ?1");
            let mut update = struck.prepare(&sql)?;
            for row in &saved.rows {
                update.execute((&row.key, &row.became))?;
            }
        }
        Harm::Delete(_) => {
            let mut delete = struck.prepare(&format!("DELETE FROM {from} WHERE {key} = ?1"))?;
            for row in &saved.rows {
                delete.execute([&row.key])?;
            }
        }
        Harm::Drop(_) => {
            struck.execute_batch(&format!("DROP TABLE {from}"))?;
        }
    }
    struck.commit()?;
    Ok(saved)
}

/// The rows as they are now, and what is to become of them.
fn read(
    connection: &Connection,
    table: &DataTable,
    keys: &[Cell],
    harm: &Harm,
    seed: &str,
) -> Result<Saved, RowsError> {
    let (from, key) = (quoted(&table.table), quoted(&table.key));
    // A table may grow between the choice of its rows and its end: then all that are there now are meant.
    let whole = matches!(harm, Harm::Drop(_));
    let sql = if whole {
        format!("SELECT * FROM {from} ORDER BY rowid")
    } else {
        format!("SELECT * FROM {from} WHERE {key} = ?1")
    };
    let mut statement = connection.prepare(&sql)?;
    let columns: Vec<String> = statement.column_names().map(str::to_owned).collect();
    let column = |name: &str| {
        let found = columns.iter().position(|column| column == name);
        found.ok_or_else(|| RowsError::Refused(format!("{} has no column {name}", table.table)))
    };
    let (key_at, value_at) = (column(&table.key)?, column(&table.value)?);
    let (mut saved, mut bytes) = (Vec::new(), 0);
    let random = RandomKey::new();
    let mut take = |rows: &mut rusqlite::Rows<'_>| -> Result<(), RowsError> {
        while let Some(row) = rows.next()? {
            let cells: Result<Vec<Cell>, RowsError> =
                (0..columns.len()).map(|index| cell(row, index, &table.table)).collect();
            let cells = cells?;
            bytes += cells.iter().map(Cell::size).sum::<usize>();
            if bytes > MOST_BYTES {
                let most = MOST_BYTES >> 20;
                return Err(RowsError::Refused(format!(
                    "the rows take more than {most} MiB, too much to be saved first"
                )));
            }
            let became = match harm {
                Harm::Corrupt(_) | Harm::Revoke => Some(other_than(&cells[value_at], seed)),
                Harm::Encrypt(_) => Some(random.encrypt(&cells[value_at])),
                Harm::Delete(_) | Harm::Drop(_) => None,
            };
            saved.push(SavedRow { key: cells[key_at].clone(), cells, became });
        }
        Ok(())
    };
    if whole {
        take(&mut statement.query([])?)?;
    } else {
        for key in keys {
            take(&mut statement.query([key])?)?;
        }
    }
    let schema = if whole {
        let mut schema = connection.prepare(
            "SELECT sql FROM sqlite_master WHERE tbl_name = ?1 AND sql IS NOT NULL
             ORDER BY type <> 'table'",
        )?;
        let lines = schema.query_map([&table.table], |row| row.get(0))?;
        lines.collect::<Result<Vec<String>, _>>()?
    } else {
        Vec::new()
    };
    let (name, key, value) = (table.table.clone(), table.key.clone(), table.value.clone());
    Ok(Saved { table: name, key, value, columns, schema, rows: saved })
}

/// Another text of the same length, which nobody else writes: made from the tag of the fault.
fn other_than(value: &Cell, seed: &str) -> Cell {
    let length = value.size().max(1);
    let mut text = String::new();
    for part in 0_u64.. {
        text += &hex::encode(Sha256::digest(format!("{seed} {part} {value:?}")));
        if text.len() >= length {
            break;
        }
    }
    text.truncate(length);
    let text = Cell::Text(text);
    if text == *value { Cell::Text(format!("not {seed}")) } else { text }
}

/// Puts back what still is as the fault left it: a value that is exactly the one it wrote, a row that is missing. What
/// somebody wrote since is theirs and stays.
pub(super) fn put_back(connection: &mut Connection, saved: &Saved) -> Result<(), RowsError> {
    let (from, key, value) = (quoted(&saved.table), quoted(&saved.key), quoted(&saved.value));
    let put = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if !is_there(&put, &saved.table)? {
        if saved.schema.is_empty() {
            // It was there after the fault: whoever removed it did more than the fault.
            return Ok(());
        }
        for statement in &saved.schema {
            put.execute_batch(statement)?;
        }
    }
    let columns: Vec<String> = saved.columns.iter().map(|column| quoted(column)).collect();
    let places = vec!["?"; columns.len()].join(", ");
    let columns = columns.join(", ");
    let value_at = saved.columns.iter().position(|column| *column == saved.value);
    {
        let sql = format!("UPDATE {from} SET {value} = ?2 WHERE {key} = ?1 AND {value} IS ?3");
        let mut update = put.prepare(&sql)?;
        let sql = format!("INSERT OR IGNORE INTO {from} ({columns}) VALUES ({places})");
        let mut insert = put.prepare(&sql)?;
        for row in &saved.rows {
            match (&row.became, value_at.and_then(|at| row.cells.get(at))) {
                (Some(became), Some(before)) => {
                    update.execute((&row.key, before, became))?;
                }
                (Some(_), None) => {
                    let why = format!("{} was saved without its value", saved.table);
                    return Err(RowsError::Refused(why));
                }
                (None, _) => {
                    insert.execute(params_from_iter(&row.cells))?;
                }
            }
        }
    }
    put.commit()?;
    Ok(())
}

/// How many of the rows still are as the fault left them.
pub(super) fn still_struck(connection: &Connection, saved: &Saved) -> Result<usize, RowsError> {
    if !is_there(connection, &saved.table)? {
        return Ok(if saved.schema.is_empty() { 0 } else { saved.rows.len().max(1) });
    }
    let (from, key, value) = (quoted(&saved.table), quoted(&saved.key), quoted(&saved.value));
    let sql = format!("SELECT {value} IS ?2 FROM {from} WHERE {key} = ?1");
    let mut statement = connection.prepare(&sql)?;
    let mut struck = 0;
    for row in &saved.rows {
        let found: Option<bool> =
            statement.query_row((&row.key, &row.became), |row| row.get(0)).optional()?;
        struck += usize::from(match row.became {
            Some(_) => found == Some(true),
            None => found.is_none(),
        });
    }
    Ok(struck)
}

fn is_there(connection: &Connection, table: &str) -> Result<bool, RowsError> {
    let sql = "SELECT count(*) > 0 FROM sqlite_master WHERE type = 'table' AND name = ?1";
    Ok(connection.query_row(sql, [table], |row| row.get(0))?)
}
