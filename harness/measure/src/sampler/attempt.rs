//! One attempt under way. Whatever becomes of it, exactly one sample comes out.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Sender;
use std::time::Duration;

use drdrill_clock::monotonic_nanos;
use drdrill_core::sample::{Answered, Decider, Deed, Outcome, Sample, StreamId};
use drdrill_core::time::At;

use super::Shared;

/// Identity and times of an attempt, in nanoseconds of the monotonic clock.
#[derive(Clone, Copy, Debug)]
pub(super) struct Launch {
    pub(super) stream: StreamId,
    pub(super) sequence: u64,
    pub(super) origin: u64,
    pub(super) due: u64,
    pub(super) sent: u64,
    pub(super) every: u64,
    pub(super) deadline: u64,
}

/// An attempt under way. Dropped without an outcome (the deadline cut it off, or the probe panicked) it still
/// writes its sample: nothing ends in silence.
#[derive(Debug)]
pub(super) struct Attempt {
    launch: Launch,
    deed: Option<Deed>,
    samples: Sender<Sample>,
    shared: Arc<Shared>,
    recorded: bool,
}

impl Attempt {
    /// Begins an attempt.
    pub(super) fn begin(
        launch: Launch,
        deed: Option<Deed>,
        samples: Sender<Sample>,
        shared: Arc<Shared>,
    ) -> Self {
        let in_flight = shared.in_flight.fetch_add(1, Ordering::Relaxed) + 1;
        shared.busiest.fetch_max(in_flight, Ordering::Relaxed);
        shared.attempts.fetch_add(1, Ordering::Relaxed);
        Self { launch, deed, samples, shared, recorded: false }
    }

    /// Ends the attempt with what the probe saw.
    pub(super) fn end(self, outcome: Outcome) {
        self.end_with(outcome.into());
    }

    /// As [`Attempt::end`], with what else the answer says.
    pub(super) fn end_with(mut self, answered: Answered) {
        let Answered { outcome, decider, read } = answered;
        self.deed = read.or_else(|| self.deed.take());
        self.record(outcome, decider);
    }

    fn record(&mut self, outcome: Outcome, decider: Option<Decider>) {
        self.recorded = true;
        let done = monotonic_nanos().max(self.launch.sent);
        let outcome = judged(&self.launch, done, outcome);
        let at = |nanos: u64| At(nanos.saturating_sub(self.launch.origin));
        // The receiver is gone only when the owner gave up on the samples.
        let _ = self.samples.send(Sample {
            stream: self.launch.stream,
            sequence: self.launch.sequence,
            due: at(self.launch.due),
            sent: at(self.launch.sent),
            done: at(done),
            decider: decider.filter(|_| outcome.is_ok()),
            deed: self.deed.take().map(Box::new),
            outcome,
        });
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if !self.recorded {
            let outcome = if std::thread::panicking() {
                Outcome::ProberError("the probe panicked".into())
            } else {
                too_late(self.launch.deadline)
            };
            self.record(outcome, None);
        }
        if self.shared.in_flight.fetch_sub(1, Ordering::Relaxed) == 1
            && self.shared.stop.load(Ordering::Relaxed)
        {
            self.shared.wake.notify_one();
        }
    }
}

fn too_late(deadline: u64) -> Outcome {
    Outcome::Unknown(format!("deadline of {:?} passed", Duration::from_nanos(deadline)).into())
}

/// Own lateness beyond one interval is our error, and an answer after the deadline is no answer in time.
///
/// Source: measurement.md section 2, "Probe k".
fn judged(launch: &Launch, done: u64, outcome: Outcome) -> Outcome {
    let late = launch.sent.saturating_sub(launch.due);
    if late > launch.every {
        let (late, every) = (Duration::from_nanos(late), Duration::from_nanos(launch.every));
        let text = format!("sent {late:?} late, more than the interval of {every:?}: {outcome:?}");
        return Outcome::ProberError(text.into());
    }
    let over = (done - launch.sent).saturating_sub(launch.deadline);
    if over > launch.every {
        // The answer may have been here in time: we were not there to read it.
        let (over, every) = (Duration::from_nanos(over), Duration::from_nanos(launch.every));
        let text = format!("noticed {over:?} after the deadline, more than {every:?}: {outcome:?}");
        return Outcome::ProberError(text.into());
    }
    if outcome.is_ok() && over > 0 {
        return too_late(launch.deadline);
    }
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAUNCH: Launch = Launch {
        stream: 0,
        sequence: 3,
        origin: 0,
        due: 1_000,
        sent: 1_500,
        every: 1_000,
        deadline: 5_000,
    };

    #[test]
    fn an_answer_after_the_deadline_is_unknown() {
        assert_eq!(judged(&LAUNCH, 6_500, Outcome::Ok), Outcome::Ok);
        let late = judged(&LAUNCH, 6_501, Outcome::Ok);
        assert!(matches!(late, Outcome::Unknown(_)), "{late:?}");
    }

    #[test]
    fn an_end_that_we_noticed_late_is_our_own_error() {
        for outcome in [Outcome::Ok, too_late(LAUNCH.deadline)] {
            let judged = judged(&LAUNCH, 7_501, outcome);
            assert!(matches!(judged, Outcome::ProberError(_)), "{judged:?}");
        }
    }

    #[test]
    fn sending_later_than_one_interval_is_our_own_error() {
        let launch = Launch { sent: 2_001, ..LAUNCH };
        let outcome = judged(&launch, 2_100, Outcome::Failed("refused".into()));
        assert!(matches!(outcome, Outcome::ProberError(_)), "{outcome:?}");
    }
}
