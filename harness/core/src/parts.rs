//! What the engine is put together from. The engine knows these traits; only the command line knows who implements them.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::action::{ActionError, Tag, Undo};
use crate::event::{Entry, Journal, StreamFacts};
use crate::probe::Probe;
use crate::sample::Sample;
use crate::time::At;

/// A stream of samples and what makes its attempts.
#[derive(Clone, Debug)]
pub struct StreamPlan {
    /// The stream.
    pub facts: StreamFacts,
    /// Makes the attempts.
    pub probe: Arc<dyn Probe>,
}

/// Takes samples as they are done. Called from the sampler's thread: it must be quick.
pub type SampleSink = Arc<dyn Fn(Sample) + Send + Sync>;

/// Runs streams of samples, open loop.
#[async_trait]
pub trait Sampling: fmt::Debug + Send + Sync {
    /// Starts all streams now. Instants of samples count from `origin_nanos` of the monotonic clock. Each stream ends
    /// by itself after `limit` samples, where one is given.
    ///
    /// # Errors
    /// When the sampler cannot be started.
    fn start(
        &mut self,
        origin_nanos: u64,
        streams: Vec<StreamPlan>,
        limit: Option<u64>,
        sink: SampleSink,
    ) -> io::Result<()>;
    /// Waits until every stream has ended by itself.
    async fn ended(&self);
    /// Schedules no further attempts and waits for those under way, each at most its deadline.
    ///
    /// # Errors
    /// When samples may be missing.
    fn stop(&mut self) -> io::Result<()>;
}

/// Watches samples live and says when the service counts as restored; agrees with the later judgement.
pub trait RestoreWatch: fmt::Debug + Send + Sync {
    /// Takes note of a sample.
    fn feed(&self, sample: &Sample);
    /// A fault began between `from` (F−) and `at` (F+): what failed before does not count.
    fn fault(&self, from: At, at: At);
    /// Whether all services have been good for a whole sustained window since the last fault.
    fn restored(&self) -> bool;
}

/// The machinery that heals.
#[async_trait]
pub trait Recovery: fmt::Debug + Send + Sync {
    /// Watches the system and fails over once, when needed. Returns when the failover is done, or failed for good.
    /// Dropping the future stops watching.
    async fn watch_and_fail_over(&self, journal: Arc<dyn Journal>) -> Result<(), ActionError>;
    /// Tries each function until it works or `give_up` has passed; every try goes to the journal.
    async fn verify(
        &self,
        journal: Arc<dyn Journal>,
        names: &[String],
        when: crate::event::When,
        give_up: Duration,
    );
    /// Brings the original site back as the primary.
    async fn fail_back(
        &self,
        journal: Arc<dyn Journal>,
        plan: &crate::scenario::Failback,
    ) -> Result<(), ActionError>;
    /// Waits until the standby has everything again, once a system that never failed over is whole.
    async fn rejoin(&self, journal: Arc<dyn Journal>) -> Result<(), ActionError>;
    /// The site that decides about writes now, in the eyes of the machinery.
    fn serving_site(&self) -> String;
    /// The drill is about to break something: what is noticed before that has another cause.
    fn about_to_break(&self) {}
    /// The last fault is in effect.
    fn broken(&self) {}
    /// Nobody is waited for any longer: whoever is asked is asked no more, what the machinery has begun it brings to its
    /// end, and a recovery that is not done by then takes back what it did.
    fn give_up(&self) {}
    /// Where it writes down how what it changes is taken back, when that outlives the environment.
    fn use_ledger(&self, _: Arc<dyn Undos>) {}
}

/// Makes the undo of a change from the name that the change has.
pub type MakeUndo = Box<dyn FnOnce(&Tag) -> Undo + Send>;

/// The undo ledger, as machinery may use it.
#[async_trait]
pub trait Undos: fmt::Debug + Send + Sync {
    /// Writes down how a change is taken back, before it is made. Returns its number in the ledger and the undo.
    ///
    /// # Errors
    /// When it could not be written: the change must not be made.
    async fn intend(&self, kind: &str, target: &str, make: MakeUndo)
    -> Result<(u32, Undo), String>;
    /// Writes down that a change is taken back in another way from now on.
    ///
    /// # Errors
    /// When it could not be written: it is still taken back as it would have been.
    async fn amend(&self, id: u32, undo: Undo) -> Result<(), String>;
    /// It was seen to be taken back.
    async fn taken_back(&self, id: u32);
}

/// Says whether the target may be broken now. Reads only.
#[async_trait]
pub trait Permit: fmt::Debug + Send + Sync {
    /// Looks at all that must hold right before a fault.
    ///
    /// # Errors
    /// With what does not hold.
    async fn to_inject(&self) -> Result<(), String>;
    /// Looks at what must hold for as long as faults are in place, in no time.
    ///
    /// # Errors
    /// With what does not hold.
    fn to_go_on(&self) -> Result<(), String>;
}

/// Where the history goes, line by line.
pub trait EntrySink: Send {
    /// Appends one line.
    ///
    /// # Errors
    /// When it cannot be written; the drill then ends and does not pass.
    fn append(&mut self, entry: &Entry) -> io::Result<()>;
    /// Makes everything appended durable.
    ///
    /// # Errors
    /// As [`EntrySink::append`].
    fn sync(&mut self) -> io::Result<()>;
}
