//! A service whose truth is known, in virtual time: whatever happens to it, the bounds contain the truth.

use std::time::Duration;

use drdrill_core::action::Undo;
use drdrill_core::event::{Entry, Event, Stage};
use drdrill_core::probe::Purpose;
use drdrill_core::record::{Record, Service};
use drdrill_core::sample::{Outcome, Sample};
use drdrill_core::scenario::Targets;
use drdrill_core::time::At;
use drdrill_core::verdict::Verdict;
use proptest::prelude::*;

use crate::checkers::testing::{facts, started};
use crate::judge::judge;
use crate::watch::RestoreWatch;

/// How the service is broken.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Shape {
    Refused,
    Reset,
    /// Answers come when the process goes on, or never, if that is after the deadline.
    Paused,
    /// Packets vanish: no answer ever comes to what was sent meanwhile.
    Dropped,
    Error500,
    ErrorIn200,
    /// Broken and whole in turns, each for so many milliseconds.
    Flapping(u64),
    /// Every answer takes 300 ms.
    Slow,
    Never,
}

/// What happens, in nanoseconds of the drill.
#[derive(Clone, Copy, Debug)]
struct Plan {
    shape: Shape,
    every: u64,
    /// The fault: just before, the truth, seen in effect.
    fault: (u64, u64, u64),
    /// When the service works again: the truth.
    back: u64,
    /// Our own process stands still from .. to.
    stall: (u64, u64),
    seed: u64,
}

const MS: u64 = 1_000_000;
const DEADLINE: u64 = 900 * MS;
const WINDOW: u64 = 1_000 * MS;

/// A small reproducible source of noise.
struct Noise(u64);

impl Noise {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % limit.max(1)
    }
}

impl Plan {
    fn broken_at(&self, at: u64) -> bool {
        let within = at >= self.fault.1 && (at < self.back || self.shape == Shape::Never);
        match self.shape {
            Shape::Flapping(ms) => {
                let phase = at.saturating_sub(self.fault.1) / (ms * MS);
                // The last stretch before the return is a broken one, so that the truth is its end.
                let last = (self.back - self.fault.1) / (ms * MS);
                within && (phase.is_multiple_of(2) || phase >= last.saturating_sub(1))
            }
            _ => within,
        }
    }

    fn attempt(&self, sent: u64, noise: &mut Noise) -> (u64, Outcome) {
        let latency = 200_000 + noise.below(800_000);
        let failed = |after: u64| (sent + after, Outcome::Failed("broken".into()));
        let cut = || (sent + DEADLINE, Outcome::Unknown("deadline".into()));
        if !self.broken_at(sent) {
            // Under way when the service died: its answer never comes.
            let dies = !self.broken_at(sent) && self.broken_at(sent + latency);
            return match self.shape {
                Shape::Paused if dies => self.resumed(sent, latency),
                Shape::Dropped if dies => cut(),
                Shape::Refused | Shape::Reset | Shape::Never | Shape::Flapping(_) if dies => {
                    failed(latency)
                }
                _ => (sent + latency, Outcome::Ok),
            };
        }
        match self.shape {
            Shape::Refused | Shape::Never | Shape::Flapping(_) => failed(60_000),
            Shape::Reset => failed(latency / 2),
            Shape::Error500 | Shape::ErrorIn200 => failed(latency),
            Shape::Dropped => cut(),
            Shape::Paused => self.resumed(sent, latency),
            Shape::Slow => (sent + 300 * MS, Outcome::Ok),
        }
    }

    fn resumed(&self, sent: u64, latency: u64) -> (u64, Outcome) {
        if self.back + latency > sent + DEADLINE {
            return (sent + DEADLINE, Outcome::Unknown("deadline".into()));
        }
        (self.back + latency, Outcome::Ok)
    }

    fn samples(&self, end: u64) -> Vec<Sample> {
        let mut noise = Noise(self.seed);
        let mut samples = Vec::new();
        for sequence in 0.. {
            let due = 100 * MS + sequence * self.every;
            if due > end {
                return samples;
            }
            let mut sent = due + noise.below(100_000);
            if (self.stall.0..self.stall.1).contains(&sent) {
                sent = self.stall.1;
            }
            let (mut done, mut outcome) = self.attempt(sent, &mut noise);
            if (self.stall.0..self.stall.1).contains(&done) {
                done = self.stall.1;
            }
            if sent - due > self.every || done - sent > DEADLINE + self.every {
                outcome = Outcome::ProberError("late".into());
            }
            samples.push(Sample {
                stream: 0,
                sequence,
                due: At(due),
                sent: At(sent),
                done: At(done),
                outcome,
                decider: None,
                deed: None,
            });
        }
        samples
    }

    fn history(&self) -> Vec<Entry> {
        let end = self.back + 3 * WINDOW;
        let mut stream = facts(0, "read", Purpose::Read);
        stream.every_ns = self.every;
        let mut history = Vec::new();
        let mut add = |at: u64, event| history.push(Entry { at: At(at), event });
        add(0, started(vec![stream], Targets::default(), true));
        let undo = Undo::Nothing { because: "virtual".into() };
        add(
            1,
            Event::FaultPlanned {
                id: 1,
                kind: "site_loss".into(),
                target: "primary".into(),
                via: "virtual".into(),
                belts: Vec::new(),
                undo,
            },
        );
        add(self.fault.0, Event::FaultApplying { id: 1, from: At(self.fault.0) });
        let (at, proof) = (At(self.fault.2), "seen".into());
        add(self.fault.2, Event::FaultInEffect { id: 1, at, proof });
        for sample in self.samples(end) {
            add(sample.done.0, Event::Sample(sample));
        }
        add(end, Event::StageStarted(Stage::Undo));
        add(end + 2_000 * MS, Event::DrillFinished { finished_at: "later".into() });
        history
    }
}

fn service(record: &Record) -> &Service {
    &record.services[0]
}

fn shapes() -> impl Strategy<Value = Shape> {
    prop_oneof![
        Just(Shape::Refused),
        Just(Shape::Reset),
        Just(Shape::Paused),
        Just(Shape::Dropped),
        Just(Shape::Error500),
        Just(Shape::ErrorIn200),
        (50_u64..90).prop_map(Shape::Flapping),
        Just(Shape::Slow),
    ]
}

fn plans(shapes: impl Strategy<Value = Shape>) -> impl Strategy<Value = Plan> {
    let every = prop_oneof![Just(2 * MS), Just(5 * MS), Just(10 * MS), Just(20 * MS)];
    let fault = (2_000 * MS..2_100 * MS, 0..2 * MS, 0..2 * MS);
    let stall = (1_900 * MS..6_000 * MS, prop_oneof![3 => Just(0), 1 => 0..400 * MS]);
    (shapes, every, fault, 200 * MS..3_000 * MS, stall, any::<u64>()).prop_map(
        |(shape, every, (before, into, seen), length, stall, seed)| {
            let truth = before + into;
            Plan {
                shape,
                every,
                fault: (before, truth, truth + seen),
                back: truth + length,
                stall: (stall.0, stall.0 + stall.1),
                seed,
            }
        },
    )
}

fn ms(nanos: u64) -> f64 {
    Duration::from_nanos(nanos).as_secs_f64() * 1e3
}

/// Rounding of nanoseconds to milliseconds in floating point.
const ROUNDING: f64 = 1e-6;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn the_bounds_contain_the_truth(plan in plans(shapes())) {
        let history = plan.history();
        let record = judge(&history).unwrap();
        let service = service(&record);
        let rto = service.rto;
        let truth = ms(plan.back - plan.fault.1);
        let at_most = rto.at_most_ms.expect("it came back and was watched");
        prop_assert!(rto.at_least_ms.unwrap() <= truth + ROUNDING, "{rto:?} truth {truth}");
        prop_assert!(at_most + ROUNDING >= truth, "{rto:?} truth {truth}");
        if let Some(outage) = service.outage {
            prop_assert!(outage.at_least_ms <= truth + ROUNDING, "{outage:?} truth {truth}");
            prop_assert!(outage.at_most_ms.unwrap() + ROUNDING >= truth, "{outage:?} truth {truth}");
        }
    }

    #[test]
    fn without_our_own_stalls_the_bounds_are_narrow(plan in plans(shapes())) {
        let plan = Plan { stall: (0, 0), ..plan };
        let record = judge(&plan.history()).unwrap();
        let rto = service(&record).rto;
        let width = rto.at_most_ms.unwrap() - rto.at_least_ms.unwrap();
        // Two intervals, the fault's bracket and two latencies; where slowness is judged, its threshold besides.
        let slow = matches!(plan.shape, Shape::Slow | Shape::Paused | Shape::Dropped);
        let limit = 2.0 * ms(plan.every) + 4.0 + 3.0 + if slow { 80.0 } else { 0.0 };
        prop_assert!(width <= limit, "{rto:?} is {width} wide, limit {limit}");
        prop_assert_eq!(rto.verdict, Verdict::Pass);
    }

    #[test]
    fn a_service_that_never_comes_back_fails_the_drill(plan in plans(Just(Shape::Never))) {
        let plan = Plan { stall: (0, 0), ..plan };
        let record = judge(&plan.history()).unwrap();
        let rto = service(&record).rto;
        prop_assert_eq!(rto.at_most_ms, None);
        prop_assert_eq!((record.verdict, record.exit_code), (Verdict::Fail, 10));
        let waited = ms(plan.back + 3 * WINDOW - plan.fault.2);
        let at_least = rto.at_least_ms.unwrap();
        prop_assert!(at_least <= waited && at_least > waited - 2.0 * ms(plan.every) - 1.0);
    }

    #[test]
    fn the_watch_agrees_with_the_judge(plan in plans(shapes())) {
        let history = plan.history();
        let Event::DrillStarted(start) = &history[0].event else { panic!() };
        let mut watch = RestoreWatch::new(
            &start.streams,
            &start.environment.services,
            start.environment.measure,
        );
        let mut samples: Vec<&Sample> = history
            .iter()
            .filter_map(|entry| match &entry.event {
                Event::Sample(sample) => Some(sample),
                _ => None,
            })
            .collect();
        samples.sort_by_key(|sample| sample.done);
        let mut restored_at = None;
        let mut told = false;
        for sample in samples {
            if !told && sample.done.0 >= plan.fault.2 {
                watch.fault(At(plan.fault.0), At(plan.fault.2));
                told = true;
            }
            watch.feed(sample);
            if restored_at.is_none() && watch.restored() {
                restored_at = Some(sample.done);
            }
        }
        // Cut the history where the watch said so: the judge, knowing no more, agrees.
        let restored_at = restored_at.expect("it came back");
        let mut cut: Vec<Entry> = history
            .iter()
            .filter(|entry| match &entry.event {
                Event::StageStarted(_) => false,
                Event::Sample(sample) => sample.sent <= restored_at,
                _ => true,
            })
            .cloned()
            .collect();
        cut.push(Entry { at: restored_at, event: Event::StageStarted(Stage::Undo) });
        let whole = judge(&history).unwrap();
        let cut = judge(&cut).unwrap();
        prop_assert_eq!(service(&whole).rto, service(&cut).rto);
    }

    #[test]
    fn order_and_unrelated_entries_change_nothing(
        plan in plans(shapes()),
        seed in any::<u64>(),
    ) {
        let mut history = plan.history();
        let record = judge(&history).unwrap();
        let mut noise = Noise(seed);
        for _ in 0..20 {
            let at = At(noise.below(plan.back));
            let text = "unrelated".to_owned();
            history.push(Entry { at, event: Event::Note { text } });
            let (site, kind, detail) = ("dr".into(), "service".into(), "no".into());
            let event = Event::HealthCheckFailed { site, kind, in_a_row: 1, detail };
            history.push(Entry { at, event });
        }
        for index in (1..history.len()).rev() {
            let other = usize::try_from(noise.below(index as u64 + 1)).unwrap();
            history.swap(index, other);
        }
        prop_assert_eq!(judge(&history).unwrap(), record);
    }
}

#[test]
fn ten_minutes_of_failures_every_millisecond_are_judged_without_delay() {
    let plan = Plan {
        shape: Shape::Never,
        every: MS,
        fault: (2_000 * MS, 2_000 * MS, 2_001 * MS),
        back: 600_000 * MS,
        stall: (300_000 * MS, 301_000 * MS),
        seed: 1,
    };
    let history = plan.history();
    let begun = std::time::Instant::now();
    assert_eq!(judge(&history).unwrap().exit_code, 10);
    // About a second in a debug build on a busy host; quadratic would be minutes.
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
}
