//! Rows that are struck, and put back only where they still are as the fault left them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use drdrill_core::action::{Action, ActionError, Presence, Reverter, Tag, Undo};
use drdrill_core::data::{DataAccess, DataPlace, DataTable, Reading};
use drdrill_faults::data::fault::{DataFault, Harm};
use drdrill_faults::data::reverter::DataReverter;
use rusqlite::{Connection, OptionalExtension};
use serde_json::Value;
use tempfile::TempDir;

/// Rows of a database.
const ROWS: u32 = 100;

/// Clients that read the file itself.
#[derive(Debug)]
struct Clients(PathBuf);

#[async_trait]
impl DataAccess for Clients {
    fn table(&self, _: &str) -> Option<DataTable> {
        None
    }

    async fn read(&self, _: &str, key: &str) -> Result<Reading, ActionError> {
        let connection = Connection::open(&self.0).unwrap();
        let sql = "SELECT value FROM entries WHERE id = ?1";
        match connection.query_row(sql, [key], |row| row.get(0)).optional() {
            Ok(value) => Ok(value.map_or(Reading::Missing, Reading::Value)),
            Err(error) => Ok(Reading::Broken(error.to_string())),
        }
    }
}

struct Store {
    dir: TempDir,
}

impl Store {
    fn new() -> Self {
        let store = Self { dir: tempfile::tempdir().unwrap() };
        make(&store.path());
        store
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("site.db")
    }

    fn connection(&self) -> Connection {
        Connection::open(self.path()).unwrap()
    }

    fn value(&self, number: u32) -> Option<String> {
        let sql = "SELECT value FROM entries WHERE id = ?1";
        let key = format!("row-{number}");
        self.connection().query_row(sql, [key], |row| row.get(0)).optional().unwrap()
    }

    /// All rows, in the order of their keys.
    fn rows(&self) -> Vec<(String, String, Option<Vec<u8>>)> {
        let connection = self.connection();
        let mut statement = connection.prepare("SELECT * FROM entries ORDER BY id").unwrap();
        let rows =
            statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
        rows.map(Result::unwrap).collect()
    }

    fn fault(&self, harm: Harm) -> DataFault {
        let table = DataTable {
            site: "one".to_owned(),
            place: DataPlace::File(self.path()),
            table: "entries".to_owned(),
            key: "id".to_owned(),
            value: "value".to_owned(),
            saved_in: self.dir.path().join("saved"),
        };
        let access = Arc::new(Clients(self.path()));
        DataFault {
            harm,
            tables: vec![table],
            access,
            replicated: false,
            containers: None,
            planned: Mutex::default(),
        }
    }
}

fn make(path: &Path) {
    let connection = Connection::open(path).unwrap();
    connection
        .execute_batch(
            "PRAGMA journal_mode = WAL;
             CREATE TABLE entries (id TEXT PRIMARY KEY, value TEXT NOT NULL, more BLOB);
             CREATE INDEX by_value ON entries (value);",
        )
        .unwrap();
    for number in 0..ROWS {
        let row = (format!("row-{number}"), format!("value {number}"), [1_u8, 2]);
        connection.execute("INSERT INTO entries VALUES (?1, ?2, ?3)", row).unwrap();
    }
}

/// Strikes, and returns how it is taken back.
async fn strike(fault: &DataFault) -> (String, Value) {
    let tag = Tag::new("20261121-a1", 1);
    let Undo::Revert { kind, node, params } = fault.plan(&tag).await.unwrap() else {
        panic!("it can be taken back");
    };
    assert_eq!(kind, DataReverter::default().kind());
    assert_eq!(
        DataReverter::default().residue(&node, &params).await.unwrap(),
        Vec::<String>::new()
    );
    fault.apply(&tag).await.unwrap();
    let seen = fault.observe(&tag).await.unwrap();
    assert!(matches!(seen, Presence::InEffect { .. }), "{seen:?}");
    assert_eq!(DataReverter::default().residue(&node, &params).await.unwrap().len(), 1);
    (node, params)
}

async fn take_back((node, params): &(String, Value)) {
    DataReverter::default().revert(node, params).await.unwrap();
    assert_eq!(DataReverter::default().residue(node, params).await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn every_row_is_as_before_whatever_was_done_to_it() {
    for (harm, missing) in [(Harm::Corrupt(7), 0), (Harm::Encrypt(7), 0), (Harm::Delete(7), 7)] {
        let store = Store::new();
        let before = store.rows();
        let undo = strike(&store.fault(harm)).await;
        let struck = store.rows();
        assert_eq!(struck.len(), before.len() - missing);
        let as_before = struck.iter().filter(|row| before.contains(row)).count();
        assert_eq!(as_before, before.len() - 7, "only so many rows are struck");
        assert_ne!(store.value(0).as_deref(), Some("value 0"), "the oldest is one of them");
        take_back(&undo).await;
        assert_eq!(store.rows(), before);
        take_back(&undo).await;
        assert_eq!(store.rows(), before);
    }
}

#[tokio::test]
async fn a_dropped_table_is_made_again_with_its_index() {
    let store = Store::new();
    let before = store.rows();
    let undo = strike(&store.fault(Harm::Drop(ROWS))).await;
    take_back(&undo).await;
    assert_eq!(store.rows(), before);
    let sql = "SELECT count(*) FROM sqlite_master WHERE name = 'by_value'";
    let indexes: u32 = store.connection().query_row(sql, [], |row| row.get(0)).unwrap();
    assert_eq!(indexes, 1);
}

#[tokio::test]
async fn what_was_written_since_is_not_overwritten() {
    let store = Store::new();
    let undo = strike(&store.fault(Harm::Corrupt(ROWS))).await;
    let connection = store.connection();
    connection.execute("UPDATE entries SET value = 'newer' WHERE id = 'row-3'", []).unwrap();
    connection.execute("DELETE FROM entries WHERE id = 'row-4'", []).unwrap();
    take_back(&undo).await;
    assert_eq!(store.value(3).as_deref(), Some("newer"));
    assert_eq!(store.value(4), None);
    assert_eq!(store.value(5).as_deref(), Some("value 5"));

    let store = Store::new();
    let undo = strike(&store.fault(Harm::Delete(ROWS))).await;
    let sql = "INSERT INTO entries VALUES ('row-3', 'newer', NULL)";
    store.connection().execute(sql, []).unwrap();
    take_back(&undo).await;
    assert_eq!(store.value(3).as_deref(), Some("newer"));
    assert_eq!(store.rows().len(), usize::try_from(ROWS).unwrap());

    let store = Store::new();
    let undo = strike(&store.fault(Harm::Drop(ROWS))).await;
    store
        .connection()
        .execute_batch(
            "CREATE TABLE entries (id TEXT PRIMARY KEY, value TEXT NOT NULL, more BLOB);
             INSERT INTO entries VALUES ('row-3', 'newer', NULL);",
        )
        .unwrap();
    take_back(&undo).await;
    assert_eq!(store.value(3).as_deref(), Some("newer"));
    assert_eq!(store.value(4).as_deref(), Some("value 4"));
}

#[tokio::test]
async fn a_database_that_was_restored_into_the_place_is_another_one() {
    let store = Store::new();
    let undo = strike(&store.fault(Harm::Delete(7))).await;
    let restored = store.dir.path().join("restored.db");
    make(&restored);
    Connection::open(&restored).unwrap().execute("DELETE FROM entries", []).unwrap();
    std::fs::rename(&restored, store.path()).unwrap();
    take_back(&undo).await;
    assert_eq!(store.rows(), Vec::new(), "rows came back that the restored data does not have");
    std::fs::remove_file(store.path()).unwrap();
    take_back(&undo).await;
}

#[tokio::test]
async fn a_table_with_more_rows_is_not_dropped() {
    let store = Store::new();
    let fault = store.fault(Harm::Drop(ROWS - 1));
    let error = fault.plan(&Tag::new("20261121-a1", 1)).await.unwrap_err().to_string();
    assert!(error.contains("max_rows is 99"), "{error}");
    assert_eq!(store.rows().len(), usize::try_from(ROWS).unwrap());
}

#[tokio::test]
async fn saved_rows_that_were_tampered_with_are_not_put_back() {
    let store = Store::new();
    let (node, params) = strike(&store.fault(Harm::Corrupt(7))).await;
    let saved = std::fs::read_dir(store.dir.path().join("saved")).unwrap();
    let saved = saved.map(|entry| entry.unwrap().path()).next().unwrap();
    let text = std::fs::read_to_string(&saved).unwrap();
    std::fs::write(&saved, text.replace("value 0", "value 9")).unwrap();
    let error = DataReverter::default().revert(&node, &params).await.unwrap_err().to_string();
    assert!(error.contains("is not what was saved"), "{error}");
    DataReverter::default().residue(&node, &params).await.unwrap_err();
}
