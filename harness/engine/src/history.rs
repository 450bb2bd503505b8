//! The recorder: everything that happens goes through it, to the evidence on disk and to whoever watches.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use drdrill_core::event::{Entry, Event, Journal};
use drdrill_core::parts::EntrySink;
use drdrill_core::time::At;

/// Watches the history as it grows. Called from the recorder's thread, in order; it must be quick.
pub type Observer = Box<dyn FnMut(&Entry) + Send>;

/// Samples reach the disk at the latest after so long.
const LONGEST_UNSYNCED: Duration = Duration::from_secs(1);

/// The history of a drill while it is made.
#[derive(Debug)]
pub struct Recorder {
    origin_nanos: u64,
    sender: Sender<Message>,
    broken: Arc<AtomicBool>,
    thread: thread::JoinHandle<Vec<Entry>>,
}

enum Message {
    Entry(Box<Entry>),
    Watch(Observer),
    SoFar(Sender<Vec<Entry>>),
    End,
}

/// The journal of a recorder; cheap to clone and to hand around.
#[derive(Clone, Debug)]
pub struct RecorderHandle {
    origin_nanos: u64,
    sender: Sender<Message>,
}

impl Journal for RecorderHandle {
    fn now(&self) -> At {
        At(drdrill_clock::monotonic_nanos().saturating_sub(self.origin_nanos))
    }

    fn record(&self, event: Event) {
        // The recorder outlives everybody who records, but for samples that come in after the end.
        let _ = self.sender.send(Message::Entry(Box::new(Entry { at: self.now(), event })));
    }
}

impl Recorder {
    /// Starts the history now; its lines go to `sink`.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn start(sink: Box<dyn EntrySink>) -> std::io::Result<Self> {
        let (sender, receiver) = channel();
        let broken = Arc::new(AtomicBool::new(false));
        let writer = Writer {
            sink,
            entries: Vec::new(),
            observers: Vec::new(),
            unsynced_since: None,
            broken: broken.clone(),
        };
        let thread =
            thread::Builder::new().name("recorder".into()).spawn(move || writer.run(&receiver))?;
        Ok(Self { origin_nanos: drdrill_clock::monotonic_nanos(), sender, broken, thread })
    }

    /// Reading of the monotonic clock at the start of the drill.
    #[must_use]
    pub const fn origin_nanos(&self) -> u64 {
        self.origin_nanos
    }

    /// The journal to hand around.
    #[must_use]
    pub fn journal(&self) -> Arc<dyn Journal> {
        Arc::new(RecorderHandle { origin_nanos: self.origin_nanos, sender: self.sender.clone() })
    }

    /// Adds a watcher; it sees what comes from now on.
    pub fn watch(&self, observer: Observer) {
        let _ = self.sender.send(Message::Watch(observer));
    }

    /// What was recorded so far.
    #[must_use]
    pub fn so_far(&self) -> Vec<Entry> {
        let (sender, receiver) = channel();
        let _ = self.sender.send(Message::SoFar(sender));
        receiver.recv().unwrap_or_default()
    }

    /// Whether some of the history could not be written. Such a drill must not pass.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Relaxed) || self.thread.is_finished()
    }

    /// Ends the history: everything recorded so far is durable, or [`Recorder::is_broken`] was true.
    /// Returns the history and whether all of it is on disk.
    #[must_use]
    pub fn finish(self) -> (Vec<Entry>, bool) {
        let _ = self.sender.send(Message::End);
        let entries = self.thread.join().unwrap_or_default();
        let whole = !self.broken.load(Ordering::Relaxed) && !entries.is_empty();
        (entries, whole)
    }
}

struct Writer {
    sink: Box<dyn EntrySink>,
    entries: Vec<Entry>,
    observers: Vec<Observer>,
    unsynced_since: Option<Instant>,
    broken: Arc<AtomicBool>,
}

impl Writer {
    fn run(mut self, receiver: &Receiver<Message>) -> Vec<Entry> {
        loop {
            match receiver.recv_timeout(LONGEST_UNSYNCED) {
                Ok(Message::Entry(entry)) => self.write(*entry),
                Ok(Message::SoFar(sender)) => {
                    // Whoever asked may be gone.
                    let _ = sender.send(self.entries.clone());
                }
                Ok(Message::Watch(observer)) => self.observers.push(observer),
                Err(RecvTimeoutError::Timeout) => self.sync(),
                Ok(Message::End) | Err(RecvTimeoutError::Disconnected) => {
                    self.sync();
                    return self.entries;
                }
            }
        }
    }

    fn write(&mut self, entry: Entry) {
        // Before anybody sees it: disk, screen, record and reports all have it from here.
        let entry = entry.redacted();
        if let Err(error) = self.sink.append(&entry) {
            self.fail(&error);
        }
        let since = *self.unsynced_since.get_or_insert_with(Instant::now);
        for observer in &mut self.observers {
            observer(&entry);
        }
        if must_be_durable(&entry.event) || since.elapsed() >= LONGEST_UNSYNCED {
            self.sync();
        }
        self.entries.push(entry);
    }

    fn sync(&mut self) {
        if self.unsynced_since.take().is_some()
            && let Err(error) = self.sink.sync()
        {
            self.fail(&error);
        }
    }

    fn fail(&self, error: &std::io::Error) {
        if !self.broken.swap(true, Ordering::Relaxed) {
            // The only channel that is left: the evidence itself cannot take it. Its reader may be gone as well.
            let _ = writeln!(
                std::io::stderr().lock(),
                "drdrill: the history of this drill cannot be written: {error}"
            );
        }
    }
}

/// What goes to the disk at once: a fault without its line would be a fault nobody can explain.
const fn must_be_durable(event: &Event) -> bool {
    matches!(
        event,
        Event::FaultPlanned { .. }
            | Event::FaultInEffect { .. }
            | Event::FaultReverted { .. }
            | Event::FaultEnded { .. }
            | Event::FaultStuck { .. }
            | Event::EnvironmentStuck { .. }
            | Event::CommandPlanned { .. }
            | Event::CommandTakenBack { .. }
            | Event::CommandStuck { .. }
            | Event::RunbookStep { .. }
            | Event::Aborted { .. }
            | Event::DrillFinished { .. }
    )
}
