//! What the primary sends to one standby.

use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncWrite};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::frame::{Message, SnapshotHead, send, send_bytes};
use super::{LinkError, LinkTiming};
use crate::durable;
use crate::node::now_ms;
use crate::store::{
    Change, Readers, ShipGate, SiteState, StoreError, copy_to, last_change, open_reader,
    versioned_between,
};

/// Changes in one message, at most.
const BATCH: usize = 256;
/// Bytes of payload in one message, after the first change.
const BATCH_BYTES: usize = 4 * 1024 * 1024;
/// Bytes of a snapshot in one frame.
const PIECE: usize = 256 * 1024;

pub(super) struct Shipping<'a> {
    /// To whom, by name.
    pub(super) standby: &'a str,
    pub(super) timing: LinkTiming,
    pub(super) epoch: u64,
    pub(super) readers: &'a Arc<Readers>,
    pub(super) gate: &'a ShipGate,
}

impl Shipping<'_> {
    /// Tells the standby that its history is a beginning of this one.
    pub(super) async fn welcome(
        &self,
        link: &mut (impl AsyncWrite + Unpin),
    ) -> Result<(), LinkError> {
        send(link, &Message::Welcome { epoch: self.epoch, snapshot: None }).await
    }

    /// Sends a copy of the whole database and returns the lsn at its end.
    ///
    /// The copy is held back for the configured lag like any change, because it holds the newest; not for a standby that
    /// acknowledgements wait for.
    pub(super) async fn send_snapshot(
        &self,
        link: &mut (impl AsyncWrite + Unpin),
        file: &Path,
        state: &SiteState,
    ) -> Result<u64, LinkError> {
        let lag = if self.is_waited_for(state) { Duration::ZERO } else { self.gate.lag() };
        let mut copying = pin!(self.copy(file, lag));
        let (lsn, head) = loop {
            match timeout(self.timing.heartbeat, &mut copying).await {
                Ok(copied) => break copied?,
                Err(_) => send(link, &Message::Heartbeat { behind_ms: 0 }).await?,
            }
        };
        let welcome = Message::Welcome { epoch: self.epoch, snapshot: Some(head) };
        send(link, &welcome).await?;
        let mut copy = File::open(file).await?;
        // The open file is enough; whatever happens now, nothing stays behind.
        durable::remove(file)?;
        let mut piece = vec![0; PIECE];
        loop {
            match copy.read(&mut piece).await? {
                0 => return Ok(lsn),
                read => send_bytes(link, &piece[..read]).await?,
            }
        }
    }

    async fn copy(&self, file: &Path, lag: Duration) -> Result<(u64, SnapshotHead), LinkError> {
        let file = file.to_owned();
        let copied = self
            .readers
            .read(move |connection| {
                copy_to(connection, &file)?;
                let lsn = last_change(&open_reader(&file)?)?.0;
                let bytes = std::fs::metadata(&file)?.len();
                let sha256 = durable::sha256_file(&file)?;
                Ok((lsn, SnapshotHead { bytes, sha256 }))
            })
            .await?;
        sleep(lag).await;
        Ok(copied)
    }

    /// Sends every change after `shipped` when it is old enough, and heartbeats between.
    pub(super) async fn send_changes(
        &self,
        link: &mut (impl AsyncWrite + Unpin),
        mut shipped: u64,
        mut states: watch::Receiver<SiteState>,
    ) -> Result<(), LinkError> {
        let mut sent_at = Instant::now();
        loop {
            // It may change while this standby follows.
            let waited_for = self.is_waited_for(&states.borrow_and_update());
            let (open_until, next) =
                if waited_for { (self.gate.newest(), None) } else { self.gate.open_until() };
            let due = sent_at.elapsed() >= self.timing.heartbeat;
            if open_until > shipped || due {
                let (changes, behind_ms) = self.next_batch(shipped, open_until).await?;
                let message = match changes.last() {
                    Some(last) => {
                        shipped = last.lsn;
                        Message::Changes { changes, behind_ms }
                    }
                    None => Message::Heartbeat { behind_ms },
                };
                send(link, &message).await?;
                sent_at = Instant::now();
                continue;
            }
            let heartbeat_at = sent_at + self.timing.heartbeat;
            let wake_at = next.map_or(heartbeat_at, |next| next.min(heartbeat_at));
            tokio::select! {
                changed = states.changed() => changed.map_err(|_| StoreError::Gone)?,
                () = tokio::time::sleep_until(wake_at.into()) => {}
            }
            if !waited_for {
                sleep(self.timing.gather).await;
            }
        }
    }

    /// Sends what this site itself has changed after `sent` of its log when it is old enough, and heartbeats between.
    pub(super) async fn send_merges(
        &self,
        link: &mut (impl AsyncWrite + Unpin),
        mut sent: u64,
        mut states: watch::Receiver<SiteState>,
    ) -> Result<(), LinkError> {
        let mut sent_at = Instant::now();
        loop {
            let peer = states.borrow_and_update().peer.clone().ok_or(LinkError::RoleChanged)?;
            let (open_until, next) = self.gate.open_until();
            if open_until > sent || sent_at.elapsed() >= self.timing.heartbeat {
                let (me, range) = (peer.me.clone(), (sent, open_until.max(sent)));
                let batch = move |connection: &rusqlite::Connection| {
                    let (changes, until) = versioned_between(connection, &me, range, BATCH)?;
                    let (left, _) = versioned_between(connection, &me, (until, u64::MAX >> 1), 1)?;
                    let behind_ms = left
                        .first()
                        .map_or(0, |oldest| now_ms().saturating_sub(oldest.change.at_ms));
                    Ok((changes, until, behind_ms))
                };
                let (changes, until, behind_ms) = self.readers.read(batch).await?;
                let merge = Message::Merge { site: peer.me, changes, until, behind_ms };
                send(link, &merge).await?;
                (sent, sent_at) = (until, Instant::now());
                continue;
            }
            let heartbeat_at = sent_at + self.timing.heartbeat;
            let wake_at = next.map_or(heartbeat_at, |next| next.min(heartbeat_at));
            tokio::select! {
                changed = states.changed() => changed.map_err(|_| StoreError::Gone)?,
                () = tokio::time::sleep_until(wake_at.into()) => {}
            }
            sleep(self.timing.gather).await;
        }
    }

    /// Whether acknowledgements wait for this standby.
    fn is_waited_for(&self, state: &SiteState) -> bool {
        state.synchronous.iter().any(|name| name == self.standby)
    }

    /// The next changes to ship, and how far behind the standby is once it has them.
    async fn next_batch(
        &self,
        shipped: u64,
        open_until: u64,
    ) -> Result<(Vec<Change>, u64), LinkError> {
        let batch = self
            .readers
            .read(move |connection| {
                let range = (shipped, open_until);
                let changes = Change::between(connection, range, BATCH, BATCH_BYTES)?;
                let end = changes.last().map_or(shipped, |last| last.lsn);
                let behind_ms = Change::time_after(connection, end)?
                    .map_or(0, |since| now_ms().saturating_sub(since));
                Ok((changes, behind_ms))
            })
            .await?;
        Ok(batch)
    }
}
