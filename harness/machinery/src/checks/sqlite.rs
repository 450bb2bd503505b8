//! A query that a `SQLite` database must answer. The database is opened for reading only and changed by nobody here.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use drdrill_core::inventory::SqliteCheck;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};
use tokio::task::spawn_blocking;

/// Time a writer may hold the database; the whole try has a limit of its own.
const BUSY: Duration = Duration::from_secs(1);
/// Instructions of its machine after which `SQLite` looks whether anybody still waits.
const LOOK_EVERY: i32 = 1000;

/// Ends the query when the one who waits for it is gone.
struct Waiting(Arc<AtomicBool>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Asks once.
pub(super) async fn query(check: &SqliteCheck) -> Result<String, String> {
    let gone = Arc::new(AtomicBool::new(false));
    let _waiting = Waiting(gone.clone());
    let (file, query) = (check.file.clone(), check.query.clone());
    let value = spawn_blocking(move || first_value(&file, &query, gone));
    judge(check, &value.await.map_err(|error| error.to_string())??)
}

fn first_value(file: &str, query: &str, gone: Arc<AtomicBool>) -> Result<String, String> {
    let failed = |error: rusqlite::Error| error.to_string();
    // Anything but a regular file might keep whoever opens it waiting.
    if !fs::metadata(file).is_ok_and(|facts| facts.is_file()) {
        return Err(format!("open {file}: there is no such file"));
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut database = Connection::open_with_flags(file, flags)
        .map_err(|error| format!("open {file}: {error}"))?;
    database.busy_timeout(BUSY).map_err(failed)?;
    let look = move || gone.load(Ordering::Relaxed);
    database.progress_handler(LOOK_EVERY, Some(look)).map_err(failed)?;
    let mut statement = database.prepare(query).map_err(failed)?;
    if !statement.readonly() {
        return Err("the query would change the database".to_owned());
    }
    let mut rows = statement.query([]).map_err(failed)?;
    let row = rows.next().map_err(failed)?.ok_or("the query found no row")?;
    Ok(match row.get_ref(0).map_err(failed)? {
        ValueRef::Null => return Err("the query found NULL".to_owned()),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => number.to_string(),
        ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
        ValueRef::Blob(bytes) => format!("{} bytes", bytes.len()),
    })
}

fn judge(check: &SqliteCheck, value: &str) -> Result<String, String> {
    if let Some(least) = check.at_least {
        let number: f64 = value.parse().map_err(|_| format!("`{value}` is no number"))?;
        #[expect(clippy::cast_precision_loss, reason = "counts below 2^53 are exact")]
        if number < least as f64 {
            return Err(format!("{value}, which is less than {least}"));
        }
    }
    match &check.equals {
        Some(wanted) if *wanted != value => Err(format!("`{value}`, not `{wanted}`")),
        _ => Ok(format!("the query found {value}")),
    }
}
