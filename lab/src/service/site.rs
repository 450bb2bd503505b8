//! What all requests of one service share.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::watch;
use tokio::time::timeout;

use super::auth;
use super::config::ServiceConfig;
use super::failure::Failure;
use super::login::Desk;
use super::planted::{Planted, Remembered};
use crate::client::Client;
use crate::node::LabError;
use crate::replication::{FollowView, Follower, FollowersView, Source};
use crate::store::{
    Readers, Role, Session, ShipGate, SiteState, StoreError, User, Writer, WriterConfig,
    database_path,
};

/// What all requests of one service share.
#[derive(Debug)]
pub(super) struct Site {
    pub(super) config: ServiceConfig,
    pub(super) writer: Writer,
    pub(super) readers: Arc<Readers>,
    pub(super) leader: Client,
    /// Checks passwords where no other process does.
    pub(super) desk: Desk,
    /// Reaches the one that does.
    pub(super) auth: Client,
    /// This site as a standby.
    pub(super) following: Arc<Mutex<FollowView>>,
    /// This site as a primary.
    pub(super) followers: watch::Sender<FollowersView>,
    /// The configured user, for a history that has none.
    pub(super) user: User,
    /// Values that a planted defect answers with.
    pub(super) remembered: Remembered,
    gate: Arc<ShipGate>,
}

impl Site {
    /// Opens the database and starts its writer.
    pub(super) async fn open(config: ServiceConfig) -> Result<Arc<Self>, LabError> {
        let directory = config.data_dir.display();
        std::fs::create_dir_all(&config.data_dir)
            .map_err(LabError::io(format!("make the data directory {directory}")))?;
        let database = database_path(&config.data_dir);
        let lag = Duration::from_millis(config.timing.replication_lag_ms);
        let gate = Arc::new(ShipGate::new(lag));
        let writer_config = WriterConfig {
            database: database.clone(),
            first_state: first_state(&config),
            queue: config.timing.writer_queue.max(1),
            group: config.timing.writer_group.max(1),
        };
        let readers = Readers::new(database);
        let timing = config.timing;
        let desk =
            Desk::new(Arc::clone(&readers), config.token_secret.clone(), timing.token_lifetime_ms);
        let site = Self {
            writer: Writer::start(writer_config, Arc::clone(&gate))?,
            readers,
            leader: Client::new(Duration::from_millis(timing.forward_timeout_ms)),
            desk,
            auth: Client::new(Duration::from_millis(timing.health_timeout_ms)),
            following: Arc::default(),
            followers: watch::Sender::default(),
            user: auth::hash_user(&config.user, config.timing.password_iterations),
            remembered: Remembered::default(),
            config,
            gate,
        };
        site.prepare().await?;
        Ok(Arc::new(site))
    }

    /// What a start does to the database.
    async fn prepare(&self) -> Result<(), LabError> {
        let user = self.user.clone();
        let fence = self.config.fenced_at_start;
        self.writer
            .write(move |session| {
                if session.state.role == Role::Primary {
                    auth::seed(session, &user)?;
                    session.state.fenced |= fence;
                }
                session.state.save(session.connection)
            })
            .await?;
        if self.config.planted == Some(Planted::OldValues) {
            self.remembered.fill(&self.readers).await?;
        }
        Ok(())
    }

    /// Runs a write; returns when it may be acknowledged: it is durable here, and on each standby that must have it.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        operation: impl FnOnce(&mut Session<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Failure> {
        let written = self.writer.write(|session| {
            let outcome = operation(session)?;
            Ok((outcome, session.state.clone()))
        });
        let (outcome, written) = written.await?;
        // One that is fenced acknowledges nothing to anybody; what it still writes is its own bookkeeping.
        let decides = written.role == Role::Primary && !written.fenced;
        if decides && !written.synchronous.is_empty() {
            self.is_everywhere(&written).await?;
        }
        Ok(outcome)
    }

    /// Waits until all that a primary has written up to then is on each standby that must have it.
    ///
    /// A fence that comes meanwhile does not matter: what the standbys have is kept, whoever takes over.
    async fn is_everywhere(&self, written: &SiteState) -> Result<(), Failure> {
        let limit = Duration::from_millis(self.config.timing.synchronous_timeout_ms);
        let mut followers = self.followers.subscribe();
        let mut states = self.writer.watch();
        let waiting = async {
            loop {
                let state = states.borrow_and_update().clone();
                if (state.role, state.epoch) != (Role::Primary, written.epoch) {
                    // Somebody else decides by now what is kept.
                    return Err(Failure::NotFollowed(state.synchronous));
                }
                if lacking(&state, &followers.borrow_and_update(), written.lsn).is_empty() {
                    return Ok(());
                }
                tokio::select! {
                    changed = followers.changed() => changed.map_err(|_| StoreError::Gone)?,
                    changed = states.changed() => changed.map_err(|_| StoreError::Gone)?,
                }
            }
        };
        timeout(limit, waiting).await.unwrap_or_else(|_| {
            let state = self.writer.state();
            Err(Failure::NotFollowed(lacking(&state, &self.followers.borrow(), written.lsn)))
        })
    }

    /// Reads what this site, which has to decide, can never take back; and the state in which it does.
    ///
    /// Who reads says up to which change the answer depends on the history. That this site decides is looked at after the
    /// reading: at that time nobody else did, so that what was read was the newest. And what a synchronous standby does
    /// not have yet might be lost with this site, although somebody has seen it.
    pub(super) async fn read_decided<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> Result<(T, u64), StoreError> + Send + 'static,
    ) -> Result<(T, SiteState), Failure> {
        let (found, lsn) = self.readers.read(read).await?;
        let state = self.writer.state();
        match (state.fenced, state.role) {
            (true, _) => return Err(StoreError::Fenced.into()),
            (false, Role::Standby) => return Err(StoreError::NotPrimary.into()),
            (false, Role::Primary) => {}
        }
        if !state.synchronous.is_empty() {
            self.is_everywhere(&SiteState { lsn, ..state.clone() }).await?;
        }
        Ok((found, state))
    }

    /// The side of this site that standbys connect to.
    pub(super) fn source(&self) -> Source {
        Source {
            directory: self.config.data_dir.clone(),
            timing: self.config.timing.link(),
            writer: self.writer.clone(),
            readers: Arc::clone(&self.readers),
            gate: Arc::clone(&self.gate),
            followers: self.followers.clone(),
            connections: AtomicU64::new(0),
        }
    }

    /// The side of this site that follows a primary.
    pub(super) fn follower(&self) -> Follower {
        Follower {
            site: self.config.site.clone(),
            incoming: self.config.data_dir.join("incoming.db"),
            timing: self.config.timing.link(),
            writer: self.writer.clone(),
            readers: Arc::clone(&self.readers),
            view: Arc::clone(&self.following),
        }
    }
}

/// Standbys that must have a change of a primary and are not known to.
fn lacking(state: &SiteState, followers: &FollowersView, lsn: u64) -> Vec<String> {
    let has = |name: &String| {
        let view = followers.get(name);
        view.is_some_and(|view| view.epoch == state.epoch && view.applied_lsn >= lsn)
    };
    state.synchronous.iter().filter(|name| !has(name)).cloned().collect()
}

fn first_state(config: &ServiceConfig) -> SiteState {
    let follow = config.follow.clone().filter(|_| config.role == Role::Standby);
    let (source, leader_url) = follow.map(|target| (target.source, target.leader_url)).unzip();
    SiteState {
        role: config.role,
        epoch: config.epoch,
        fenced: false,
        source,
        leader_url,
        synchronous: config.synchronous.clone(),
        peer: None,
        clock: 0,
        lsn: 0,
        lsn_epoch: 0,
        changed_at_ms: 0,
        stream: 0,
    }
}
