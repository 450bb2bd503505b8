//! The sampler keeps its word: every slot, once, whatever the probes do.

#![expect(clippy::unwrap_used, reason = "what cannot go on stops")]

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use drdrill_clock::monotonic_nanos;
use drdrill_core::event::StreamFacts;
use drdrill_core::probe::{Connection, Probe, Purpose};
use drdrill_core::sample::{Outcome, Sample};
use drdrill_measure::{HttpProbe, Sampler, SamplerError, StreamPlan, TcpProbe};

#[derive(Debug)]
enum Fake {
    Works,
    Hangs,
    Panics,
    Blocks(Duration),
}

#[async_trait]
impl Probe for Fake {
    async fn attempt(&self, sequence: u64) -> Outcome {
        match self {
            Self::Hangs => std::future::pending().await,
            Self::Panics if sequence == 3 => panic!("planted"),
            Self::Works | Self::Panics => Outcome::Ok,
            Self::Blocks(time) => {
                if sequence == 3 {
                    std::thread::sleep(*time);
                }
                Outcome::Ok
            }
        }
    }
}

fn facts(id: u16, every_ms: u64, deadline_ms: u64) -> StreamFacts {
    StreamFacts {
        id,
        name: format!("s{id}"),
        service: "app".into(),
        purpose: Purpose::Read,
        connection: Connection::Fresh,
        every_ns: every_ms * 1_000_000,
        deadline_ns: deadline_ms * 1_000_000,
        write_bytes: 0,
    }
}

fn run(plans: Vec<(StreamFacts, Arc<dyn Probe>)>, limit: u64) -> Vec<Sample> {
    let plans = plans.into_iter().map(|(facts, probe)| StreamPlan { facts, probe }).collect();
    let samples = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&samples);
    let sink = move |sample| sink.lock().unwrap().push(sample);
    let running = Sampler::start(monotonic_nanos(), plans, Some(limit), sink).unwrap();
    let report = running.wait().unwrap();
    let samples = std::mem::take(&mut *samples.lock().unwrap());
    assert_eq!(report.attempts, samples.len() as u64);
    samples
}

fn every_slot_once(samples: &[Sample], stream: u16, count: u64) {
    let own = samples.iter().filter(|sample| sample.stream == stream);
    let sequences: Vec<u64> = own.map(|sample| sample.sequence).collect();
    let distinct: BTreeSet<u64> = sequences.iter().copied().collect();
    assert_eq!(sequences.len() as u64, count);
    assert_eq!(distinct, (0..count).collect());
}

#[test]
fn every_slot_of_every_stream_becomes_one_sample() {
    let plans: Vec<(StreamFacts, Arc<dyn Probe>)> =
        vec![(facts(0, 2, 100), Arc::new(Fake::Works)), (facts(7, 3, 100), Arc::new(Fake::Works))];
    let samples = run(plans, 100);
    every_slot_once(&samples, 0, 100);
    every_slot_once(&samples, 7, 100);
    for sample in &samples {
        assert!(sample.due <= sample.sent && sample.sent <= sample.done, "{sample:?}");
    }
}

#[test]
fn an_attempt_that_hangs_delays_no_other_and_ends_at_its_deadline() {
    let samples = run(vec![(facts(0, 5, 200), Arc::new(Fake::Hangs))], 40);
    every_slot_once(&samples, 0, 40);
    for sample in &samples {
        let took = sample.done.since(sample.sent);
        assert!(took >= Duration::from_millis(200), "cut off early, after {took:?}");
        match &sample.outcome {
            Outcome::Unknown(why) => assert!(why.contains("deadline of 200ms"), "{why}"),
            // This host stood still.
            Outcome::ProberError(_) => {}
            other => panic!("{other:?}"),
        }
    }
    let first = samples.iter().map(|sample| sample.sent).min().unwrap();
    let last = samples.iter().map(|sample| sample.sent).max().unwrap();
    assert!(last.since(first) < Duration::from_millis(900), "slots waited for each other");
}

#[test]
fn a_panicking_probe_leaves_a_prober_error_and_the_others_alone() {
    let samples = run(vec![(facts(0, 2, 100), Arc::new(Fake::Panics))], 20);
    every_slot_once(&samples, 0, 20);
    let third = samples.iter().find(|sample| sample.sequence == 3).unwrap();
    assert!(matches!(&third.outcome, Outcome::ProberError(why) if why.contains("panicked")));
}

#[test]
fn slots_that_are_late_are_sent_all_the_same_and_are_our_own_error() {
    let stall = Duration::from_millis(60);
    let samples = run(vec![(facts(0, 5, 500), Arc::new(Fake::Blocks(stall)))], 40);
    every_slot_once(&samples, 0, 40);
    let late: Vec<&Sample> = samples
        .iter()
        .filter(|sample| sample.sent.since(sample.due) > Duration::from_millis(5))
        .collect();
    assert!(late.len() >= 9, "{} slots were late", late.len());
    assert!(late.iter().all(|sample| matches!(sample.outcome, Outcome::ProberError(_))));
}

#[test]
fn stopping_waits_for_what_is_under_way() {
    let samples = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&samples);
    let plan = StreamPlan { facts: facts(0, 5, 300), probe: Arc::new(Fake::Hangs) };
    let running = Sampler::start(monotonic_nanos(), vec![plan], None, move |sample| {
        sink.lock().unwrap().push(sample);
    });
    let running = running.unwrap();
    std::thread::sleep(Duration::from_millis(100));
    assert!(!running.ended());
    let report = running.stop().unwrap();
    let samples: Vec<Sample> = std::mem::take(&mut *samples.lock().unwrap());
    every_slot_once(&samples, 0, report.attempts);
    assert!(report.busiest > 5, "{report:?}");
}

#[test]
fn nothing_to_sample_is_an_error() {
    let error = Sampler::start(0, Vec::new(), None, |_| {}).unwrap_err();
    assert!(matches!(error, SamplerError::NoStreams));
}

#[test]
fn a_closed_port_is_refused_for_both_probes() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let http = HttpProbe::new("GET", &format!("http://127.0.0.1:{port}/")).unwrap();
    let tcp = TcpProbe::new(&format!("127.0.0.1:{port}")).unwrap();
    let plans: Vec<(StreamFacts, Arc<dyn Probe>)> =
        vec![(facts(0, 20, 500), Arc::new(http)), (facts(1, 20, 500), Arc::new(tcp))];
    for sample in run(plans, 10) {
        match &sample.outcome {
            Outcome::Failed(why) => assert!(why.contains("refused"), "{why}"),
            Outcome::ProberError(why) => assert!(why.contains("late"), "{why}"),
            other => panic!("{other:?}"),
        }
    }
}
