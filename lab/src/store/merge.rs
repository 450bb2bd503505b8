//! Two sites that both take writes: what each changes goes to the other, and of two changes that did not know of each other
//! the later one is kept.
//!
//! Both begin with the same history. From then on each change has a version: the site that made it, the value of that
//! site's hybrid clock, and how much of the other site's log it had seen. The clock is at least the wall time, and later
//! than everything the site has made or seen, so that what is done in reaction to a change is always the later one.
//! A change that is not kept is written down with the one that is.

use rusqlite::{Connection, OptionalExtension, params};
use serde::{Deserialize, Serialize};

use super::{Change, Kind, Row, Session, StoreError};
use crate::node::now_ms;

/// Units of the hybrid clock in a millisecond.
const PER_MS: u64 = 1_000;

/// The other site, while both take writes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Peer {
    /// This site's own name.
    pub(crate) me: String,
    /// What both together are called: who decides.
    pub(crate) pair: String,
    /// Where the other site's changes come from, `host:port`.
    pub(crate) source: String,
    /// How far its log is merged here.
    pub(crate) cursor: u64,
}

/// A change of one site, and what tells whether another one is later.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Versioned {
    pub(crate) change: Change,
    pub(crate) clock: u64,
    /// How far the log of the other site was merged when this was made.
    pub(crate) seen: u64,
}

/// What is stored of a subject, as far as it was made since both take writes.
struct Current {
    lsn: u64,
    clock: u64,
    site: String,
    payload: String,
}

impl Session<'_> {
    /// Gives the newest change of this site its version, while both take writes.
    pub(super) fn note_version(&mut self) -> Result<(), StoreError> {
        let Some(peer) = self.state.peer.clone() else { return Ok(()) };
        self.state.clock = (now_ms() * PER_MS).max(self.state.clock + 1);
        self.store_version(self.state.clock, &peer.me, peer.cursor)
    }

    fn store_version(&self, clock: u64, site: &str, seen: u64) -> Result<(), StoreError> {
        self.connection
            .prepare_cached(
                "INSERT INTO versions (lsn, clock, site, seen) VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute(params![self.state.lsn, clock, site, seen])?;
        Ok(())
    }

    /// Merges what the other site has changed, up to `until` of its log.
    pub(crate) fn merge(
        &mut self,
        stream: u64,
        from: &str,
        changes: &[Versioned],
        until: u64,
    ) -> Result<u64, StoreError> {
        let peer = self.state.peer.clone().filter(|_| self.state.stream == stream);
        let mut peer = peer.ok_or(StoreError::NotFollowing)?;
        for incoming in changes.iter().filter(|incoming| incoming.change.lsn > peer.cursor) {
            self.state.clock = self.state.clock.max(incoming.clock);
            self.merge_one(&peer, from, incoming)?;
        }
        peer.cursor = until.max(peer.cursor);
        let cursor = peer.cursor;
        self.state.peer = Some(peer);
        self.state.save(self.connection)?;
        Ok(cursor)
    }

    fn merge_one(
        &mut self,
        peer: &Peer,
        from: &str,
        incoming: &Versioned,
    ) -> Result<(), StoreError> {
        let Versioned { change, clock, seen } = incoming;
        let row = Row::parse(change.kind, &change.payload)?;
        let current = current(self.connection, change.kind, row.subject())?;
        let mut wins = true;
        if let Some(current) = &current {
            wins = (*clock, from) > (current.clock, current.site.as_str());
            // It was made here, and whoever made the other one had not seen it.
            let unseen = current.site == peer.me && current.lsn > *seen;
            if unseen && current.payload != change.payload {
                let mine = (current.clock, current.site.as_str(), current.payload.as_str());
                let theirs = (*clock, from, change.payload.as_str());
                let (kept, dropped) = if wins { (theirs, mine) } else { (mine, theirs) };
                self.connection
                    .prepare_cached(
                        "INSERT INTO conflicts (at_ms, kind, subject, kept_clock, kept_site,
                         dropped_clock, dropped_site, dropped) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                    )?
                    .execute(params![
                        now_ms(),
                        change.kind,
                        row.subject(),
                        kept.0,
                        kept.1,
                        dropped.0,
                        dropped.1,
                        dropped.2
                    ])?;
            }
        }
        if wins {
            self.append_unversioned(&row)?;
            self.store_version(*clock, from, *seen)?;
        }
        Ok(())
    }
}

fn current(
    connection: &Connection,
    kind: Kind,
    subject: &str,
) -> Result<Option<Current>, StoreError> {
    Ok(connection
        .prepare_cached(
            "SELECT lsn, clock, site, payload FROM changes JOIN versions USING (lsn)
             WHERE kind = ?1 AND subject = ?2 ORDER BY lsn DESC LIMIT 1",
        )?
        .query_row((kind, subject), |row| {
            Ok(Current {
                lsn: row.get(0)?,
                clock: row.get(1)?,
                site: row.get(2)?,
                payload: row.get(3)?,
            })
        })
        .optional()?)
}

/// The newest version that this site has made or seen.
pub(super) fn newest_clock(connection: &Connection) -> Result<u64, StoreError> {
    Ok(connection
        .prepare_cached("SELECT coalesce(max(clock), 0) FROM versions")?
        .query_row([], |row| row.get(0))?)
}

/// How often two changes did not know of each other.
pub(crate) fn conflicts(connection: &Connection) -> Result<u64, StoreError> {
    Ok(connection
        .prepare_cached("SELECT count(*) FROM conflicts")?
        .query_row([], |row| row.get(0))?)
}

/// Whether a subject was first written at this site, or before both took writes.
pub(crate) fn made_here(
    connection: &Connection,
    me: &str,
    kind: Kind,
    subject: &str,
) -> Result<bool, StoreError> {
    let first: Option<Option<String>> = connection
        .prepare_cached(
            "SELECT site FROM changes LEFT JOIN versions USING (lsn)
             WHERE kind = ?1 AND subject = ?2 ORDER BY lsn LIMIT 1",
        )?
        .query_row((kind, subject), |row| row.get(0))
        .optional()?;
    Ok(first.flatten().is_none_or(|site| site == me))
}

/// The changes that `me` has made in `(after, until]` of its log, at most `count`; and how far they reach.
pub(crate) fn between(
    connection: &Connection,
    me: &str,
    (after, until): (u64, u64),
    count: usize,
) -> Result<(Vec<Versioned>, u64), StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT lsn, epoch, at_ms, kind, payload, clock, seen FROM changes JOIN versions USING (lsn)
         WHERE lsn > ?1 AND lsn <= ?2 AND site = ?3 ORDER BY lsn LIMIT ?4",
    )?;
    let rows = statement.query_map(params![after, until, me, count], |row| {
        Ok(Versioned { change: Change::from_row(row)?, clock: row.get(5)?, seen: row.get(6)? })
    })?;
    let found: Vec<Versioned> = rows.collect::<Result<_, _>>()?;
    let all = found.len() < count;
    let reach = found.last().filter(|_| !all).map_or(until, |last| last.change.lsn);
    Ok((found, reach.max(after)))
}
