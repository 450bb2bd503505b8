//! Data and backups that a fault strikes.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use drdrill_core::action::{Action, ActionError};
use drdrill_core::backup::{Archive, Described, RestorePoint, Restored};
use drdrill_core::data::{DataAccess, DataPlace, DataTable, Reading};
use drdrill_core::scenario;
use drdrill_faults::backups::fault::BackupFault;
use drdrill_faults::data::fault::{DataFault, Harm};

/// Rows that are changed.
const ROWS: u32 = 7;
/// The table whose rows are struck.
const TABLE: &str = "entries";

/// A database that nobody serves: a client of it reads the file.
#[derive(Debug)]
struct Database(PathBuf);

impl Database {
    fn value_of(&self, key: &str) -> rusqlite::Result<String> {
        let connection = rusqlite::Connection::open(&self.0)?;
        let sql = format!("SELECT value FROM {TABLE} WHERE id = ?1");
        connection.query_row(&sql, [key], |row| row.get(0))
    }
}

#[async_trait]
impl DataAccess for Database {
    fn table(&self, _: &str) -> Option<DataTable> {
        None
    }

    async fn read(&self, _: &str, key: &str) -> Result<Reading, ActionError> {
        Ok(match self.value_of(key) {
            Ok(value) => Reading::Value(value),
            Err(rusqlite::Error::QueryReturnedNoRows) => Reading::Missing,
            Err(error) => Reading::Broken(error.to_string()),
        })
    }
}

/// A fault of rows, which are saved in a directory.
pub(crate) fn rows(kind: &str, path: &str, saved_in: &str) -> Arc<dyn Action> {
    let text = |text: &str| text.to_owned();
    let table = DataTable {
        site: text("one"),
        place: DataPlace::File(path.into()),
        table: text(TABLE),
        key: text("id"),
        value: text("value"),
        saved_in: saved_in.into(),
    };
    let harm = match kind {
        "data_deletion" => Harm::Drop(1000),
        "data_encryption" => Harm::Encrypt(ROWS),
        _ => Harm::Corrupt(ROWS),
    };
    let access = Arc::new(Database(path.into()));
    Arc::new(DataFault {
        harm,
        tables: vec![table],
        access,
        replicated: false,
        containers: None,
        planned: Mutex::default(),
    })
}

/// One file that is a backup as long as it is made of so many bytes of one kind.
#[derive(Debug)]
struct OneFile(PathBuf);

/// What a backup is made of.
const BYTE: u8 = b'x';
/// How long it is.
const LENGTH: usize = 10_000;

impl Archive for OneFile {
    fn place(&self) -> String {
        self.0.display().to_string()
    }

    fn points(&self) -> Result<Vec<RestorePoint>, String> {
        let described = Ok(Described { taken_at_ms: 0, bytes: 0, position: 0 });
        let (full, files) = (self.0.clone(), vec![self.0.clone()]);
        Ok(vec![RestorePoint { name: "full-1".to_owned(), full, files, described }])
    }

    fn newest_position(&self) -> Result<u64, String> {
        Ok(0)
    }

    fn check(&self, _: &RestorePoint) -> Result<u64, String> {
        let bytes = std::fs::read(&self.0).map_err(|error| error.to_string())?;
        if bytes == [BYTE; LENGTH] { Ok(0) } else { Err("it is damaged".to_owned()) }
    }

    fn restore(&self, _: &RestorePoint, _: &Path) -> Result<Restored, String> {
        Err("nobody restores here".to_owned())
    }

    fn consistent(&self, _: &Path) -> Result<u64, String> {
        Err("nobody restores here".to_owned())
    }
}

/// A fault of a backup, of which half is kept in a directory.
pub(crate) fn backup(path: &str, kept_in: &str) -> Arc<dyn Action> {
    Arc::new(BackupFault {
        on: "one".to_owned(),
        archive: Arc::new(OneFile(path.into())),
        newest: 1,
        harm: scenario::Harm::Truncate,
        kept_in: kept_in.into(),
        planned: Mutex::default(),
    })
}
