//! A `SQLite` database, copied page by page as of one instant, while others read and write it.

use std::fs::File;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use drdrill_core::backup_plan::Sqlite;
use drdrill_core::units::Span;
use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

use super::{Job, Packed, Taken, command};
use crate::digest::Hashing;

/// So many pages are copied at once, before others may write again.
const PAGES: std::ffi::c_int = 1024;
/// Pause before trying again while somebody else holds a lock.
const PAUSE: Duration = Duration::from_millis(20);

/// Copies the database, sees that the copy holds together, and packs it.
pub(super) fn take(sqlite: &Sqlite, job: &Job<'_>) -> Result<Taken, String> {
    let wrong = |error: rusqlite::Error| format!("{}: {error}", sqlite.file);
    let failed = |error: io::Error| error.to_string();
    let copy = job.staging.join(format!(".{}.db", job.source.name));
    let from = Connection::open_with_flags(&sqlite.file, OpenFlags::SQLITE_OPEN_READ_ONLY)
        .map_err(wrong)?;
    {
        let mut to = Connection::open(&copy).map_err(wrong)?;
        copy_all(&from, &mut to, sqlite.timeout.0)
            .map_err(|why| format!("{}: {why}", sqlite.file))?;
    }
    holds_together(&copy)?;
    let name = format!("{}.db.zst", job.source.name);
    let mut out = Hashing::new(Packed::create(job.staging, name).map_err(failed)?);
    let mut file = File::open(&copy).map_err(failed)?;
    io::copy(&mut file, &mut out).map_err(failed)?;
    std::fs::remove_file(&copy).map_err(failed)?;
    let (packed, sha256, bytes) = out.finish();
    Ok(command::whole(bytes, sha256, vec![packed.finish().map_err(failed)?]))
}

fn copy_all(from: &Connection, to: &mut Connection, timeout: Duration) -> Result<(), String> {
    let deadline = Instant::now() + timeout;
    let wrong = |error: rusqlite::Error| error.to_string();
    let backup = Backup::new(from, to).map_err(wrong)?;
    loop {
        match backup.step(PAGES).map_err(wrong)? {
            StepResult::Done => return Ok(()),
            StepResult::More => {}
            _ => std::thread::sleep(PAUSE),
        }
        if Instant::now() > deadline {
            return Err(format!("it was not copied within {}", Span(timeout)));
        }
    }
}

/// `PRAGMA integrity_check`; `Err` with what it found. Leaves no other file beside the database.
pub(crate) fn holds_together(database: &Path) -> Result<(), String> {
    let wrong = |error: rusqlite::Error| format!("the copy does not open: {error}");
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    let path = database.to_str().ok_or("the path of the copy is not UTF-8")?;
    let path = path.replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    let database =
        Connection::open_with_flags(format!("file:{path}?immutable=1"), flags).map_err(wrong)?;
    let found: String =
        database.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0)).map_err(wrong)?;
    if found == "ok" { Ok(()) } else { Err(format!("integrity_check: {found}")) }
}
