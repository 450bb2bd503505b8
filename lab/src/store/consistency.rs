//! Whether a database holds together: what backups are judged by, and what an operator asks of a live one.

use rusqlite::Connection;
use serde::Serialize;

use super::{Kind, StoreError};
use crate::durable;

/// What was looked at, and what is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Consistency {
    /// Entries that were looked at.
    pub entries: u64,
    /// Entries whose value is not the one with their checksum, or not the one of the change log.
    pub corrupt: u64,
    /// Entries of the change log that are missing.
    pub missing: u64,
    /// What is wrong, a line each; empty when nothing is.
    pub problems: Vec<String>,
}

/// Looks at the whole database as it is at one instant. A table that is missing is a problem, and not an error.
pub(crate) fn consistency(connection: &Connection) -> Result<Consistency, StoreError> {
    // One snapshot for all questions: the others go on writing.
    let snapshot = connection.unchecked_transaction()?;
    let mut found = Consistency { entries: 0, corrupt: 0, missing: 0, problems: Vec::new() };
    let pages: String = snapshot.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    if pages != "ok" {
        found.problems.push(format!("integrity check: {pages}"));
    }
    let looks = [history, users, entries, registers, accounts];
    if let Err(error) = looks.iter().try_for_each(|look| look(&snapshot, &mut found)) {
        found.problems.push(error.to_string());
    }
    Ok(found)
}

/// The change log has no gaps, and somebody may log in.
fn history(snapshot: &Connection, found: &mut Consistency) -> Result<(), StoreError> {
    let (count, first, last): (u64, u64, u64) = snapshot.query_row(
        "SELECT count(*), coalesce(min(lsn), 1), coalesce(max(lsn), 0) FROM changes",
        [],
        |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
    )?;
    if count != (last + 1).saturating_sub(first) {
        found.problems.push(format!("{count} changes from {first} to {last}: some are missing"));
    }
    let users: u64 = snapshot.query_row("SELECT count(*) FROM users", [], |row| row.get(0))?;
    if users == 0 && count > 0 {
        found.problems.push("there is no user".to_owned());
    }
    Ok(())
}

/// Every user has the credentials that the change log says: somebody else's let the wrong one in, or nobody.
fn users(snapshot: &Connection, found: &mut Consistency) -> Result<(), StoreError> {
    let (users, changed): (u64, u64) = snapshot.query_row(
        "SELECT count(*), coalesce(sum(
             users.hash IS NOT changes.payload ->> '$.hash'
             OR users.salt IS NOT changes.payload ->> '$.salt'
             OR users.iterations IS NOT changes.payload ->> '$.iterations'
         ), 0)
         FROM users LEFT JOIN changes ON changes.lsn =
             (SELECT max(lsn) FROM changes WHERE kind = ?1 AND subject = users.name)",
        [Kind::User],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    if changed > 0 {
        let problem = format!("the credentials of {changed} of {users} users are not what was set");
        found.problems.push(problem);
    }
    Ok(())
}

/// Every entry is the one that the change log says, and all of them are there.
fn entries(snapshot: &Connection, found: &mut Consistency) -> Result<(), StoreError> {
    let mut statement = snapshot.prepare(
        "SELECT entries.value, entries.checksum, changes.payload ->> '$.value'
         FROM entries LEFT JOIN changes
         ON changes.lsn = entries.lsn AND changes.kind = ?1 AND changes.subject = entries.id",
    )?;
    let mut rows = statement.query([Kind::Entry])?;
    while let Some(row) = rows.next()? {
        // A fault may have put anything into the columns.
        let value = row.get_ref(0)?.as_bytes().unwrap_or_default();
        let checksum = row.get_ref(1)?.as_bytes().unwrap_or_default();
        let logged = row.get_ref(2)?.as_bytes().ok();
        let sound = durable::sha256(value).as_bytes().eq_ignore_ascii_case(checksum);
        found.entries += 1;
        found.corrupt += u64::from(!sound || logged != Some(value));
    }
    found.missing = snapshot.query_row(
        "SELECT count(DISTINCT subject) FROM changes
         WHERE kind = ?1 AND NOT EXISTS (SELECT 1 FROM entries WHERE id = subject)",
        [Kind::Entry],
        |row| row.get(0),
    )?;
    let Consistency { entries, corrupt, missing, .. } = *found;
    if corrupt > 0 {
        found.problems.push(format!("{corrupt} of {entries} entries are not what was written"));
    }
    if missing > 0 {
        found.problems.push(format!("{missing} entries of the change log are missing"));
    }
    Ok(())
}

/// Every register has the value that was last written to it. A backup that an older lab took has none.
fn registers(snapshot: &Connection, found: &mut Consistency) -> Result<(), StoreError> {
    if !is_in_the_log(snapshot, Kind::Register)? {
        return Ok(());
    }
    let wrong: u64 = snapshot.query_row(
        "WITH last AS (SELECT subject, max(lsn) AS lsn FROM changes WHERE kind = ?1 GROUP BY subject)
         SELECT count(*) FROM last JOIN changes USING (lsn) LEFT JOIN registers ON key = last.subject
         WHERE registers.value IS NOT changes.payload ->> '$.value'",
        [Kind::Register],
        |row| row.get(0),
    )?;
    if wrong > 0 {
        found.problems.push(format!("{wrong} registers have not the value that was last written"));
    }
    Ok(())
}

/// Every account has the balance of its last posting.
fn accounts(snapshot: &Connection, found: &mut Consistency) -> Result<(), StoreError> {
    if !is_in_the_log(snapshot, Kind::Posting)? {
        return Ok(());
    }
    let wrong: u64 = snapshot.query_row(
        "WITH posted AS (
             SELECT key AS name, value AS balance,
                    row_number() OVER (PARTITION BY key ORDER BY changes.lsn DESC) AS age
             FROM changes, json_each(changes.payload, '$.balances') WHERE kind = ?1
         )
         SELECT count(*) FROM posted LEFT JOIN accounts USING (name)
         WHERE age = 1 AND accounts.balance IS NOT posted.balance",
        [Kind::Posting],
        |row| row.get(0),
    )?;
    if wrong > 0 {
        found.problems.push(format!("{wrong} accounts have not the balance that was last posted"));
    }
    Ok(())
}

fn is_in_the_log(snapshot: &Connection, kind: Kind) -> Result<bool, StoreError> {
    Ok(snapshot.query_row(
        "SELECT EXISTS (SELECT 1 FROM changes WHERE kind = ?1)",
        [kind],
        |row| row.get(0),
    )?)
}
