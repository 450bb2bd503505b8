//! The judgement of the sample run.

use drdrill_core::checker::{Finding, Severity};
use drdrill_core::event::{Entry, Event, StepOutcome, When};
use drdrill_core::notice::{self, NoticeKind};
use drdrill_core::probe::Connection;
use drdrill_core::record::{
    EnvironmentRef, Fault, Functionality, Interval, Latency, Leftover, Phases, Record, Rlo, Rpo,
    Rto, SCHEMA, Samples, ScenarioRef, Service, ServiceWayBack, Step, Stream, ToldOf, WayBack,
    Writes,
};
use drdrill_core::sample::Outcome;
use drdrill_core::scenario::Kind;
use drdrill_core::verdict::Verdict;

use super::Case;
use super::history::{RUN_ID, tool};

/// What a person would type in the stuck case.
pub(super) const BY_HAND: &str = "curl -X POST http://127.0.0.1:8474/proxies/primary-service -d '{\"enabled\":true}'\ndrdrill recover 01997a3e";

const F_BEFORE: f64 = 5_000.21;
const F_AFTER: f64 = 5_012.87;

pub(super) fn record(case: Case, history: &[Entry]) -> Record {
    let service = service(case, history);
    let leftovers = leftovers(case);
    let functionality = functionality(history);
    let verdict = verdict(case);
    Record {
        schema: SCHEMA.to_owned(),
        run_id: RUN_ID.to_owned(),
        scenario: ScenarioRef {
            name: "complete_site_failure".to_owned(),
            title: "The primary site is lost".to_owned(),
            sha256: "9f2c1d7be0a35c4487f6a1e2d3904b5c6d7e8f90a1b2c3d4e5f60718293a4b5c".to_owned(),
            must_fail: false,
            settings: Vec::new(),
        },
        environment: EnvironmentRef {
            name: "lab".to_owned(),
            provider: "lab".to_owned(),
            emulated: false,
            fingerprint: "lab/two-sites/2f6b".to_owned(),
            definition: None,
            production: false,
            pin: Vec::new(),
        },
        kind: Kind::Simulated,
        tool: tool(),
        started_at: "2026-03-14T09:26:53.000Z".to_owned(),
        finished_at: Some("2026-03-14T09:27:54.840Z".to_owned()),
        duration_ms: 61_840.0,
        seed: 4_242,
        verdict,
        exit_code: match (case, verdict) {
            (Case::Stuck, _) => 12,
            (_, Verdict::Pass) => 0,
            (_, Verdict::Fail) => 10,
            (_, Verdict::Unknown) => 11,
        },
        reasons: reasons(case),
        services: vec![service],
        faults: vec![fault(case)],
        steps: steps(history),
        phases: phases(case),
        functionality,
        bystanders: vec![stream(history, 3, "bystander", Connection::Fresh, None)],
        failback: way_back(case, history),
        replication_lag_ms: Some(250),
        split_brain: Vec::new(),
        findings: findings(case),
        tabletop: None,
        runbook: None,
        notices: notices(case),
        recommendations: Vec::new(),
        leftovers,
    }
}

const fn verdict(case: Case) -> Verdict {
    match case {
        Case::Passed | Case::Stuck => Verdict::Pass,
        Case::Failed | Case::NeverRecovered => Verdict::Fail,
        Case::Unknown | Case::Invalid => Verdict::Unknown,
    }
}

fn reasons(case: Case) -> Vec<String> {
    let reasons: &[&str] = match case {
        Case::Passed | Case::Stuck => &[],
        Case::Failed => &[
            "orders: recovery time at least 3.469 s, target 3 s",
            "orders: an acknowledged write at least 235 ms old was lost, target 100 ms",
            "job_submission fails after recovery",
        ],
        Case::Unknown => &["orders: target 3.5 s lies between 3.469 s and 3.523 s"],
        Case::NeverRecovered => &["orders did not come back within 54.9 s"],
        Case::Invalid => &["fault 1 (site_loss on primary) was never seen in effect"],
    };
    reasons.iter().map(ToString::to_string).collect()
}

fn service(case: Case, history: &[Entry]) -> Service {
    let never = case == Case::NeverRecovered;
    let invalid = case == Case::Invalid;
    let outage = |to: f64| {
        (!invalid).then_some(Interval {
            at_least_ms: if never { 54_880.0 } else { to - 21.0 },
            at_most_ms: (!never).then_some(to + 22.4),
        })
    };
    let streams = vec![
        stream(history, 0, "write", Connection::Fresh, outage(3_479.0)),
        stream(history, 1, "read", Connection::Fresh, outage(3_484.0)),
        stream(history, 2, "read-kept", Connection::Kept, outage(6_951.0)),
    ];
    let samples = streams.iter().fold(Samples::default(), |sum, stream| add(sum, stream.samples));
    let measured = !never && !invalid;
    Service {
        name: "orders".to_owned(),
        tier: 1,
        rto: Rto {
            target_ms: Some(match case {
                Case::Failed => 3_000.0,
                Case::Unknown => 3_500.0,
                Case::NeverRecovered => 30_000.0,
                _ => 3_600_000.0,
            }),
            at_least_ms: (!invalid).then_some(if never { 54_934.4 } else { 3_469.3 }),
            at_most_ms: measured.then_some(3_522.9),
            verdict: verdict(case),
        },
        outage: outage(3_484.0),
        first_success_ms: measured.then_some(3_509.1),
        lost_service_ms: (!invalid).then_some(if never { 54_880.0 } else { 3_702.0 }),
        flaps: u32::from(case == Case::Failed),
        rpo: Some(rpo(case)),
        consistency: None,
        rlo: Rlo {
            target: Some(0.8),
            achieved: measured.then_some(0.96),
            verdict: if measured { Verdict::Pass } else { Verdict::Unknown },
        },
        samples,
        streams,
    }
}

fn rpo(case: Case) -> Rpo {
    let measured = !matches!(case, Case::NeverRecovered | Case::Invalid);
    let failed = case == Case::Failed;
    Rpo {
        target_ms: Some(if failed { 100.0 } else { 900_000.0 }),
        at_least_ms: measured.then_some(235.2),
        at_most_ms: measured.then_some(251.9),
        verdict: if failed {
            Verdict::Fail
        } else if measured {
            Verdict::Pass
        } else {
            Verdict::Unknown
        },
        writes: Writes {
            acknowledged: 2_819,
            lost: if measured { 12 } else { 0 },
            duplicate: 0,
            phantom: 0,
            corrupt: u64::from(failed),
            resurrected: 0,
            recovered: 1,
            unresolved: 2,
        },
        lost_bytes: if measured { 12 * 512 } else { 0 },
        lost_after_fault: if failed { 2 } else { 0 },
        span_ms: 220.4,
        holes: 0,
        resolution_ms: Some(20.1),
        failback_lost: matches!(case, Case::Passed | Case::Failed | Case::Unknown)
            .then_some(u64::from(failed) * 3),
    }
}

const fn add(a: Samples, b: Samples) -> Samples {
    Samples {
        sent: a.sent + b.sent,
        ok: a.ok + b.ok,
        failed: a.failed + b.failed,
        unknown: a.unknown + b.unknown,
        prober_error: a.prober_error + b.prober_error,
    }
}

fn stream(
    history: &[Entry],
    id: u16,
    name: &str,
    connection: Connection,
    outage: Option<Interval>,
) -> Stream {
    let mut samples = Samples::default();
    for entry in history {
        let Event::Sample(sample) = &entry.event else {
            continue;
        };
        if sample.stream != id {
            continue;
        }
        samples.sent += 1;
        match sample.outcome {
            Outcome::Ok => samples.ok += 1,
            Outcome::Failed(_) => samples.failed += 1,
            Outcome::Unknown(_) => samples.unknown += 1,
            Outcome::ProberError(_) => samples.prober_error += 1,
        }
    }
    Stream {
        name: name.to_owned(),
        connection,
        samples,
        outage,
        baseline_latency: Some(Latency { p50_ms: 2.31, p99_ms: 8.04, max_ms: 8.97 }),
        worst_lateness_ms: if samples.prober_error > 0 { 31.0 } else { 0.3 },
    }
}

fn way_back(case: Case, history: &[Entry]) -> Option<WayBack> {
    if case == Case::Invalid {
        return None;
    }
    let later: Vec<Entry> = history
        .iter()
        .filter(|entry| match &entry.event {
            Event::Sample(sample) => sample.sent.ms() >= 20_000.0,
            _ => false,
        })
        .cloned()
        .collect();
    let counts = |id, name| stream(&later, id, name, Connection::Fresh, None).samples;
    let samples = add(counts(0, "write"), counts(1, "read"));
    let failed = samples.failed + samples.unknown;
    #[expect(clippy::cast_precision_loss, reason = "some thousands")]
    let failed_share = failed as f64 / (failed + samples.ok) as f64;
    // The lone failure at 47 s.
    let lone = case == Case::Failed;
    Some(WayBack {
        from_ms: 20_000.0,
        to_ms: 59_960.0,
        services: vec![ServiceWayBack {
            name: "orders".to_owned(),
            outage: lone.then_some(Interval { at_least_ms: 0.0, at_most_ms: Some(42.3) }),
            stream: lone.then(|| "read".to_owned()),
            samples,
            failed_share: Some(failed_share),
            lost: rpo(case).failback_lost,
        }],
    })
}

fn fault(case: Case) -> Fault {
    let effective = case != Case::Invalid;
    Fault {
        id: 1,
        kind: "site_loss".to_owned(),
        target: "primary".to_owned(),
        via: "SIGKILL of 3 processes, Toxiproxy down".to_owned(),
        belts: vec!["kernel".to_owned(), "journal".to_owned()],
        applied_ms: Some(F_BEFORE),
        in_effect_ms: effective.then_some(F_AFTER),
        reverted_ms: (case != Case::Stuck).then_some(20_740.0),
        proof: Some(
            if effective {
                "3 pidfds readable; connect to 127.0.0.1:41873 refused"
            } else {
                "GET http://127.0.0.1:41873/health answers 200"
            }
            .to_owned(),
        ),
    }
}

fn phases(case: Case) -> Phases {
    let mut phases = Phases {
        fault_ms: Some(F_BEFORE),
        first_error_ms: Some(5_020.3),
        detected_ms: Some(7_000.0),
        decided_ms: Some(7_020.0),
        failed_over_ms: Some(8_500.0),
        restored_ms: Some(8_523.1),
        full_capacity_ms: Some(9_420.0),
        failback_started_ms: Some(25_000.0),
        failback_finished_ms: Some(35_000.0),
    };
    match case {
        Case::NeverRecovered => {
            phases.failed_over_ms = None;
            phases.restored_ms = None;
            phases.full_capacity_ms = None;
            phases.failback_started_ms = None;
            phases.failback_finished_ms = None;
        }
        Case::Stuck => {
            phases.failback_started_ms = None;
            phases.failback_finished_ms = None;
        }
        Case::Invalid => phases = Phases::default(),
        Case::Passed | Case::Failed | Case::Unknown => {}
    }
    phases
}

fn steps(history: &[Entry]) -> Vec<Step> {
    let step = |entry: &Entry| match &entry.event {
        Event::Step { name, action, site, started, finished, outcome, detail, .. } => Some(Step {
            name: name.clone(),
            action: action.clone(),
            site: site.clone(),
            started_ms: started.ms(),
            finished_ms: finished.ms(),
            outcome: *outcome,
            rolled_back: false,
            detail: detail.clone(),
        }),
        _ => None,
    };
    let mut steps: Vec<Step> = history.iter().filter_map(step).collect();
    let promoted = steps.iter().any(|step| step.name == "promote_dr");
    if !promoted && let Some(last) = steps.last_mut() {
        last.outcome = StepOutcome::Failed;
        "no answer from the storage controller within 1 min".clone_into(&mut last.detail);
        last.rolled_back = true;
    }
    steps
}

fn functionality(history: &[Entry]) -> Vec<Functionality> {
    let before =
        ["application_availability", "user_authentication", "data_access", "job_submission"]
            .into_iter()
            .zip([3.9, 10.2, 21.0, 398.0])
            .map(|(name, took_ms)| Functionality {
                name: name.to_owned(),
                site: "primary".to_owned(),
                when: When::BeforeFault,
                outcome: Verdict::Pass,
                took_ms,
                detail: "works".to_owned(),
            });
    let checked = |entry: &Entry| match &entry.event {
        Event::FunctionChecked { name, site, when, started, finished, verdict, detail } => {
            Some(Functionality {
                name: name.clone(),
                site: site.clone(),
                when: *when,
                outcome: *verdict,
                took_ms: finished.ms() - started.ms(),
                detail: detail.clone(),
            })
        }
        _ => None,
    };
    before.chain(history.iter().filter_map(checked)).collect()
}

fn findings(case: Case) -> Vec<Finding> {
    let mut findings = vec![Finding {
        checker: "linearizable_registers".to_owned(),
        verdict: Verdict::Pass,
        severity: Severity::Info,
        message: "64 keys, 2,819 writes, 5,640 reads: every read is explained".to_owned(),
    }];
    if case == Case::Failed {
        findings.push(Finding {
            checker: "acknowledged_writes".to_owned(),
            verdict: Verdict::Fail,
            severity: Severity::Critical,
            message: "write 231 is present with other content (crc 5f1e0c22, expected 9ab4410d)"
                .to_owned(),
        });
    }
    findings
}

fn notices(case: Case) -> Vec<ToldOf> {
    if case != Case::Stuck {
        return Vec::new();
    }
    let told = |to: &str, by: &str, error: Option<&str>| ToldOf {
        to: to.to_owned(),
        by: by.to_owned(),
        kind: NoticeKind::LeftInPlace,
        severity: notice::Severity::Critical,
        due_ms: 41_250.0,
        error: error.map(str::to_owned),
    };
    vec![told("team", "email", None), told("chat", "webhook", Some("Connection refused"))]
}

fn leftovers(case: Case) -> Vec<Leftover> {
    if case != Case::Stuck {
        return Vec::new();
    }
    vec![Leftover {
        id: 1,
        kind: "site_loss".to_owned(),
        target: "primary".to_owned(),
        error: "start primary/database: the data directory is locked by another process".to_owned(),
        residue: vec![
            "proxy primary-service is disabled".to_owned(),
            "process primary/database is not running".to_owned(),
        ],
        by_hand: BY_HAND.to_owned(),
    }]
}
