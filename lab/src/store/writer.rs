//! The one thread that writes: group commit, and answers only after COMMIT has returned.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::{mpsc, oneshot, watch};

use super::{Session, ShipGate, SiteState, StoreError, open_writer, snapshot};
use crate::node::log;

/// What a writer needs to know.
#[derive(Debug)]
pub(crate) struct WriterConfig {
    /// The database file.
    pub(crate) database: PathBuf,
    /// The state of a site whose database is new.
    pub(crate) first_state: SiteState,
    /// Operations that may wait; more wait in their requests.
    pub(crate) queue: usize,
    /// Operations in one transaction at most.
    pub(crate) group: usize,
}

/// The way to the writing thread.
#[derive(Clone, Debug)]
pub(crate) struct Writer {
    queue: mpsc::Sender<Command>,
    state: watch::Receiver<SiteState>,
}

/// Is called with the outcome of the COMMIT, and answers the request.
type Answer = Box<dyn FnOnce(Result<(), String>) + Send>;
type Operation = Box<dyn FnOnce(&mut Session<'_>) -> Answer + Send>;

enum Command {
    Operate(Operation),
    Adopt { stream: u64, snapshot: PathBuf, reply: oneshot::Sender<Result<SiteState, StoreError>> },
}

impl Writer {
    /// Opens the database and starts the thread.
    pub(crate) fn start(config: WriterConfig, gate: Arc<ShipGate>) -> Result<Self, StoreError> {
        let connection = open_writer(&config.database)?;
        let state = if let Some(state) = SiteState::load(&connection)? {
            state
        } else {
            config.first_state.save(&connection)?;
            config.first_state
        };
        gate.replaced(state.lsn);
        let (queue, commands) = mpsc::channel(config.queue);
        let (publish, watched) = watch::channel(state.clone());
        let directory = config.database.parent().unwrap_or(Path::new(".")).to_owned();
        let group = config.group;
        let thread = WriterThread { connection, state, publish, gate, directory, group };
        thread::Builder::new().name("writer".to_owned()).spawn(move || thread.run(commands))?;
        Ok(Self { queue, state: watched })
    }

    /// The state as of the newest COMMIT.
    pub(crate) fn state(&self) -> SiteState {
        self.state.borrow().clone()
    }

    /// Follows the state.
    pub(crate) fn watch(&self) -> watch::Receiver<SiteState> {
        self.state.clone()
    }

    /// Runs an operation in the next group; returns when the COMMIT has returned.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        operation: impl FnOnce(&mut Session<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, answered) = oneshot::channel();
        let operation: Operation = Box::new(move |session| {
            let outcome = session.isolated(operation);
            Box::new(move |committed| {
                let answer = match committed {
                    Ok(()) => outcome,
                    Err(error) => Err(StoreError::Commit(error)),
                };
                let _ = reply.send(answer);
            })
        });
        self.send(Command::Operate(operation)).await?;
        answered.await.map_err(|_| StoreError::Gone)?
    }

    /// Replaces the whole history by a snapshot, keeping the old one aside.
    pub(crate) async fn adopt(
        &self,
        stream: u64,
        snapshot: PathBuf,
    ) -> Result<SiteState, StoreError> {
        let (reply, answered) = oneshot::channel();
        self.send(Command::Adopt { stream, snapshot, reply }).await?;
        answered.await.map_err(|_| StoreError::Gone)?
    }

    async fn send(&self, command: Command) -> Result<(), StoreError> {
        self.queue.send(command).await.map_err(|_| StoreError::Gone)
    }
}

struct WriterThread {
    connection: Connection,
    state: SiteState,
    publish: watch::Sender<SiteState>,
    gate: Arc<ShipGate>,
    directory: PathBuf,
    group: usize,
}

impl WriterThread {
    fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        let mut next = commands.blocking_recv();
        while let Some(command) = next.take() {
            match command {
                Command::Operate(first) => {
                    let mut group = vec![first];
                    while group.len() < self.group {
                        match commands.try_recv() {
                            Ok(Command::Operate(operation)) => group.push(operation),
                            Ok(other) => {
                                next = Some(other);
                                break;
                            }
                            Err(_) => break,
                        }
                    }
                    if let Err(error) = self.commit(group) {
                        log("service", format_args!("a group of writes failed: {error}"));
                    }
                }
                Command::Adopt { stream, snapshot, reply } => {
                    let _ = reply.send(self.adopt(stream, &snapshot));
                }
            }
            if next.is_none() {
                next = commands.blocking_recv();
            }
        }
    }

    /// Runs a group in one transaction. An operation dropped unrun answers "gone".
    fn commit(&mut self, group: Vec<Operation>) -> Result<(), StoreError> {
        let transaction =
            self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut session = Session { connection: &transaction, state: self.state.clone() };
        let answers: Vec<Answer> = group.into_iter().map(|run| run(&mut session)).collect();
        let next = session.state;
        let committed = transaction.commit().map_err(|error| error.to_string());
        if committed.is_ok() {
            self.become_state(next);
        }
        for answer in answers {
            answer(committed.clone());
        }
        committed.map_err(StoreError::Commit)
    }

    fn adopt(&mut self, stream: u64, snapshot: &Path) -> Result<SiteState, StoreError> {
        let session = Session { connection: &self.connection, state: self.state.clone() };
        session.require_stream(stream)?;
        if self.state.lsn > 0 {
            let kept = snapshot::set_aside(&self.connection, &self.directory, &self.state)?;
            log("service", format_args!("kept the diverged history as {}", kept.display()));
        }
        snapshot::adopt(&mut self.connection, snapshot, &self.state)?;
        let mut next = self.state.clone();
        next.reload_log(&self.connection)?;
        self.gate.replaced(next.lsn);
        self.become_state(next.clone());
        Ok(next)
    }

    /// Makes the state known before any answer is given.
    fn become_state(&mut self, next: SiteState) {
        if next != self.state {
            if next.lsn > self.state.lsn {
                self.gate.committed(next.lsn);
            }
            self.state = next.clone();
            self.publish.send_replace(next);
        }
    }
}
