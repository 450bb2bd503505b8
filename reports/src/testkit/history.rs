//! The events of the sample run.

use std::sync::Arc;

use drdrill_core::action::{Belt, Undo};
use drdrill_core::environment::FoundWrites;
use drdrill_core::event::{
    DrillStarted, Entry, Event, Milestone, Stage, StepOutcome, StreamFacts, SystemState, When,
};
use drdrill_core::inventory::{EnvironmentFacts, Measure, ServiceFacts};
use drdrill_core::probe::{Connection, Purpose};
use drdrill_core::record::Tool;
use drdrill_core::sample::{Outcome, Sample};
use drdrill_core::scenario::Targets;
use drdrill_core::time::At;
use drdrill_core::verdict::Verdict;

use super::Case;

/// JSON, so that nothing but the shape of the type is asked for.
const SCENARIO: &str = r#"{
    "scenario": "complete_site_failure",
    "title": "The primary site is lost",
    "kind": "simulated",
    "targets": { "rto": "1h", "rpo": "15min", "rlo": "80%" },
    "faults": [{ "at": "5s", "inject": { "site_loss": { "on": "primary" } } }],
    "verify": ["application_availability", "user_authentication", "data_access", "job_submission"],
    "failback": { "shift": ["10%", "25%", "50%", "75%", "100%"], "hold": "2s" }
}"#;

pub(super) const RUN_ID: &str = "01997a3e-6f0c-7d52-9a41-5d1c0c8e2b77";

/// The parts of a stream that differ: name, purpose, connection.
const STREAMS: [(&str, Purpose, Connection); 4] = [
    ("write", Purpose::Write, Connection::Fresh),
    ("read", Purpose::Read, Connection::Fresh),
    ("read-kept", Purpose::Read, Connection::Kept),
    ("bystander", Purpose::Bystander, Connection::Fresh),
];

pub(super) fn history(case: Case, per_second: u64) -> Vec<Entry> {
    let mut entries = vec![at(0, started(per_second))];
    entries.extend(lead_in());
    entries.extend(fault(case));
    if case != Case::Invalid {
        entries.extend(recovery(case));
    }
    entries.extend(ending(case));
    for stream in 0..4 {
        entries.extend(samples(case, stream, per_second));
    }
    entries.sort_by_key(|entry| entry.at);
    entries.push(at(
        61_840,
        Event::DrillFinished { finished_at: "2026-03-14T09:27:54.840Z".to_owned() },
    ));
    entries
}

fn at(millis: u64, event: Event) -> Entry {
    Entry { at: At::from_millis(millis), event }
}

fn started(per_second: u64) -> Event {
    let facts =
        |(id, (name, purpose, connection)): (usize, (&str, Purpose, Connection))| StreamFacts {
            id: u16::try_from(id).unwrap_or(0),
            name: name.to_owned(),
            service: if purpose == Purpose::Bystander { "billing" } else { "orders" }.to_owned(),
            purpose,
            connection,
            every_ns: 1_000_000_000 / per_second,
            deadline_ns: 900_000_000,
            write_bytes: if purpose == Purpose::Write { 512 } else { 0 },
        };
    Event::DrillStarted(Box::new(DrillStarted {
        run_id: RUN_ID.to_owned(),
        tool: tool(),
        scenario: serde_json::from_str(SCENARIO).expect("the sample scenario is valid"),
        scenario_sha256: "9f2c1d7be0a35c4487f6a1e2d3904b5c6d7e8f90a1b2c3d4e5f60718293a4b5c"
            .to_owned(),
        settings: Vec::new(),
        environment: EnvironmentFacts {
            name: "lab".to_owned(),
            provider: "lab".to_owned(),
            emulated: false,
            fingerprint: "lab/two-sites/2f6b".to_owned(),
            definition: None,
            production: false,
            pin: Vec::new(),
            services: vec![ServiceFacts {
                name: "orders".to_owned(),
                tier: 1,
                targets: Targets::default(),
            }],
            measure: Measure::default(),
            accounts: std::collections::BTreeMap::new(),
        },
        streams: STREAMS.into_iter().enumerate().map(facts).collect(),
        started_at: "2026-03-14T09:26:53.000Z".to_owned(),
        seed: 4_242,
    }))
}

pub(super) fn tool() -> Tool {
    Tool { version: "0.1.0".to_owned(), commit: Some("9de37f0".to_owned()) }
}

fn lead_in() -> Vec<Entry> {
    let lag = Event::ReplicationLag { site: "dr".to_owned(), lag_ms: Some(250) };
    vec![
        at(1, Event::StageStarted(Stage::Preparing)),
        at(40, Event::StageStarted(Stage::Baseline)),
        at(4_900, lag),
        at(4_990, Event::StageStarted(Stage::Fault)),
    ]
}

fn fault(case: Case) -> Vec<Entry> {
    let planned = Event::FaultPlanned {
        id: 1,
        kind: "site_loss".to_owned(),
        target: "primary".to_owned(),
        via: "SIGKILL of 3 processes, Toxiproxy down".to_owned(),
        belts: vec![Belt::Kernel, Belt::Journal],
        undo: Undo::Nothing { because: "sample".to_owned() },
    };
    let applying = Event::FaultApplying { id: 1, from: At(5_000_210_000) };
    let seen = if case == Case::Invalid {
        Event::FaultWithoutEffect {
            id: 1,
            detail: "GET http://127.0.0.1:41873/health answers 200".to_owned(),
        }
    } else {
        Event::FaultInEffect {
            id: 1,
            at: At(5_012_870_000),
            proof: "3 pidfds readable; connect to 127.0.0.1:41873 refused".to_owned(),
        }
    };
    vec![at(4_995, planned), at(5_000, applying), at(5_013, seen)]
}

fn step(name: &str, action: &str, site: &str, from: u64, to: u64, detail: &str) -> Entry {
    let event = Event::Step {
        name: name.to_owned(),
        action: action.to_owned(),
        site: site.to_owned(),
        started: At::from_millis(from),
        finished: At::from_millis(to),
        outcome: StepOutcome::Done,
        rollback: false,
        detail: detail.to_owned(),
    };
    at(to, event)
}

fn milestone(millis: u64, milestone: Milestone) -> Entry {
    let at_millis = At::from_millis(millis);
    at(millis, Event::Milestone { milestone, at: at_millis })
}

fn state(millis: u64, from: SystemState, to: SystemState, reason: &str) -> Entry {
    let reason = reason.to_owned();
    at(millis, Event::StateChanged { from, to, reason })
}

fn recovery(case: Case) -> Vec<Entry> {
    let check = |in_a_row: u32| {
        let event = Event::HealthCheckFailed {
            site: "primary".to_owned(),
            kind: "service".to_owned(),
            in_a_row,
            detail: "connect to 127.0.0.1:41873: connection refused".to_owned(),
        };
        at(5_000 + u64::from(in_a_row) * 660, event)
    };
    let mut entries = vec![
        at(5_014, Event::StageStarted(Stage::Recovery)),
        check(1),
        check(2),
        check(3),
        state(5_660, SystemState::Healthy, SystemState::Degraded, "service of primary fails"),
        milestone(7_000, Milestone::Detected),
        milestone(7_020, Milestone::Decided),
        state(7_021, SystemState::Degraded, SystemState::FailingOver, "3 failures in a row"),
        step("fence_primary", "fence", "primary", 7_022, 7_130, "unreachable; its lease ended"),
    ];
    if case == Case::NeverRecovered {
        return entries;
    }
    entries.extend([
        step("promote_dr", "promote", "dr", 7_131, 7_905, "epoch 2, position 2,238"),
        step("warm_caches", "warm", "dr", 7_906, 8_320, "64 of 64 keys"),
        step("shift_traffic", "traffic", "dr", 8_321, 8_500, "dr takes 100 %"),
        milestone(8_500, Milestone::FailedOver),
        state(8_501, SystemState::FailingOver, SystemState::FailedOver, "plan carried out"),
        at(8_900, Event::StageStarted(Stage::Soak)),
    ]);
    entries.extend(functions(case, When::AfterRecovery, "dr", 9_000));
    entries.push(found(When::AfterRecovery, "dr", 13_000));
    entries
}

fn functions(case: Case, when: When, site: &str, from: u64) -> Vec<Entry> {
    let function = |(number, (name, took)): (u64, (&str, u64))| {
        let started = from + number * 450;
        let broken = case == Case::Failed && name == "job_submission";
        let event = Event::FunctionChecked {
            name: name.to_owned(),
            site: site.to_owned(),
            when,
            started: At::from_millis(started),
            finished: At::from_millis(started + took),
            verdict: if broken { Verdict::Fail } else { Verdict::Pass },
            detail: if broken {
                "sbatch: error: Batch job submission failed: Unable to contact slurm controller"
            } else {
                "as before the fault"
            }
            .to_owned(),
        };
        at(started + took, event)
    };
    let names =
        ["application_availability", "user_authentication", "data_access", "job_submission"];
    let took = [4, 11, 23, 412];
    (0..).zip(names.into_iter().zip(took)).map(function).collect()
}

fn found(when: When, site: &str, millis: u64) -> Entry {
    let event = Event::WritesFound {
        site: site.to_owned(),
        service: "orders".to_owned(),
        when,
        authoritative: true,
        started: At::from_millis(millis - 200),
        found: FoundWrites {
            present: (0..238).chain(426..640).collect(),
            ..FoundWrites::default()
        },
    };
    at(millis, event)
}

fn ending(case: Case) -> Vec<Entry> {
    let mut entries = vec![at(20_000, Event::StageStarted(Stage::Undo))];
    let undone = if case == Case::Stuck {
        Event::FaultStuck {
            id: 1,
            error: "start primary/database: the data directory is locked by another process"
                .to_owned(),
            residue: vec![
                "proxy primary-service is disabled".to_owned(),
                "process primary/database is not running".to_owned(),
            ],
            by_hand: super::judged::BY_HAND.to_owned(),
        }
    } else {
        Event::FaultReverted { id: 1, from: At::from_millis(20_001), at: At::from_millis(20_740) }
    };
    entries.push(at(20_741, undone));
    if matches!(case, Case::Passed | Case::Failed | Case::Unknown) {
        entries.extend([
            at(24_990, Event::StageStarted(Stage::Failback)),
            milestone(25_000, Milestone::FailbackStarted),
            state(25_001, SystemState::FailedOver, SystemState::FailingBack, "original is healthy"),
            step(
                "resync_primary",
                "follow",
                "primary",
                25_002,
                26_400,
                "caught up at position 3,140",
            ),
            step(
                "shift_traffic_back",
                "traffic",
                "primary",
                26_401,
                35_000,
                "10, 25, 50, 75, 100 %",
            ),
            milestone(35_000, Milestone::FailbackFinished),
            state(35_001, SystemState::FailingBack, SystemState::Healthy, "primary takes 100 %"),
        ]);
        entries.extend(functions(Case::Passed, When::AfterFailback, "primary", 36_000));
        entries.push(found(When::AfterFailback, "primary", 60_500));
    }
    entries.push(at(60_010, Event::StageStarted(Stage::Audit)));
    entries.push(at(61_000, Event::StageStarted(Stage::Closing)));
    entries
}

/// Numbers that look random and are the same every time.
struct Dice(u64);

impl Dice {
    /// From 0 to 1.
    fn roll(&mut self) -> f64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        #[expect(clippy::cast_precision_loss, reason = "24 bits")]
        let share = (self.0 >> 40) as f64 / (1_u64 << 24) as f64;
        share
    }
}

fn samples(case: Case, stream: u16, per_second: u64) -> Vec<Entry> {
    let mut dice = Dice(u64::from(stream) + 17);
    let every = 1_000_000_000 / per_second;
    let sample = |sequence: u64| {
        let due = At(60_000_000 + sequence * every + u64::from(stream) * every / 7);
        let (lateness, outcome, took_ms) = attempt(case, stream, due.ms(), &mut dice);
        let sent = At(due.0 + lateness);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "below a second"
        )]
        let done = At(sent.0 + (took_ms * 1e6) as u64);
        let sample =
            Sample { stream, sequence, due, sent, done, outcome, decider: None, deed: None };
        Entry { at: done, event: Event::Sample(sample) }
    };
    (0..60 * per_second - per_second / 10).map(sample).collect()
}

fn attempt(case: Case, stream: u16, due_ms: f64, dice: &mut Dice) -> (u64, Outcome, f64) {
    let (luck, more_luck) = (dice.roll(), dice.roll());
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a fraction of a millisecond"
    )]
    let lateness = (more_luck * more_luck * 300_000.0) as u64;
    let calm = 1.6 + 1.4 * luck + 6.0 * luck.powi(12);
    if stream == 3 || case == Case::Invalid {
        return (lateness, Outcome::Ok, calm);
    }
    let back = match (case, stream) {
        (Case::NeverRecovered, _) => f64::INFINITY,
        (_, 2) => 11_950.0,
        _ => 8_502.0,
    };
    if case == Case::Failed && (40_000.0..40_100.0).contains(&due_ms) {
        let error = Outcome::ProberError(Arc::from("late by 31 ms"));
        return (31_000_000, error, 0.0);
    }
    if (5_003.0..back).contains(&due_ms) {
        let outcome = if stream == 2 {
            return (lateness, Outcome::Unknown(Arc::from("no answer within 900 ms")), 900.0);
        } else if due_ms < 5_040.0 {
            Outcome::Failed(Arc::from("connection reset by peer"))
        } else {
            Outcome::Failed(Arc::from("connection refused"))
        };
        return (lateness, outcome, 0.3 + luck);
    }
    // One lone failure, which must not disappear however coarse the chart.
    if case == Case::Failed && stream == 1 && (47_000.0..47_020.0).contains(&due_ms) {
        return (lateness, Outcome::Failed(Arc::from("503 Service Unavailable")), 2.0);
    }
    let cold = if due_ms > back { 22.0 * (-(due_ms - back) / 1_800.0).exp() } else { 0.0 };
    let resync = if (25_000.0..35_000.0).contains(&due_ms) { 2.0 + 3.0 * luck } else { 0.0 };
    (lateness, Outcome::Ok, calm + cold * (0.5 + luck) + resync)
}
