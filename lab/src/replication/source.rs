//! The primary's side: decides how a standby may follow, and listens to its reports.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::frame::{Message, receive, send};
use super::shipping::Shipping;
use super::{LinkError, LinkTiming, prefix};
use crate::node::log;
use crate::store::{Readers, Role, ShipGate, Writer};

/// The standbys that have followed this site since it started, by their names.
pub(crate) type FollowersView = BTreeMap<String, FollowerView>;

/// One standby that follows this site, or did.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct FollowerView {
    /// Whether it is there now.
    pub(crate) connected: bool,
    /// What it has last reported as durable there.
    pub(crate) applied_lsn: u64,
    /// The epoch in which this site served it.
    pub(crate) epoch: u64,
    #[serde(skip)]
    connection: u64,
}

/// Ships this site's changes to whoever asks, while it is primary.
#[derive(Debug)]
pub(crate) struct Source {
    /// Where snapshots are made before they are sent.
    pub(crate) directory: PathBuf,
    pub(crate) timing: LinkTiming,
    pub(crate) writer: Writer,
    pub(crate) readers: Arc<Readers>,
    pub(crate) gate: Arc<ShipGate>,
    pub(crate) followers: watch::Sender<FollowersView>,
    pub(crate) connections: AtomicU64,
}

impl Source {
    /// Accepts standbys for ever.
    pub(crate) async fn run(self: Arc<Self>, listener: TcpListener) {
        loop {
            match listener.accept().await {
                Ok((link, _)) => {
                    let source = Arc::clone(&self);
                    tokio::spawn(async move { source.serve(link).await });
                }
                Err(error) => {
                    log("service", format_args!("accept a standby: {error}"));
                    tokio::time::sleep(self.timing.reconnect).await;
                }
            }
        }
    }

    async fn serve(&self, link: TcpStream) {
        let connection = self.connections.fetch_add(1, Ordering::Relaxed);
        let ended = self.serve_standby(link, connection).await;
        self.see(|followers| {
            for view in followers.values_mut().filter(|view| view.connection == connection) {
                view.connected = false;
            }
        });
        match ended {
            // It asks again at once and for ever; its own log says why it gets nothing.
            Ok(()) | Err(LinkError::RefusedStandby(_)) => {}
            Err(error) => log("service", format_args!("a standby's link ended: {error}")),
        }
    }

    async fn serve_standby(&self, link: TcpStream, connection: u64) -> Result<(), LinkError> {
        link.set_nodelay(true)?;
        let (mut from_standby, mut to_standby) = link.into_split();
        let hello = receive(&mut from_standby, self.timing.give_up).await?.message()?;
        let (site, epoch, lsn, digest) = match hello {
            Message::Hello { site, epoch, lsn, digest } => (site, epoch, lsn, Some(digest)),
            Message::Meet { site, epoch, cursor } => (site, epoch, cursor, None),
            other => return Err(LinkError::Protocol(format!("{other:?}"))),
        };
        if digest.is_none() && !self.meets(epoch) {
            let refusal = LinkError::RefusedStandby("no site to meet".to_owned());
            let (epoch, reason) = (self.writer.state().epoch, refusal.to_string());
            send(&mut to_standby, &Message::Refused { epoch, reason }).await?;
            return Err(refusal);
        }
        self.admit(&mut to_standby, epoch).await?;
        log("service", format_args!("{site} follows from lsn {lsn}"));
        let served_epoch = self.writer.state().epoch;
        let mut states = self.writer.watch();
        tokio::select! {
            ended = self.ship(&mut to_standby, (connection, &site), lsn, digest) => ended,
            ended = self.hear(&mut from_standby, connection, &site, served_epoch) => ended,
            _ = states.wait_for(|state| {
                state.role != Role::Primary || state.epoch != served_epoch
            }) => Err(LinkError::RoleChanged),
        }
    }

    /// Whether another site of that epoch takes writes beside this one.
    fn meets(&self, epoch: u64) -> bool {
        let state = self.writer.state();
        state.peer.is_some() && state.epoch == epoch
    }

    /// Serves only as the newest primary; learning of a newer one, this site fences itself.
    async fn admit(
        &self,
        link: &mut (impl AsyncWrite + Unpin),
        offered: u64,
    ) -> Result<(), LinkError> {
        let state = self.writer.state();
        let reason = if state.role != Role::Primary {
            "not primary".to_owned()
        } else if offered > state.epoch {
            if !state.fenced {
                log("service", format_args!("fenced: a standby knows epoch {offered}"));
            }
            self.writer
                .write(move |session| {
                    session.state.fenced |= session.state.epoch < offered;
                    session.state.save(session.connection)
                })
                .await?;
            format!("the standby knows epoch {offered}, so this primary is deposed")
        } else {
            return Ok(());
        };
        let epoch = state.epoch;
        let refusal = Message::Refused { epoch, reason: reason.clone() };
        send(link, &refusal).await?;
        Err(LinkError::RefusedStandby(reason))
    }

    async fn ship(
        &self,
        link: &mut (impl AsyncWrite + Unpin),
        (connection, standby): (u64, &str),
        lsn: u64,
        digest: Option<String>,
    ) -> Result<(), LinkError> {
        let Some(digest) = digest else {
            let shipping = self.shipping(standby);
            shipping.welcome(link).await?;
            return shipping.send_merges(link, lsn, self.writer.watch()).await;
        };
        let is_prefix =
            self.readers.read(move |database| prefix::is_prefix(database, lsn, &digest)).await?;
        let shipping = self.shipping(standby);
        let from = if is_prefix {
            shipping.welcome(link).await?;
            lsn
        } else {
            let file = self.directory.join(format!("outgoing-{connection}.db"));
            shipping.send_snapshot(link, &file, &self.writer.state()).await?
        };
        shipping.send_changes(link, from, self.writer.watch()).await
    }

    fn shipping<'a>(&'a self, standby: &'a str) -> Shipping<'a> {
        Shipping {
            standby,
            timing: self.timing,
            epoch: self.writer.state().epoch,
            readers: &self.readers,
            gate: &self.gate,
        }
    }

    async fn hear(
        &self,
        link: &mut (impl AsyncRead + Unpin),
        connection: u64,
        site: &str,
        epoch: u64,
    ) -> Result<(), LinkError> {
        loop {
            let message = receive(link, self.timing.give_up).await?.message()?;
            let Message::Applied { lsn } = message else {
                return Err(LinkError::Protocol(format!("{message:?}")));
            };
            let view = FollowerView { connected: true, applied_lsn: lsn, epoch, connection };
            self.see(|followers| {
                followers.insert(site.to_owned(), view);
            });
        }
    }

    fn see(&self, change: impl FnOnce(&mut FollowersView)) {
        self.followers.send_modify(change);
    }
}
