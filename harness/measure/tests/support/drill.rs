//! A drill without an engine: sample, break, repair, judge.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use drdrill_clock::monotonic_nanos;
use drdrill_core::action::Undo;
use drdrill_core::event::{DrillStarted, Entry, Event, Stage, StreamFacts};
use drdrill_core::inventory::{EnvironmentFacts, Measure, ServiceFacts};
use drdrill_core::probe::{Connection, Probe, Purpose};
use drdrill_core::record::{Record, Tool};
use drdrill_core::sample::Sample;
use drdrill_core::scenario::{Known, Targets, parse_scenario};
use drdrill_core::time::At;
use drdrill_core::units::Span;
use drdrill_measure::{HttpProbe, RestoreWatch, Sampler, StreamPlan, judge};

use super::Bracket;

const SCENARIO: &str = "scenario: planted\ntitle: Planted\nkind: simulated\nfaults:\n  - at: 1s\n    inject: { site_loss: { on: primary } }\n";

/// A stream that reads over fresh connections.
pub fn facts(every: Duration, deadline: Duration) -> StreamFacts {
    StreamFacts {
        id: 0,
        name: "read".into(),
        service: "app".into(),
        purpose: Purpose::Read,
        connection: Connection::Fresh,
        every_ns: every.as_nanos().try_into().unwrap(),
        deadline_ns: deadline.as_nanos().try_into().unwrap(),
        write_bytes: 0,
    }
}

/// A probe of the planted server that sees through a 200 with an error in it.
pub fn probe(port: u16, connection: Connection) -> Arc<dyn Probe> {
    let probe = HttpProbe::new("GET", &format!("http://127.0.0.1:{port}/")).unwrap();
    Arc::new(probe.connection(connection).body_contains("ok"))
}

/// A running drill.
pub struct Drill {
    origin: u64,
    start: DrillStarted,
    samples: Arc<Mutex<Vec<Sample>>>,
    sampler: Sampler,
    watch: RestoreWatch,
    fed: usize,
    fault: Option<Bracket>,
}

impl Drill {
    /// Begins to sample.
    pub fn start(facts: StreamFacts, probe: Arc<dyn Probe>, sustained: Duration) -> Self {
        let origin = monotonic_nanos();
        let samples = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&samples);
        let services =
            vec![ServiceFacts { name: "app".into(), tier: 1, targets: Targets::default() }];
        let measure = Measure { sustained: Span(sustained) };
        let watch = RestoreWatch::new(std::slice::from_ref(&facts), &services, measure);
        let start = DrillStarted {
            run_id: "planted".into(),
            tool: Tool { version: "0".into(), commit: None },
            scenario: parse_scenario("planted", SCENARIO, &Known::default()).unwrap(),
            scenario_sha256: String::new(),
            settings: Vec::new(),
            environment: EnvironmentFacts {
                name: "planted".into(),
                provider: "host".into(),
                emulated: false,
                fingerprint: String::new(),
                definition: None,
                production: false,
                pin: Vec::new(),
                services,
                measure,
                accounts: std::collections::BTreeMap::new(),
            },
            streams: vec![facts.clone()],
            started_at: String::new(),
            seed: 0,
        };
        let plan = StreamPlan { facts, probe };
        let sink = move |sample| sink.lock().unwrap().push(sample);
        let running = Sampler::start(origin, vec![plan], None, sink).unwrap();
        Self { origin, start, samples, sampler: running, watch, fed: 0, fault: None }
    }

    /// Reading of the monotonic clock at its start.
    pub fn origin(&self) -> u64 {
        self.origin
    }

    fn at(&self, nanos: u64) -> At {
        At(nanos - self.origin)
    }

    /// Says that the service was broken then.
    pub fn fault(&mut self, fault: Bracket) {
        self.fault = Some(fault);
        self.watch.fault(self.at(fault.0), self.at(fault.1));
    }

    /// Waits until the watch calls the service restored.
    pub fn wait_restored(&mut self, patience: Duration) {
        let end = monotonic_nanos() + u64::try_from(patience.as_nanos()).unwrap();
        while !self.restored() {
            assert!(monotonic_nanos() < end, "not restored within {patience:?}");
            super::pass(Duration::from_millis(20));
        }
    }

    fn restored(&mut self) -> bool {
        let samples = self.samples.lock().unwrap();
        samples[self.fed..].iter().for_each(|sample| self.watch.feed(sample));
        self.fed = samples.len();
        self.watch.restored()
    }

    /// Ends the drill and judges it.
    pub fn finish(self) -> (Record, Vec<Sample>) {
        let ended = self.at(monotonic_nanos());
        self.sampler.stop().unwrap();
        let samples = std::mem::take(&mut *self.samples.lock().unwrap());
        let mut history = Vec::new();
        let mut add = |at, event| history.push(Entry { at, event });
        add(At(0), Event::DrillStarted(Box::new(self.start)));
        let (from, at) = self.fault.unwrap();
        let (from, at) = (At(from - self.origin), At(at - self.origin));
        let (kind, target, via) = ("site_loss".into(), "primary".into(), "test".into());
        let undo = Undo::Nothing { because: "test".into() };
        add(from, Event::FaultPlanned { id: 1, kind, target, via, belts: Vec::new(), undo });
        add(from, Event::FaultApplying { id: 1, from });
        add(at, Event::FaultInEffect { id: 1, at, proof: "seen".into() });
        for sample in samples.iter().cloned() {
            add(sample.done, Event::Sample(sample));
        }
        add(ended, Event::StageStarted(Stage::Undo));
        let end = At(monotonic_nanos() - self.origin);
        add(end, Event::DrillFinished { finished_at: String::new() });
        (judge(&history).unwrap(), samples)
    }
}

/// The truth about an outage: brackets of its beginning and of its end.
#[derive(Clone, Copy, Debug)]
pub struct Truth {
    pub broken: Bracket,
    pub back: Bracket,
}

impl Truth {
    /// Length in milliseconds, from the middle of one bracket to the middle of the other.
    pub fn ms(&self) -> f64 {
        let middle = |(before, after): Bracket| Duration::from_nanos(u64::midpoint(before, after));
        middle(self.back).saturating_sub(middle(self.broken)).as_secs_f64() * 1e3
    }

    /// Half the width of both brackets in milliseconds: how far the middle may be off the truth.
    pub fn doubt(&self) -> f64 {
        let nanos = self.back.1 - self.back.0 + self.broken.1 - self.broken.0;
        Duration::from_nanos(nanos / 2).as_secs_f64() * 1e3
    }
}

/// Whether recovery time and outage of the record contain the truth.
pub fn contains(record: &Record, truth: &Truth) -> Result<(f64, f64), String> {
    let service = &record.services[0];
    let (rto, truth_ms) = (service.rto, truth.ms());
    let bounds = rto.at_least_ms.zip(rto.at_most_ms);
    let (at_least, at_most) = bounds.ok_or(format!("not measured: {:?}", record.reasons))?;
    let outage = service.outage.ok_or("no outage was seen")?;
    let inside = |at_least: f64, at_most: f64| at_least <= truth_ms && truth_ms <= at_most;
    // The outage has no bracket of the fault in it to make up for the doubt about the truth.
    let doubt = truth.doubt();
    let outage_most = outage.at_most_ms.unwrap_or(f64::INFINITY);
    if inside(at_least, at_most) && inside(outage.at_least_ms - doubt, outage_most + doubt) {
        Ok((at_least, at_most))
    } else {
        Err(format!("truth {truth_ms:.3} ± {doubt:.3} ms, {rto:?}, {outage:?}"))
    }
}
