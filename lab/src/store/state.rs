//! What a site knows about itself.

use rusqlite::{Connection, OptionalExtension};
use serde::{Deserialize, Serialize};

use super::StoreError;
use super::merge::{self, Peer};

/// What a site is to the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// It takes writes and ships them.
    Primary,
    /// It follows a primary, or waits to be told which.
    Standby,
}

/// What a site knows about itself; all but `stream` survives a restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SiteState {
    pub(crate) role: Role,
    /// The highest fencing token that this site knows.
    pub(crate) epoch: u64,
    pub(crate) fenced: bool,
    /// Where a standby gets its changes from, `host:port`.
    pub(crate) source: Option<String>,
    /// Where a standby sends the writes that clients bring it.
    pub(crate) leader_url: Option<String>,
    /// Standbys, by name, without which this site as a primary acknowledges nothing.
    pub(crate) synchronous: Vec<String>,
    /// The other site, while both take writes.
    pub(crate) peer: Option<Peer>,
    /// The newest version of a change that this site has made or seen, see `merge`.
    pub(crate) clock: u64,
    /// The newest change.
    pub(crate) lsn: u64,
    /// The epoch of the newest change.
    pub(crate) lsn_epoch: u64,
    /// When the newest change was made, by its author's wall clock.
    pub(crate) changed_at_ms: u64,
    /// Changes whenever this site is to follow another stream or none, so that what an old
    /// stream still delivers can be told apart.
    pub(crate) stream: u64,
}

impl SiteState {
    /// Reads the state of a site, or `None` when the database is new.
    pub(crate) fn load(connection: &Connection) -> Result<Option<Self>, StoreError> {
        let Some(role) = meta(connection, "role")? else {
            return Ok(None);
        };
        let (lsn, lsn_epoch, changed_at_ms) = last_change(connection)?;
        Ok(Some(Self {
            role: serde_json::from_str(&role)?,
            epoch: number(connection, "epoch")?,
            fenced: number(connection, "fenced")? != 0,
            source: meta(connection, "source")?,
            leader_url: meta(connection, "leader_url")?,
            synchronous: names(meta(connection, "synchronous")?)?,
            peer: meta(connection, "peer")?.map(|text| serde_json::from_str(&text)).transpose()?,
            clock: merge::newest_clock(connection)?,
            lsn,
            lsn_epoch,
            changed_at_ms,
            stream: 0,
        }))
    }

    /// Writes what does not follow from the change log.
    pub(crate) fn save(&self, connection: &Connection) -> Result<(), StoreError> {
        set(connection, "role", Some(&serde_json::to_string(&self.role)?))?;
        set(connection, "epoch", Some(&self.epoch.to_string()))?;
        set(connection, "fenced", Some(&u8::from(self.fenced).to_string()))?;
        set(connection, "source", self.source.as_deref())?;
        set(connection, "leader_url", self.leader_url.as_deref())?;
        let peer = self.peer.as_ref().map(serde_json::to_string).transpose()?;
        set(connection, "peer", peer.as_deref())?;
        set(connection, "synchronous", Some(&serde_json::to_string(&self.synchronous)?))
    }

    /// Takes over the end of the change log as it is in the database.
    pub(crate) fn reload_log(&mut self, connection: &Connection) -> Result<(), StoreError> {
        (self.lsn, self.lsn_epoch, self.changed_at_ms) = last_change(connection)?;
        self.clock = merge::newest_clock(connection)?;
        Ok(())
    }
}

/// The lsn, epoch and time of the newest change; zeros when there is none.
pub(crate) fn last_change(connection: &Connection) -> Result<(u64, u64, u64), StoreError> {
    let last = connection
        .prepare_cached("SELECT lsn, epoch, at_ms FROM changes ORDER BY lsn DESC LIMIT 1")?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    Ok(last.unwrap_or((0, 0, 0)))
}

fn meta(connection: &Connection, key: &str) -> Result<Option<String>, StoreError> {
    Ok(connection
        .prepare_cached("SELECT value FROM meta WHERE key = ?1")?
        .query_row([key], |row| row.get(0))
        .optional()?)
}

/// A restored database may come from a site that waited for nobody.
fn names(text: Option<String>) -> Result<Vec<String>, StoreError> {
    text.map_or_else(|| Ok(Vec::new()), |text| Ok(serde_json::from_str(&text)?))
}

fn number(connection: &Connection, key: &str) -> Result<u64, StoreError> {
    meta(connection, key)?.map_or(Ok(0), |text| Ok(serde_json::from_str(&text)?))
}

fn set(connection: &Connection, key: &str, value: Option<&str>) -> Result<(), StoreError> {
    match value {
        Some(value) => connection
            .prepare_cached("INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)")?
            .execute([key, value])?,
        None => connection.prepare_cached("DELETE FROM meta WHERE key = ?1")?.execute([key])?,
    };
    Ok(())
}
