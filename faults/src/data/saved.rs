//! Rows as they were before the fault, and what became of them.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rusqlite::types::{ToSql, ToSqlOutput, Value, ValueRef};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Values of the rows that are saved, together. More is refused before anything is struck.
pub(super) const MOST_BYTES: usize = 64 << 20;

/// One value of a row.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Cell {
    Null,
    Integer(i64),
    Real(f64),
    Text(String),
    /// In hexadecimal.
    Blob(String),
}

/// One row as it was.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SavedRow {
    pub(super) key: Cell,
    /// All of its values, in the order of the columns.
    pub(super) cells: Vec<Cell>,
    /// Its value as the fault left it; `None` where the row was removed.
    pub(super) became: Option<Cell>,
}

/// All rows that a fault struck in one database.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Saved {
    pub(super) table: String,
    pub(super) key: String,
    pub(super) value: String,
    pub(super) columns: Vec<String>,
    /// Statements that make the table and its indexes; empty where the table stayed.
    pub(super) schema: Vec<String>,
    pub(super) rows: Vec<SavedRow>,
}

impl Cell {
    /// The value as the database has it; `None` for a text that is none, which could not be put back as it was.
    pub(super) fn of(value: ValueRef<'_>) -> Option<Self> {
        Some(match value {
            ValueRef::Null => Self::Null,
            ValueRef::Integer(number) => Self::Integer(number),
            ValueRef::Real(number) => Self::Real(number),
            ValueRef::Text(text) => Self::Text(std::str::from_utf8(text).ok()?.to_owned()),
            ValueRef::Blob(bytes) => Self::Blob(hex::encode(bytes)),
        })
    }

    /// Bytes that it takes, about.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Text(text) | Self::Blob(text) => text.len(),
            _ => size_of::<Self>(),
        }
    }
}

impl ToSql for Cell {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Self::Null => ToSqlOutput::Borrowed(ValueRef::Null),
            Self::Integer(number) => ToSqlOutput::Borrowed(ValueRef::Integer(*number)),
            Self::Real(number) => ToSqlOutput::Borrowed(ValueRef::Real(*number)),
            Self::Text(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
            Self::Blob(digits) => ToSqlOutput::Owned(Value::Blob(
                hex::decode(digits)
                    .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?,
            )),
        })
    }
}

impl Saved {
    /// Writes the rows into a file of that name, which is there when it is whole and on the disk.
    pub(super) fn write(&self, path: &Path) -> io::Result<()> {
        let json = serde_json::to_vec(self)?;
        if let Some(directory) = path.parent() {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        }
        let unfinished = unfinished(path);
        let mut file = File::options()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&unfinished)?;
        file.write_all(format!("{}\n", hex::encode(Sha256::digest(&json))).as_bytes())?;
        file.write_all(&json)?;
        file.sync_all()?;
        fs::rename(&unfinished, path)?;
        path.parent().map_or(Ok(()), |directory| File::open(directory)?.sync_all())
    }

    /// Reads them again; `None` when they were never saved, and so nothing was struck.
    pub(super) fn read(path: &Path) -> io::Result<Option<Self>> {
        let bytes = match fs::read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            bytes => bytes?,
        };
        let damaged = || {
            let path = path.display();
            io::Error::new(io::ErrorKind::InvalidData, format!("{path} is not what was saved"))
        };
        let end = bytes.iter().position(|byte| *byte == b'\n').ok_or_else(damaged)?;
        let (sum, json) = (&bytes[..end], &bytes[end + 1..]);
        if hex::encode(Sha256::digest(json)).as_bytes() != sum {
            return Err(damaged());
        }
        Ok(Some(serde_json::from_slice(json)?))
    }
}

/// The name of what is not whole yet.
fn unfinished(path: &Path) -> PathBuf {
    path.with_extension("new")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn saved() -> Saved {
        let cells =
            vec![Cell::Text("a".into()), Cell::Null, Cell::Real(0.1), Cell::Blob("00ff".into())];
        let key = Cell::Integer(-7);
        let row = SavedRow { key, cells, became: Some(Cell::Text("b".into())) };
        let columns = ["k", "v", "r", "b"].map(str::to_owned).to_vec();
        let text = |text: &str| text.to_owned();
        let (table, key, value) = (text("t"), text("k"), text("v"));
        Saved { table, key, value, columns, schema: Vec::new(), rows: vec![row] }
    }

    #[test]
    fn what_was_saved_is_read_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("deep/rows.saved");
        assert_eq!(Saved::read(&path).unwrap(), None);
        saved().write(&path).unwrap();
        assert_eq!(Saved::read(&path).unwrap(), Some(saved()));
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn every_flipped_bit_and_every_missing_byte_is_noticed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("rows.saved");
        saved().write(&path).unwrap();
        let whole = fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            fs::write(&path, &bytes).unwrap();
            assert!(Saved::read(&path).is_err(), "byte {at}");
            fs::write(&path, &whole[..at]).unwrap();
            assert!(Saved::read(&path).is_err(), "cut at {at}");
        }
    }
}
