//! The standby's side: connect, apply in order, report, and connect again for ever.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use tokio::fs::File;
use tokio::io::{AsyncRead, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;

use super::frame::{Frame, Message, SnapshotHead, receive, send};
use super::{LinkError, LinkTiming, acks, prefix};
use crate::durable;
use crate::node::log;
use crate::store::{Readers, Role, SiteState, Writer};

/// How the link to the source is, for status and health.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct FollowView {
    /// Whether a source has welcomed this standby and is not silent.
    pub(crate) connected: bool,
    /// The time up to which this standby is known to have everything.
    complete_at: Option<Instant>,
}

impl FollowView {
    /// The age of the oldest change that this standby may not have; grows while the link is cut.
    pub(crate) fn lag(&self) -> Option<Duration> {
        self.complete_at.map(|at| at.elapsed())
    }
}

/// Follows whatever source the site's state names.
#[derive(Debug)]
pub(crate) struct Follower {
    pub(crate) site: String,
    /// Where a snapshot is kept until it is whole.
    pub(crate) incoming: PathBuf,
    pub(crate) timing: LinkTiming,
    pub(crate) writer: Writer,
    pub(crate) readers: Arc<Readers>,
    pub(crate) view: Arc<Mutex<FollowView>>,
}

impl Follower {
    /// Follows for ever, through every change of role and source.
    pub(crate) async fn run(self) {
        let mut states = self.writer.watch();
        let mut last_failure = String::new();
        loop {
            let state = states.borrow_and_update().clone();
            let peer = state.peer.as_ref().map(|peer| peer.source.clone());
            let Some(source) =
                state.source.clone().filter(|_| state.role == Role::Standby).or(peer)
            else {
                self.see(|view| *view = FollowView::default());
                if states.changed().await.is_err() {
                    return;
                }
                continue;
            };
            let ended = tokio::select! {
                ended = self.follow_or_meet(&source, &state) => ended,
                () = stream_changes(&mut states, state.stream) => Err(LinkError::RoleChanged),
            };
            self.see(|view| view.connected = false);
            if let Err(LinkError::RoleChanged) = ended {
                self.see(|view| view.complete_at = None);
                continue;
            }
            if let Err(failure) = ended {
                let failure = failure.to_string();
                if failure != last_failure {
                    log("service", format_args!("following {source}: {failure}"));
                    last_failure = failure;
                }
            }
            tokio::time::sleep(self.timing.reconnect).await;
        }
    }

    async fn follow_or_meet(&self, source: &str, state: &SiteState) -> Result<(), LinkError> {
        if state.peer.is_some() {
            self.meet(source, state).await
        } else {
            self.follow(source, state).await
        }
    }

    async fn connect(&self, source: &str) -> Result<TcpStream, LinkError> {
        let give_up = self.timing.give_up;
        let link = timeout(give_up, TcpStream::connect(source)).await;
        let link = link.map_err(|_| LinkError::Silent(give_up))??;
        link.set_nodelay(true)?;
        Ok(link)
    }

    /// One connection to the other site of a pair that both take writes, until it ends.
    async fn meet(&self, source: &str, state: &SiteState) -> Result<(), LinkError> {
        let (mut from_source, mut to_source) = self.connect(source).await?.into_split();
        let known = self.writer.state();
        let cursor = known.peer.map_or(0, |peer| peer.cursor);
        let (site, epoch) = (self.site.clone(), known.epoch);
        send(&mut to_source, &Message::Meet { site, epoch, cursor }).await?;
        let (merged, reported) = watch::channel(Some(cursor));
        tokio::select! {
            ended = self.merge(&mut from_source, state.stream, &merged) => ended,
            ended = acks::report(to_source, reported, self.timing) => ended,
        }
    }

    /// Merges all that the other site sends.
    async fn merge(
        &self,
        link: &mut (impl AsyncRead + Unpin),
        stream: u64,
        merged: &watch::Sender<Option<u64>>,
    ) -> Result<(), LinkError> {
        self.welcome(link).await?;
        self.see(|view| view.connected = true);
        loop {
            let message = receive(link, self.timing.give_up).await?.message()?;
            let heard_at = Instant::now();
            let behind_ms = match message {
                Message::Merge { site, changes, until, behind_ms } => {
                    let merging = self
                        .writer
                        .write(move |session| session.merge(stream, &site, &changes, until));
                    merged.send_replace(Some(merging.await?));
                    behind_ms
                }
                Message::Heartbeat { behind_ms } => behind_ms,
                other => return Err(LinkError::Protocol(format!("{other:?}"))),
            };
            let complete_at = heard_at.checked_sub(Duration::from_millis(behind_ms));
            self.see(|view| view.complete_at = complete_at);
        }
    }

    /// One connection to the source, until it ends.
    async fn follow(&self, source: &str, state: &SiteState) -> Result<(), LinkError> {
        let (mut from_source, mut to_source) = self.connect(source).await?.into_split();
        // Whatever an earlier link still delivers is behind this in the writer's queue.
        let known = self.writer.state();
        let lsn = known.lsn;
        let digest =
            self.readers.read(move |connection| prefix::digest_at(connection, lsn)).await?;
        let (site, epoch) = (self.site.clone(), known.epoch);
        send(&mut to_source, &Message::Hello { site, epoch, lsn, digest }).await?;
        let (applied, reported) = watch::channel(None);
        tokio::select! {
            ended = self.take(&mut from_source, state.stream, lsn, &applied) => ended,
            ended = acks::report(to_source, reported, self.timing) => ended,
        }
    }

    /// Takes all that the source sends.
    async fn take(
        &self,
        link: &mut (impl AsyncRead + Unpin),
        stream: u64,
        mut lsn: u64,
        applied: &watch::Sender<Option<u64>>,
    ) -> Result<(), LinkError> {
        let (epoch, snapshot) = self.welcome(link).await?;
        self.writer.write(move |session| session.learn_epoch(stream, epoch)).await?;
        if let Some(head) = snapshot {
            self.take_snapshot(link, &head).await?;
            lsn = self.writer.adopt(stream, self.incoming.clone()).await?.lsn;
            log("service", format_args!("took a snapshot up to lsn {lsn}"));
        }
        applied.send_replace(Some(lsn));
        self.see(|view| view.connected = true);
        loop {
            let message = receive(link, self.timing.give_up).await?.message()?;
            let heard_at = Instant::now();
            let behind_ms = match message {
                Message::Changes { changes, behind_ms } => {
                    let lsn =
                        self.writer.write(move |session| session.apply(stream, &changes)).await?;
                    applied.send_replace(Some(lsn));
                    behind_ms
                }
                Message::Heartbeat { behind_ms } => behind_ms,
                other => return Err(LinkError::Protocol(format!("{other:?}"))),
            };
            let complete_at = heard_at.checked_sub(Duration::from_millis(behind_ms));
            self.see(|view| view.complete_at = complete_at);
        }
    }

    /// Waits for the source's answer; it sends heartbeats while it makes a snapshot.
    async fn welcome(
        &self,
        link: &mut (impl AsyncRead + Unpin),
    ) -> Result<(u64, Option<SnapshotHead>), LinkError> {
        loop {
            match receive(link, self.timing.give_up).await?.message()? {
                Message::Welcome { epoch, snapshot } => return Ok((epoch, snapshot)),
                Message::Heartbeat { .. } => {}
                Message::Refused { epoch, reason } => {
                    return Err(LinkError::Refused(format!("{reason} (its epoch is {epoch})")));
                }
                other => return Err(LinkError::Protocol(format!("{other:?}"))),
            }
        }
    }

    async fn take_snapshot(
        &self,
        link: &mut (impl AsyncRead + Unpin),
        head: &SnapshotHead,
    ) -> Result<(), LinkError> {
        durable::remove_database(&self.incoming)?;
        let mut file = File::create(&self.incoming).await?;
        let mut digest = Sha256::new();
        let mut left = head.bytes;
        while left > 0 {
            let Frame::Bytes(piece) = receive(link, self.timing.give_up).await? else {
                return Err(LinkError::DamagedSnapshot);
            };
            left = left.checked_sub(piece.len() as u64).ok_or(LinkError::DamagedSnapshot)?;
            digest.update(&piece);
            file.write_all(&piece).await?;
        }
        file.sync_all().await?;
        if hex::encode(digest.finalize()) == head.sha256 {
            Ok(())
        } else {
            Err(LinkError::DamagedSnapshot)
        }
    }

    fn see(&self, change: impl FnOnce(&mut FollowView)) {
        change(&mut self.view.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Returns when the site is to follow something else, or nothing.
async fn stream_changes(states: &mut watch::Receiver<SiteState>, stream: u64) {
    // An error means that the writer is gone: there is nothing left to follow with.
    let _ = states.wait_for(|state| state.stream != stream).await;
}
