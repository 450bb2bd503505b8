//! Stop conditions, watched throughout. [`halt`] is the operator's.

pub mod halt;

use std::collections::VecDeque;
use std::sync::Mutex;

use drdrill_core::event::{Event, StreamFacts};
use drdrill_core::sample::StreamId;
use drdrill_core::scenario::StopWhen;
use drdrill_core::time::At;

/// Fewer samples than this in the window decide nothing.
const LEAST_SAMPLES: usize = 10;

/// Watches the stop conditions of a scenario.
#[derive(Debug)]
pub struct StopConditions {
    all: Mutex<Vec<Condition>>,
}

#[derive(Debug)]
struct Condition {
    rule: StopWhen,
    stream: StreamId,
    window: VecDeque<(At, bool)>,
}

impl StopConditions {
    /// The conditions of a scenario on these streams.
    #[must_use]
    pub fn new(rules: &[StopWhen], streams: &[StreamFacts]) -> Self {
        let condition = |rule: &StopWhen| {
            let stream = streams.iter().find(|stream| stream.name == rule.probe)?.id;
            Some(Condition { rule: rule.clone(), stream, window: VecDeque::new() })
        };
        Self { all: Mutex::new(rules.iter().filter_map(condition).collect()) }
    }

    /// Takes note of an event; says why the drill has to stop, when it has to.
    pub fn feed(&self, event: &Event) -> Option<String> {
        let Event::Sample(sample) = event else {
            return None;
        };
        let mut all = self.all.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        all.iter_mut()
            .filter(|condition| condition.stream == sample.stream)
            .filter(|_| sample.outcome.is_ok() || sample.outcome.is_failure())
            .find_map(|condition| condition.feed(sample.done, sample.outcome.is_ok()))
    }
}

impl Condition {
    fn feed(&mut self, done: At, ok: bool) -> Option<String> {
        self.window.push_back((done, ok));
        while self.window.front().is_some_and(|(at, _)| done.since(*at) > self.rule.over.0) {
            self.window.pop_front();
        }
        if self.window.len() < LEAST_SAMPLES {
            return None;
        }
        let good = self.window.iter().filter(|(_, ok)| *ok).count();
        #[expect(
            clippy::cast_precision_loss,
            reason = "a window holds far fewer than 2^52 samples"
        )]
        let share = good as f64 / self.window.len() as f64;
        (share < self.rule.success_below.ratio()).then(|| {
            format!(
                "probe {}: {good} of {} samples succeeded in {}, which is below {}",
                self.rule.probe,
                self.window.len(),
                self.rule.over,
                self.rule.success_below
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use drdrill_core::probe::{Connection, Purpose};
    use drdrill_core::sample::{Outcome, Sample};
    use drdrill_core::units::{Share, Span};

    use super::*;

    fn conditions() -> StopConditions {
        let rule = StopWhen {
            probe: "bystander".into(),
            success_below: Share::percent(90),
            over: Span(Duration::from_secs(1)),
        };
        let stream = StreamFacts {
            id: 3,
            name: "bystander".into(),
            service: "other".into(),
            purpose: Purpose::Bystander,
            connection: Connection::Fresh,
            every_ns: 1,
            deadline_ns: 1,
            write_bytes: 0,
        };
        StopConditions::new(&[rule], &[stream])
    }

    fn sample(stream: StreamId, sequence: u64, outcome: Outcome) -> Event {
        let at = At::from_millis(sequence * 20);
        Event::Sample(Sample {
            stream,
            sequence,
            due: at,
            sent: at,
            done: at,
            outcome,
            decider: None,
            deed: None,
        })
    }

    fn feed_all(outcome: impl Fn(u64) -> Outcome, stream: StreamId) -> Option<String> {
        let conditions = conditions();
        (0..200).find_map(|n| conditions.feed(&sample(stream, n, outcome(n))))
    }

    #[test]
    fn a_hurt_bystander_stops_the_drill() {
        let reason = feed_all(
            |n| {
                if n < 100 { Outcome::Ok } else { Outcome::Failed("x".into()) }
            },
            3,
        );
        assert!(reason.unwrap().contains("below 90%"));
    }

    #[test]
    fn one_failure_in_a_hundred_does_not() {
        assert_eq!(
            feed_all(|n| if n == 100 { Outcome::Failed("x".into()) } else { Outcome::Ok }, 3),
            None
        );
    }

    #[test]
    fn other_streams_and_our_own_faults_do_not_count() {
        assert_eq!(feed_all(|_| Outcome::Failed("x".into()), 2), None);
        assert_eq!(feed_all(|_| Outcome::ProberError("x".into()), 3), None);
    }
}
