//! A small drill to take apart in tests: fault at 5 s, service back at 7 s, undo at 10 s, one write stream at 10 ms.

use std::collections::BTreeMap;
use std::time::Duration;

use drdrill_core::action::Undo;
use drdrill_core::checker::Checker;
use drdrill_core::environment::FoundWrites;
use drdrill_core::event::{
    DrillStarted, Entry, Event, Milestone, Stage, StepOutcome, StreamFacts, When,
};
use drdrill_core::inventory::{EnvironmentFacts, Measure, ServiceFacts};
use drdrill_core::probe::{Connection, Purpose};
use drdrill_core::record::Tool;
use drdrill_core::sample::{Outcome, Sample};
use drdrill_core::scenario::{Failback, Failover, Known, Targets, parse_scenario};
use drdrill_core::time::At;
use drdrill_core::units::{Share, Span};
use drdrill_core::verdict::Verdict;

use super::Rule;

pub(crate) struct Story {
    pub(crate) entries: Vec<Entry>,
}

const EVERY_MS: u64 = 10;
const END_MS: u64 = 11_000;

pub(crate) fn facts(id: u16, name: &str, purpose: Purpose) -> StreamFacts {
    StreamFacts {
        id,
        name: name.into(),
        service: "app".into(),
        purpose,
        connection: Connection::Fresh,
        every_ns: EVERY_MS * 1_000_000,
        deadline_ns: 900_000_000,
        write_bytes: if purpose == Purpose::Write { 64 } else { 0 },
    }
}

pub(crate) fn started(streams: Vec<StreamFacts>, targets: Targets, faults: bool) -> Event {
    let text = if faults {
        "scenario: s\ntitle: T\nkind: simulated\nfaults:\n  - at: 5s\n    inject: { site_loss: { on: primary } }\n"
    } else {
        "scenario: s\ntitle: T\nkind: simulated\nfaults: []\n"
    };
    Event::DrillStarted(Box::new(DrillStarted {
        run_id: "r".into(),
        tool: Tool { version: "0".into(), commit: None },
        scenario: parse_scenario("s", text, &Known::default()).unwrap(),
        scenario_sha256: "00".into(),
        settings: Vec::new(),
        environment: EnvironmentFacts {
            name: "lab".into(),
            provider: "lab".into(),
            emulated: false,
            fingerprint: "f".into(),
            definition: None,
            production: false,
            pin: Vec::new(),
            services: vec![ServiceFacts { name: "app".into(), tier: 1, targets }],
            measure: Measure { sustained: Span(Duration::from_secs(1)) },
            accounts: BTreeMap::new(),
        },
        streams,
        started_at: "2026-01-01T00:00:00Z".into(),
        seed: 1,
    }))
}

pub(crate) fn targets() -> Targets {
    Targets {
        rto: Some(Span(Duration::from_secs(5))),
        rpo: Some(Span(Duration::ZERO)),
        rlo: Some(Share::percent(80)),
    }
}

impl Story {
    pub(crate) fn recovered() -> Self {
        let mut story = Self::bare(true);
        story.stream(0, |ms| !(5_001..7_000).contains(&ms));
        story.fault();
        story.read_back();
        story
    }

    /// As [`Story::recovered`], failed back from 10.1 to 10.5 s, and read back again after it.
    pub(crate) fn failed_back() -> Self {
        let mut story = Self::recovered();
        story.asks_for_failback();
        story.milestone(10_100, Milestone::FailbackStarted);
        story.milestone(10_500, Milestone::FailbackFinished);
        story.read_back_from("primary", When::AfterFailback, 11_000);
        story
    }

    pub(crate) fn without_faults(works: impl Fn(u64) -> bool) -> Self {
        let mut story = Self::bare(false);
        story.stream(0, works);
        story
    }

    pub(crate) fn with_bystander(works: impl Fn(u64) -> bool) -> Self {
        let mut story = Self::recovered();
        let streams =
            vec![facts(0, "write", Purpose::Write), facts(1, "beside", Purpose::Bystander)];
        story.entries[0].event = started(streams, targets(), true);
        story.stream(1, works);
        story
    }

    pub(crate) fn bare(faults: bool) -> Self {
        let streams = vec![facts(0, "write", Purpose::Write)];
        let mut story = Self { entries: Vec::new() };
        story.add(0, started(streams, targets(), faults));
        let finished_at = "2026-01-01T00:00:11Z".into();
        story.add(END_MS + 500, Event::DrillFinished { finished_at });
        story
    }

    /// Attempts every 10 ms, each answered after 1 ms.
    pub(crate) fn stream(&mut self, stream: u16, works: impl Fn(u64) -> bool) {
        for sequence in 0..END_MS / EVERY_MS {
            let ms = sequence * EVERY_MS;
            let outcome = if works(ms) { Outcome::Ok } else { Outcome::Failed("refused".into()) };
            let at = At::from_millis(ms);
            let done = At::from_millis(ms + 1);
            let sample = Sample {
                stream,
                sequence,
                due: at,
                sent: at,
                done,
                outcome,
                decider: None,
                deed: None,
            };
            self.add(ms + 1, Event::Sample(sample));
        }
    }

    pub(super) fn fault(&mut self) {
        let undo = Undo::Nothing { because: "test".into() };
        self.add(
            4_999,
            Event::FaultPlanned {
                id: 1,
                kind: "site_loss".into(),
                target: "primary".into(),
                via: "kill".into(),
                belts: Vec::new(),
                undo,
            },
        );
        let (from, at) = (At::from_millis(5_002), At::from_millis(5_003));
        self.add(5_002, Event::FaultApplying { id: 1, from });
        let proof = "gone".into();
        self.add(5_003, Event::FaultInEffect { id: 1, at, proof });
        self.add(10_000, Event::StageStarted(Stage::Undo));
        let (from, at) = (At::from_millis(10_001), At::from_millis(10_002));
        self.add(10_002, Event::FaultReverted { id: 1, from, at });
    }

    pub(super) fn read_back(&mut self) {
        self.read_back_from("dr", When::AfterRecovery, 9_500);
    }

    fn read_back_from(&mut self, site: &str, when: When, ms: u64) {
        let started = At::from_millis(ms);
        let acked = self.entries.iter().filter_map(|entry| match &entry.event {
            Event::Sample(sample) if sample.outcome.is_ok() && sample.done < started => {
                Some(sample.sequence)
            }
            _ => None,
        });
        let found = FoundWrites { present: acked.collect(), ..FoundWrites::default() };
        self.add(
            ms + 100,
            Event::WritesFound {
                site: site.into(),
                service: "app".into(),
                when,
                started,
                authoritative: true,
                found,
            },
        );
    }

    pub(crate) fn add(&mut self, ms: u64, event: Event) {
        let at = At::from_millis(ms);
        self.entries.push(Entry { at, event });
    }

    pub(crate) fn milestone(&mut self, ms: u64, milestone: Milestone) {
        let at = At::from_millis(ms);
        self.add(ms, Event::Milestone { milestone, at });
    }

    /// All attempts of `stream` sent from .. to fail.
    pub(crate) fn fails(&mut self, stream: u16, from: u64, to: u64) {
        let (from, to) = (At::from_millis(from), At::from_millis(to));
        self.samples(|sample| {
            if sample.stream == stream && sample.sent >= from && sample.sent < to {
                sample.outcome = Outcome::Failed("refused".into());
            }
        });
    }

    pub(crate) fn samples(&mut self, mut change: impl FnMut(&mut Sample)) {
        for entry in &mut self.entries {
            if let Event::Sample(sample) = &mut entry.event {
                change(sample);
            }
        }
    }

    pub(crate) fn drop_samples(&mut self, which: impl Fn(&Sample) -> bool) {
        self.entries
            .retain(|entry| !matches!(&entry.event, Event::Sample(sample) if which(sample)));
    }

    pub(crate) fn found(&mut self, change: impl Fn(&mut FoundWrites)) {
        for entry in &mut self.entries {
            if let Event::WritesFound { found, .. } = &mut entry.event {
                change(found);
            }
        }
    }

    pub(crate) fn lose(&mut self, which: impl Fn(u64) -> bool) {
        self.found(|found| {
            found.present = found.present.iter().filter(|id| !which(*id)).collect();
        });
    }

    pub(crate) fn without_read_back(&mut self) {
        self.entries.retain(|entry| !matches!(entry.event, Event::WritesFound { .. }));
    }

    fn start(&mut self) -> &mut DrillStarted {
        let starts = self.entries.iter_mut().find_map(|entry| match &mut entry.event {
            Event::DrillStarted(start) => Some(start.as_mut()),
            _ => None,
        });
        starts.unwrap()
    }

    pub(crate) fn verify(&mut self, name: &str) {
        self.start().scenario.verify.push(name.into());
    }

    pub(crate) fn targets(&mut self, rto: Duration) {
        self.start().environment.services[0].targets.rto = Some(Span(rto));
    }

    pub(crate) fn failover(&mut self, failover: Failover) {
        self.start().scenario.recovery.failover = failover;
    }

    pub(crate) fn asks_for_failback(&mut self) {
        self.start().scenario.failback =
            Some(Failback { shift: vec![Share::percent(100)], hold: Span(Duration::from_secs(1)) });
    }

    pub(crate) fn step(&mut self, name: &str, ms: u64, outcome: StepOutcome, rollback: bool) {
        let (started, finished) = (At::from_millis(ms), At::from_millis(ms + 20));
        let (name, action, site) = (name.into(), "promote".into(), "dr".into());
        let detail = "seen".into();
        self.add(
            ms + 20,
            Event::Step { name, action, site, started, finished, outcome, rollback, detail },
        );
    }

    pub(crate) fn function(&mut self, name: &str, when: When, ms: u64, verdict: Verdict) {
        self.add(
            ms + 20,
            Event::FunctionChecked {
                name: name.into(),
                site: "dr".into(),
                when,
                started: At::from_millis(ms),
                finished: At::from_millis(ms + 20),
                verdict,
                detail: "seen".into(),
            },
        );
    }
}

pub(crate) fn verdict_of(rule: Rule, story: &Story) -> Verdict {
    let findings = rule.check(&story.entries);
    Verdict::of(findings.iter().map(|finding| finding.verdict))
}
