//! The index of the runs, in `SQLite`: a cache, so that a question about a hundred thousand runs does not read as many files.
//!
//! Whoever has it open holds a shared lock on a file beside it, so that one that is damaged, or of another schema, is taken
//! away only when nobody uses it. What it knew is in the records, and is read again by whoever asks next.

use std::collections::BTreeSet;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use drdrill_core::verdict::Verdict;
use rusqlite::types::Value;
use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior, params};

use super::filter::{Ended, Filter};
use super::row::{Names, RunRow};

/// Version of the tables (`user_version`). One with another number is made anew.
pub const SCHEMA_VERSION: i64 = 3;

/// `application_id` of the database: the letters `drdr`.
const APPLICATION: i64 = 0x6472_6472;

/// So long is waited for others who write, or have it open.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two looks whether they are gone.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Why an index is made where there is none.
const NONE: &str = "there was none";

/// Columns for people with `sqlite3`, and for filters; `row` is what drdrill itself reads.
const TABLES: &str = "
CREATE TABLE runs (
    run_id TEXT PRIMARY KEY,
    started_us INTEGER NOT NULL,
    started_at TEXT NOT NULL,
    scenario TEXT NOT NULL,
    environment TEXT NOT NULL,
    kind TEXT NOT NULL,
    verdict TEXT NOT NULL,
    exit_code INTEGER NOT NULL,
    duration_ms REAL NOT NULL,
    emulated INTEGER NOT NULL,
    production INTEGER NOT NULL,
    must_fail INTEGER NOT NULL,
    imported INTEGER NOT NULL,
    row TEXT NOT NULL
) STRICT;
CREATE INDEX runs_by_time ON runs (started_us, run_id);
CREATE INDEX runs_by_scenario ON runs (scenario, started_us, run_id);
CREATE INDEX runs_by_environment ON runs (environment, started_us, run_id);
CREATE INDEX runs_by_verdict ON runs (verdict, started_us, run_id);
CREATE TABLE services (
    run_id TEXT NOT NULL REFERENCES runs ON DELETE CASCADE,
    service TEXT NOT NULL,
    tier INTEGER NOT NULL,
    rto_target_ms REAL,
    rto_at_least_ms REAL,
    rto_at_most_ms REAL,
    rto_verdict TEXT NOT NULL,
    rpo_target_ms REAL,
    rpo_at_least_ms REAL,
    rpo_at_most_ms REAL,
    rpo_verdict TEXT,
    acknowledged INTEGER,
    lost INTEGER,
    rlo_target REAL,
    rlo_achieved REAL,
    rlo_verdict TEXT NOT NULL,
    PRIMARY KEY (run_id, service)
) STRICT, WITHOUT ROWID;
";

/// The index cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// What is in the file is no index, or not any more.
    #[error("{path} is damaged: {why}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// Others did not let go of it in time.
    #[error("{path} is in use by others, also after {} s", PATIENCE.as_secs())]
    Busy {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be used.
    #[error("use {path}: {why}")]
    Unusable {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
}

/// The index of the runs.
#[derive(Debug)]
pub struct Index {
    connection: Connection,
    path: PathBuf,
    /// Ends with this value, after the connection.
    _lock: Option<File>,
}

impl Index {
    /// Opens the index at `path`, in a directory that is there. An empty one is made where there is none, where it is
    /// damaged and where its schema is not this one; the text then says why.
    ///
    /// # Errors
    /// When it cannot be made or opened, or others use what has to be replaced.
    pub fn open(path: &Path) -> Result<(Self, Option<String>), IndexError> {
        let shared = lock(path, false)?;
        if let Ok(connection) = usable(path)? {
            return Ok((Self { connection, path: path.to_owned(), _lock: Some(shared) }, None));
        }
        drop(shared);
        let alone = lock(path, true)?;
        // Somebody else may have made it while this one waited.
        let why = match usable(path)? {
            Ok(connection) => {
                return Ok((Self { connection, path: path.to_owned(), _lock: Some(alone) }, None));
            }
            Err(why) => why,
        };
        Ok((Self::replace(path, alone)?, Some(why)))
    }

    /// Makes an empty index at `path`, in place of any that is there. Nobody else can open it while this value lives.
    ///
    /// # Errors
    /// When others use the old one, or it cannot be made.
    pub fn anew(path: &Path) -> Result<Self, IndexError> {
        Self::replace(path, lock(path, true)?)
    }

    /// Makes an empty one, under the lock that nobody else has.
    fn replace(path: &Path, lock: File) -> Result<Self, IndexError> {
        for ending in ["", "-wal", "-shm", "-journal"] {
            let mut name = path.as_os_str().to_owned();
            name.push(ending);
            match fs::remove_file(PathBuf::from(name)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(IndexError::Unusable {
                        path: path.to_owned(),
                        why: error.to_string(),
                    });
                }
                _ => {}
            }
        }
        let connection = Connection::open(path).map_err(|error| failed(path, &error))?;
        prepare(&connection).map_err(|error| failed(path, &error))?;
        let index = Self { connection, path: path.to_owned(), _lock: Some(lock) };
        index.make()?;
        Ok(index)
    }

    /// An index that is nowhere, for a directory that cannot be written to.
    ///
    /// # Errors
    /// When there is no memory for it.
    pub fn in_memory() -> Result<Self, IndexError> {
        let path = PathBuf::from("the index in memory");
        let connection = Connection::open_in_memory().map_err(|error| failed(&path, &error))?;
        let index = Self { connection, path, _lock: None };
        index.make()?;
        Ok(index)
    }

    fn make(&self) -> Result<(), IndexError> {
        let make = || {
            let all = Transaction::new_unchecked(&self.connection, TransactionBehavior::Immediate)?;
            all.execute_batch(TABLES)?;
            all.pragma_update(None, "application_id", APPLICATION)?;
            all.pragma_update(None, "user_version", SCHEMA_VERSION)?;
            all.commit()
        };
        make().map_err(|error| failed(&self.path, &error))
    }

    /// Enters runs, in place of what is known of them.
    ///
    /// # Errors
    /// When the index cannot be written; then none of them is entered.
    pub fn enter<'a>(&self, rows: impl IntoIterator<Item = &'a RunRow>) -> Result<(), IndexError> {
        let enter = || {
            let all = Transaction::new_unchecked(&self.connection, TransactionBehavior::Immediate)?;
            for row in rows {
                enter_one(&all, row)?;
            }
            all.commit()
        };
        enter().map_err(|error| failed(&self.path, &error))
    }

    /// Forgets runs.
    ///
    /// # Errors
    /// When the index cannot be written.
    pub fn forget<'a>(&self, ids: impl IntoIterator<Item = &'a str>) -> Result<(), IndexError> {
        let forget = || {
            let all = Transaction::new_unchecked(&self.connection, TransactionBehavior::Immediate)?;
            for id in ids {
                all.prepare_cached("DELETE FROM runs WHERE run_id = ?1")?.execute([id])?;
            }
            all.commit()
        };
        forget().map_err(|error| failed(&self.path, &error))
    }

    /// Ids of all runs, and whether each was imported.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn ids(&self) -> Result<BTreeSet<(String, bool)>, IndexError> {
        let read = || {
            let mut statement = self.connection.prepare("SELECT run_id, imported FROM runs")?;
            let ids = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            ids.collect::<rusqlite::Result<_>>()
        };
        read().map_err(|error| failed(&self.path, &error))
    }

    /// Names of all scenarios and of all environments.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn names(&self) -> Result<(Vec<String>, Vec<String>), IndexError> {
        let read = |column: &str| {
            let sql = format!("SELECT DISTINCT {column} FROM runs ORDER BY {column}");
            let mut statement = self.connection.prepare(&sql)?;
            let names = statement.query_map([], |row| row.get(0))?;
            names.collect::<rusqlite::Result<Vec<String>>>()
        };
        let both = || Ok((read("scenario")?, read("environment")?));
        both().map_err(|error: rusqlite::Error| failed(&self.path, &error))
    }

    /// The runs that are asked for, oldest first.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn query(&self, filter: &Filter) -> Result<Vec<RunRow>, IndexError> {
        let Some((condition, values)) = condition(filter) else { return Ok(Vec::new()) };
        let limit = filter.newest.map_or(-1, i64::from);
        let sql = format!(
            "SELECT row FROM runs WHERE {condition} ORDER BY started_us DESC, run_id DESC LIMIT {limit}"
        );
        let failed = |error| failed(&self.path, &error);
        let mut statement = self.connection.prepare(&sql).map_err(failed)?;
        let mut found = statement.query(rusqlite::params_from_iter(values)).map_err(failed)?;
        let (mut rows, mut names) = (Vec::new(), Names::default());
        // Text by text: all of them at once take as much memory as what they say.
        while let Some(row) = found.next().map_err(failed)? {
            let text = row.get_ref(0).and_then(|text| Ok(text.as_str()?)).map_err(failed)?;
            let mut row: RunRow =
                serde_json::from_str(text).map_err(|error| IndexError::Damaged {
                    path: self.path.clone(),
                    why: format!("a row of it: {error}"),
                })?;
            names.share(&mut row);
            rows.push(row);
        }
        rows.reverse();
        Ok(rows)
    }

    /// How `SQLite` finds what is asked for, for whoever wonders whether it uses an index.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn query_plan(&self, filter: &Filter) -> Result<String, IndexError> {
        let Some((condition, values)) = condition(filter) else { return Ok(String::new()) };
        let sql = format!(
            "EXPLAIN QUERY PLAN SELECT row FROM runs WHERE {condition} ORDER BY started_us DESC, run_id DESC"
        );
        let read = || {
            let mut statement = self.connection.prepare(&sql)?;
            let lines =
                statement.query_map(rusqlite::params_from_iter(values), |row| row.get(3))?;
            lines.collect::<rusqlite::Result<Vec<String>>>()
        };
        Ok(read().map_err(|error| failed(&self.path, &error))?.join("\n"))
    }
}

/// The index that is there, or why there is none that can be used.
fn usable(path: &Path) -> Result<Result<Connection, String>, IndexError> {
    if !path.exists() {
        return Ok(Err(NONE.to_owned()));
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let look = || {
        let connection = Connection::open_with_flags(path, flags)?;
        prepare(&connection)?;
        let number =
            |pragma: &str| connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
        let numbers = (number("application_id")?, number("user_version")?);
        Ok((connection, numbers))
    };
    match look() {
        Ok((connection, (APPLICATION, SCHEMA_VERSION))) => Ok(Ok(connection)),
        Ok((_, (_, version))) => {
            Ok(Err(format!("its schema is {version}, and not {SCHEMA_VERSION}")))
        }
        Err(error) => match failed(path, &error) {
            IndexError::Damaged { why, .. } => Ok(Err(why)),
            other => Err(other),
        },
    }
}

fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(PATIENCE)?;
    // Readers and the writer do not wait for each other, and a crash of the machine spoils nothing.
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "normal")?;
    connection.pragma_update(None, "foreign_keys", true)
}

/// The lock beside the index, taken alone or with others.
fn lock(path: &Path, alone: bool) -> Result<File, IndexError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let unusable =
        |error: &io::Error| IndexError::Unusable { path: path.to_owned(), why: error.to_string() };
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(PathBuf::from(name))
        .map_err(|error| unusable(&error))?;
    let give_up = Instant::now() + PATIENCE;
    loop {
        let tried = if alone { file.try_lock() } else { file.try_lock_shared() };
        match tried {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(error)) => return Err(unusable(&error)),
            Err(TryLockError::WouldBlock) if Instant::now() >= give_up => {
                return Err(IndexError::Busy { path: path.to_owned() });
            }
            Err(TryLockError::WouldBlock) => thread::sleep(LOOK_AGAIN),
        }
    }
}

fn enter_one(all: &Transaction<'_>, row: &RunRow) -> rusqlite::Result<()> {
    let text = serde_json::to_string(row)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
    let kind = serde_json::to_value(row.kind).unwrap_or_default();
    // The services of an earlier entry go with it.
    all.prepare_cached("DELETE FROM runs WHERE run_id = ?1")?.execute([&row.run_id])?;
    all.prepare_cached(
        "INSERT INTO runs VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
    )?
    .execute(params![
        row.run_id,
        row.started.timestamp_micros(),
        row.started.to_rfc3339_opts(chrono::SecondsFormat::Millis, true),
        row.scenario.name,
        row.environment.name,
        kind.as_str().unwrap_or_default(),
        row.verdict.word(),
        row.exit_code,
        row.duration_ms,
        row.environment.emulated,
        row.environment.production,
        row.scenario.must_fail,
        row.imported,
        text,
    ])?;
    let mut insert = all.prepare_cached(
        "INSERT OR REPLACE INTO services VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)",
    )?;
    // A count beyond SQLite's integers is no count.
    let whole = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    for service in &row.services {
        let rpo = service.rpo.as_ref();
        insert.execute(params![
            row.run_id,
            service.name,
            service.tier,
            service.rto.target_ms,
            service.rto.at_least_ms,
            service.rto.at_most_ms,
            service.rto.verdict.word(),
            rpo.and_then(|rpo| rpo.target_ms),
            rpo.and_then(|rpo| rpo.at_least_ms),
            rpo.and_then(|rpo| rpo.at_most_ms),
            rpo.map(|rpo| rpo.verdict.word()),
            rpo.map(|rpo| whole(rpo.acknowledged)),
            rpo.map(|rpo| whole(rpo.lost)),
            service.rlo.target,
            service.rlo.achieved,
            service.rlo.verdict.word(),
        ])?;
    }
    Ok(())
}

/// The filter in SQL; `None` when it asks only for runs that no record speaks of.
fn condition(filter: &Filter) -> Option<(String, Vec<Value>)> {
    let mut parts = vec!["TRUE".to_owned()];
    let mut values = Vec::new();
    let mut among = |column: &str, wanted: Vec<Value>| {
        if !wanted.is_empty() {
            let marks = vec!["?"; wanted.len()].join(", ");
            parts.push(format!("{column} IN ({marks})"));
            values.extend(wanted);
        }
    };
    let texts = |texts: &[String]| texts.iter().cloned().map(Value::Text).collect();
    among("scenario", texts(&filter.scenarios));
    among("environment", texts(&filter.environments));
    if !filter.ended.is_empty() {
        let verdicts = filter.ended.iter().filter_map(|ended| match ended {
            Ended::With(verdict) => Some(Verdict::word(*verdict)),
            Ended::CutOff | Ended::Running => None,
        });
        let verdicts: Vec<Value> = verdicts.map(|word| Value::Text(word.to_owned())).collect();
        if verdicts.is_empty() {
            return None;
        }
        among("verdict", verdicts);
    }
    for (sign, time) in [(">=", filter.since), ("<", filter.until)] {
        if let Some(time) = time {
            parts.push(format!("started_us {sign} ?"));
            values.push(Value::Integer(time.timestamp_micros()));
        }
    }
    Some((parts.join(" AND "), values))
}

/// What an error of `SQLite` means for a cache.
fn failed(path: &Path, error: &rusqlite::Error) -> IndexError {
    let path = path.to_owned();
    let why = error.to_string();
    let code = match error {
        rusqlite::Error::SqliteFailure(code, _) => Some(code.code),
        rusqlite::Error::SqlInputError { error, .. } => Some(error.code),
        // A column of another type than ours.
        rusqlite::Error::InvalidColumnType(..)
        | rusqlite::Error::FromSqlConversionFailure(..)
        | rusqlite::Error::IntegralValueOutOfRange(..) => Some(ErrorCode::DatabaseCorrupt),
        _ => None,
    };
    match code {
        // Unknown is also a table or a column that is not there.
        Some(
            ErrorCode::DatabaseCorrupt
            | ErrorCode::NotADatabase
            | ErrorCode::Unknown
            | ErrorCode::SchemaChanged
            | ErrorCode::TypeMismatch
            | ErrorCode::ConstraintViolation,
        ) => IndexError::Damaged { path, why },
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => IndexError::Busy { path },
        _ => IndexError::Unusable { path, why },
    }
}

#[cfg(test)]
mod tests;
