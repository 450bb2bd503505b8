//! The sampler's thread: sends what is due, cuts off what is over its deadline, sleeps in between.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Sender;
use std::thread::{JoinHandle, Thread};
use std::time::Duration;

use drdrill_clock::{Sleeper, monotonic_nanos};
use drdrill_core::probe::Probe;
use drdrill_core::sample::{Outcome, Sample};
use rustix::time::{ClockId, clock_gettime};
use tokio::task::AbortHandle;

use super::attempt::{Attempt, Launch};
use super::schedule::{Slot, Slots};
use super::{Shared, StreamPlan};

/// Time between the start of the thread and the first slot, in nanoseconds: the runtime must be up by then.
const HEAD_START: u64 = 200_000;

/// Attempts that may be under way beyond twice what deadlines and intervals ask for.
const SPARE_ATTEMPTS: u64 = 1024;

/// Starts the thread. It returns the processor time it took.
pub(super) fn spawn(
    origin: u64,
    plans: Vec<StreamPlan>,
    limit: Option<u64>,
    shared: Arc<Shared>,
    samples: Sender<Sample>,
    delivery: Thread,
) -> io::Result<JoinHandle<io::Result<Duration>>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    std::thread::Builder::new().name("drdrill-sampler".to_owned()).spawn(move || {
        let driver = Driver::new(origin, plans, limit, Arc::clone(&shared), samples);
        let result = runtime.block_on(driver.run());
        // A name lookup that hangs must not hold the drill up.
        runtime.shutdown_background();
        shared.ended.store(true, Ordering::SeqCst);
        shared.over.notify_one();
        delivery.unpark();
        result.map(|()| thread_cpu())
    })
}

struct Stream {
    plan: StreamPlan,
    slots: Slots,
    /// Attempts under way with the instant at which each is cut off, oldest first.
    deadlines: VecDeque<(u64, AbortHandle)>,
}

struct Driver {
    origin: u64,
    streams: Vec<Stream>,
    capacity: usize,
    shared: Arc<Shared>,
    samples: Sender<Sample>,
}

impl Driver {
    fn new(
        origin: u64,
        plans: Vec<StreamPlan>,
        limit: Option<u64>,
        shared: Arc<Shared>,
        samples: Sender<Sample>,
    ) -> Self {
        let begin = monotonic_nanos() + HEAD_START;
        let count = plans.len();
        // The deadline bounds what can be under way; twice that is reached only when cutting off fails.
        let expected: u64 =
            plans.iter().map(|plan| plan.facts.deadline_ns / plan.facts.every_ns.max(1) + 1).sum();
        let capacity = expected.saturating_mul(2).saturating_add(SPARE_ATTEMPTS);
        let streams = plans.into_iter().enumerate().map(|(index, plan)| Stream {
            slots: Slots::new(&plan.facts, begin, index, count, limit),
            plan,
            deadlines: VecDeque::new(),
        });
        Self {
            origin,
            streams: streams.collect(),
            capacity: usize::try_from(capacity).unwrap_or(usize::MAX),
            shared,
            samples,
        }
    }

    async fn run(mut self) -> io::Result<()> {
        let mut sleeper = Sleeper::new()?;
        let shared = Arc::clone(&self.shared);
        loop {
            if shared.stop.load(Ordering::Relaxed) {
                self.streams.iter_mut().for_each(|stream| stream.slots.end());
            }
            self.send_due();
            self.cut_off(monotonic_nanos());
            if self.streams.iter().all(|stream| stream.slots.peek().is_none()) {
                // From here on the last attempt to end wakes this thread.
                shared.stop.store(true, Ordering::Relaxed);
            }
            let next = self.streams.iter().filter_map(Stream::next_event).min();
            match next {
                Some(at) => tokio::select! {
                    biased;
                    slept = sleeper.until(at) => slept?,
                    () = shared.wake.notified() => {}
                },
                None if shared.in_flight.load(Ordering::Relaxed) > 0 => {
                    tokio::task::yield_now().await;
                }
                None => return Ok(()),
            }
        }
    }

    /// Sends every slot that is due, the most overdue stream first in its turn, however late it is.
    fn send_due(&mut self) {
        for stream in &mut self.streams {
            while let Some(slot) = stream.slots.take(monotonic_nanos()) {
                let facts = &stream.plan.facts;
                let sent = monotonic_nanos();
                let attempt = Attempt::begin(
                    Launch {
                        stream: facts.id,
                        sequence: slot.sequence,
                        origin: self.origin,
                        due: slot.due,
                        sent,
                        every: facts.every_ns,
                        deadline: facts.deadline_ns,
                    },
                    stream.plan.probe.deed(slot.sequence),
                    self.samples.clone(),
                    Arc::clone(&self.shared),
                );
                if self.shared.in_flight.load(Ordering::Relaxed) > self.capacity {
                    let text = format!("more than {} attempts under way", self.capacity);
                    attempt.end(Outcome::ProberError(text.into()));
                    continue;
                }
                let cut = sent.saturating_add(facts.deadline_ns);
                let task = tokio::spawn(carry_out(Arc::clone(&stream.plan.probe), slot, attempt));
                stream.deadlines.push_back((cut, task.abort_handle()));
            }
        }
    }

    /// Cuts off the attempts whose deadline has passed; never one before its time.
    fn cut_off(&mut self, now: u64) {
        for stream in &mut self.streams {
            while let Some((cut, task)) = stream.deadlines.front() {
                if !task.is_finished() {
                    if *cut > now {
                        break;
                    }
                    task.abort();
                }
                stream.deadlines.pop_front();
            }
        }
    }
}

impl Stream {
    /// The next instant at which this stream needs the thread.
    fn next_event(&self) -> Option<u64> {
        let due = self.slots.peek().map(|slot| slot.due);
        let cut = self.deadlines.front().map(|(cut, _)| *cut);
        due.into_iter().chain(cut).min()
    }
}

async fn carry_out(probe: Arc<dyn Probe>, slot: Slot, attempt: Attempt) {
    attempt.end_with(probe.attempt_in_full(slot.sequence).await);
}

fn thread_cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}
