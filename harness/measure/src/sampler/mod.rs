//! The open-loop sampler: attempt *n* of a stream is sent at its time, whatever became of attempt *n* − 1.
//!
//! It runs on a thread of its own with a single-threaded runtime, so that nothing else the harness does can
//! delay an attempt. Source of the rules: design.md section 4 and measurement.md section 2, "Probe k".

mod attempt;
mod drive;
mod schedule;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, TryRecvError};
use std::thread::JoinHandle;
use std::time::Duration;

use drdrill_core::event::StreamFacts;
use drdrill_core::probe::Probe;
use drdrill_core::sample::Sample;
use tokio::sync::Notify;

/// Longest time between the end of an attempt and its delivery to the sink.
///
/// Samples are collected for so long and handed out together, so that delivering costs no wake-up per sample.
pub const DELIVERY: Duration = Duration::from_millis(10);

/// A stream of samples: who it is, and what makes its attempts.
#[derive(Clone, Debug)]
pub struct StreamPlan {
    /// Name, interval and deadline. The deadline may be longer than the 900 ms that scenarios allow: benchmarks
    /// of long stalls need that.
    pub facts: StreamFacts,
    /// Makes the attempts.
    pub probe: Arc<dyn Probe>,
}

/// The sampler could not be started, or its thread died.
#[derive(Debug, thiserror::Error)]
pub enum SamplerError {
    /// There is nothing to sample.
    #[error("start the sampler: no stream was given")]
    NoStreams,
    /// A stream asks for attempts without any time between them.
    #[error("start the sampler: stream `{0}` has an interval of zero")]
    NoInterval(String),
    /// The thread, its runtime or its timer could not be had.
    #[error("start the sampler: {0}")]
    Start(#[source] std::io::Error),
    /// A thread of the sampler panicked: samples may be missing.
    #[error("a thread of the sampler panicked; samples may be missing")]
    Panicked,
}

/// What the sampler did, once it has ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SamplerReport {
    /// Attempts made; as many samples were delivered.
    pub attempts: u64,
    /// Most attempts under way at one time.
    pub busiest: usize,
    /// Processor time of the sampler's thread, the probes included.
    pub cpu: Duration,
}

/// State that the sampler's thread, its attempts and its owner share.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    stop: AtomicBool,
    wake: Notify,
    ended: AtomicBool,
    /// Told once the sampler has ended, for [`Sampler::until_ended`].
    over: Notify,
    attempts: AtomicU64,
    in_flight: AtomicUsize,
    busiest: AtomicUsize,
}

/// A running sampler. Dropping it tells it to stop without waiting.
#[derive(Debug)]
pub struct Sampler {
    shared: Arc<Shared>,
    driver: Option<JoinHandle<Result<Duration, std::io::Error>>>,
    delivery: Option<JoinHandle<()>>,
}

impl Sampler {
    /// Starts sampling at once.
    ///
    /// `origin_nanos` is the reading of the monotonic clock at the drill's start: instants of samples count from
    /// it. With `limit`, each stream ends after so many attempts. `sink` receives every sample exactly once, on a
    /// thread of its own, at most [`DELIVERY`] after the attempt ended.
    ///
    /// Raises the process's soft limit of open files to the hard one: when a service hangs, every attempt of a
    /// deadline's length is open at the same time.
    ///
    /// # Errors
    /// When there is nothing to sample, or thread, runtime or timer cannot be had.
    pub fn start(
        origin_nanos: u64,
        streams: Vec<StreamPlan>,
        limit: Option<u64>,
        sink: impl FnMut(Sample) + Send + 'static,
    ) -> Result<Self, SamplerError> {
        if streams.is_empty() {
            return Err(SamplerError::NoStreams);
        }
        if let Some(plan) = streams.iter().find(|plan| plan.facts.every_ns == 0) {
            return Err(SamplerError::NoInterval(plan.facts.name.clone()));
        }
        raise_file_limit();
        let shared = Arc::new(Shared::default());
        let (sender, receiver) = mpsc::channel();
        let delivery = std::thread::Builder::new()
            .name("drdrill-samples".to_owned())
            .spawn(move || deliver(&receiver, sink))
            .map_err(SamplerError::Start)?;
        let waiting = delivery.thread().clone();
        let shared_with = Arc::clone(&shared);
        let driver = drive::spawn(origin_nanos, streams, limit, shared_with, sender, waiting)
            .map_err(SamplerError::Start)?;
        Ok(Self { shared, driver: Some(driver), delivery: Some(delivery) })
    }

    /// Tells the sampler to send no further attempt. Those under way go on to their end or deadline.
    pub fn request_stop(&self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        self.shared.wake.notify_one();
    }

    /// Whether the sampler has ended: it was stopped or came to its limit, and every attempt has ended.
    #[must_use]
    pub fn ended(&self) -> bool {
        self.shared.ended.load(Ordering::SeqCst)
    }

    /// Waits until [`Sampler::ended`], without blocking. For one waiter.
    pub async fn until_ended(&self) {
        while !self.ended() {
            self.shared.over.notified().await;
        }
    }

    /// Sends no further attempt, waits for those under way (at most the longest deadline) and for the sink to
    /// have received every sample. Blocks; from async code call it on a blocking thread.
    ///
    /// # Errors
    /// When a thread of the sampler panicked or its timer failed.
    pub fn stop(self) -> Result<SamplerReport, SamplerError> {
        self.request_stop();
        self.wait()
    }

    /// Waits until the streams came to their limit. Without a limit, or a stop asked for, that is for ever.
    ///
    /// # Errors
    /// As [`Sampler::stop`].
    pub fn wait(mut self) -> Result<SamplerReport, SamplerError> {
        let driver = self.driver.take().map(JoinHandle::join);
        let delivery = self.delivery.take().map(JoinHandle::join);
        let (Some(Ok(driver)), Some(Ok(()))) = (driver, delivery) else {
            return Err(SamplerError::Panicked);
        };
        let cpu = driver.map_err(SamplerError::Start)?;
        Ok(SamplerReport {
            attempts: self.shared.attempts.load(Ordering::SeqCst),
            busiest: self.shared.busiest.load(Ordering::SeqCst),
            cpu,
        })
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        self.request_stop();
    }
}

fn deliver(receiver: &Receiver<Sample>, mut sink: impl FnMut(Sample)) {
    loop {
        match receiver.try_recv() {
            Ok(sample) => sink(sample),
            // The driver's end cuts the wait short.
            Err(TryRecvError::Empty) => std::thread::park_timeout(DELIVERY),
            Err(TryRecvError::Disconnected) => return,
        }
    }
}

fn raise_file_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // Refused: the limit stays, and running out of files is recorded as our own error.
    let _ = setrlimit(Resource::Nofile, limit);
}
