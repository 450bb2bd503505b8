//! Rules about objectives: missed, not established, met with too much room, or not set.

use drdrill_core::record::{Record, Rpo, Service};
use drdrill_core::verdict::Verdict;

use super::{Advice, Rule};
use crate::figures;
use crate::phases::{self, Phase};

/// A target met with more than this factor to spare is paid for and not needed.
const ROOM: f64 = 10.0;

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "never_recovered",
        when: "a service did not come back while it was watched",
        advise: never_recovered,
    },
    Rule {
        id: "rto_missed",
        when: "a service came back later than its recovery time objective",
        advise: rto_missed,
    },
    Rule {
        id: "rto_not_established",
        when: "the interval of the recovery time lies across the objective, or its end was not established",
        advise: rto_not_established,
    },
    Rule {
        id: "rpo_missed",
        when: "acknowledged writes older than the recovery point objective were lost",
        advise: rpo_missed,
    },
    Rule {
        id: "writes_lost",
        when: "acknowledged writes were lost within the objective, or without one",
        advise: writes_lost,
    },
    Rule {
        id: "writes_lost_after_fault",
        when: "writes were acknowledged after the fault and lost",
        advise: lost_after_fault,
    },
    Rule {
        id: "rlo_missed",
        when: "a service gave less than its recovery level objective while it recovered",
        advise: rlo_missed,
    },
    Rule {
        id: "target_has_room",
        when: "an objective was met with more than ten times to spare",
        advise: has_room,
    },
    Rule { id: "no_targets", when: "a service has no objective", advise: no_targets },
];

fn each(record: &Record, advise: impl Fn(&Service) -> Option<Advice>) -> Vec<Advice> {
    record.services.iter().filter_map(advise).collect()
}

/// What to do about the phase that took longest.
fn about(phase: Option<Phase>) -> &'static str {
    match phase {
        Some(Phase::Detect) => {
            "Most of the time passed before anybody noticed: shorten the interval of the health monitor or lower its \
             threshold, and watch what clients do instead of what hosts say."
        }
        Some(Phase::Decide) => {
            "Most of the time went into deciding: automate the decision, or settle beforehand who decides and on \
             which signal."
        }
        Some(Phase::FailOver) => {
            "Most of the time went into failing over: pre-warm the DR site (running capacity, loaded caches, open \
             connections) and run steps of the plan side by side."
        }
        Some(Phase::Restore) => {
            "Most of the time passed after the plan was carried out: look at data still being restored, at DNS TTLs \
             and at clients that do not reconnect; pre-warm what starts cold."
        }
        Some(Phase::Ramp) | None => {
            "The phases are not known: let the failover announce when it detected, decided and finished, so that the \
             next drill shows where the time goes."
        }
    }
}

fn slowest(record: &Record) -> Option<String> {
    let span = phases::slowest(&record.phases)?;
    Some(format!(
        "slowest phase: {} ({}) took {}",
        span.phase.word(),
        span.phase.between(),
        figures::duration(span.length_ms())
    ))
}

fn never_recovered(record: &Record) -> Vec<Advice> {
    // Whatever phase was reached last is where it is stuck.
    let reached = phases::split(&record.phases).last().map(|span| span.phase);
    let stuck = match reached {
        None => {
            "The failure was not even detected: make sure that something watches this service and may act."
        }
        Some(Phase::Detect) => {
            "It was detected and nothing was decided: check who decides, and on which signal."
        }
        Some(Phase::Decide) => {
            "The failover was decided and never finished: read the failed step of its plan."
        }
        Some(Phase::FailOver | Phase::Restore | Phase::Ramp) => {
            "The failover was carried out and clients still fail: check where their traffic goes, and what the DR \
             site lacks."
        }
    };
    let failed_step = record
        .steps
        .iter()
        .find(|step| step.outcome == drdrill_core::event::StepOutcome::Failed)
        .map(|step| format!("step {} at {} failed: {}", step.name, step.site, step.detail));
    each(record, |service| {
        let at_least = service.rto.at_least_ms?;
        if service.rto.at_most_ms.is_some() || service.rto.verdict != Verdict::Fail {
            return None;
        }
        let figure = format!(
            "{}: recovery time {}, target {}",
            service.name,
            figures::interval(at_least, None),
            figures::at_most(service.rto.target_ms)
        );
        let text = format!("{} did not come back. {stuck}", service.name);
        Some(Advice::new(text, [figure].into_iter().chain(failed_step.clone())))
    })
}

fn rto_missed(record: &Record) -> Vec<Advice> {
    let phase = phases::slowest(&record.phases).map(|span| span.phase);
    each(record, |service| {
        let missed = service.rto.verdict == Verdict::Fail && service.rto.at_most_ms.is_some();
        missed.then(|| {
            let figure = rto_figure(service);
            let text = format!("{} missed its recovery time. {}", service.name, about(phase));
            Advice::new(text, [figure].into_iter().chain(slowest(record)))
        })
    })
}

fn rto_figure(service: &Service) -> String {
    format!(
        "{}: recovery time {}, target {}",
        service.name,
        figures::rto(&service.rto),
        figures::at_most(service.rto.target_ms)
    )
}

fn rto_not_established(record: &Record) -> Vec<Advice> {
    each(record, |service| {
        let low = service.rto.at_least_ms?;
        let Some(high) = service.rto.at_most_ms else {
            let text = format!(
                "Whether {} was restored was not established. See why under Findings, and run the drill again to its \
                 end.",
                service.name
            );
            let unknown = service.rto.verdict == Verdict::Unknown;
            return unknown.then(|| Advice::new(text, [rto_figure(service)]));
        };
        let target = service.rto.target_ms?;
        (low <= target && target < high).then(|| {
            let width = figures::duration(high - low);
            Advice::new(
                format!(
                    "Whether {} met its recovery time cannot be told: the target lies inside the interval. Sample \
                     faster (probes: every) and run the drill again.",
                    service.name
                ),
                [rto_figure(service), format!("width of the interval: {width}")],
            )
        })
    })
}

fn rpo_figure(service: &Service, rpo: &Rpo) -> String {
    format!(
        "{}: recovery point {}, target {}; {}",
        service.name,
        figures::rpo(rpo),
        figures::at_most(rpo.target_ms),
        figures::lost_writes(rpo)
    )
}

fn lag(record: &Record) -> String {
    record.replication_lag_ms.map_or_else(
        || "replication lag before the fault: not known".to_owned(),
        |lag| {
            #[expect(clippy::cast_precision_loss, reason = "a lag of 285,000 years")]
            let text = figures::duration(lag as f64);
            format!("replication lag before the fault: {text}")
        },
    )
}

fn rpo_missed(record: &Record) -> Vec<Advice> {
    each(record, |service| {
        let rpo = service.rpo.as_ref()?;
        (rpo.verdict == Verdict::Fail).then(|| {
            let text = format!(
                "{} lost more than its recovery point allows. Replicate synchronously (the write is acknowledged \
                 when the standby has it), or ship changes more often; alert on the lag before it reaches the target.",
                service.name
            );
            Advice::new(text, [rpo_figure(service, rpo), lag(record)])
        })
    })
}

fn writes_lost(record: &Record) -> Vec<Advice> {
    each(record, |service| {
        let rpo = service.rpo.as_ref()?;
        (rpo.writes.lost > 0 && rpo.verdict != Verdict::Fail).then(|| {
            let text = format!(
                "{} lost writes that it had acknowledged. Asynchronous replication loses what lies within its lag: \
                 accept that in writing, or replicate synchronously.",
                service.name
            );
            Advice::new(text, [rpo_figure(service, rpo), lag(record)])
        })
    })
}

fn lost_after_fault(record: &Record) -> Vec<Advice> {
    each(record, |service| {
        let rpo = service.rpo.as_ref()?;
        (rpo.lost_after_fault > 0).then(|| {
            let text = format!(
                "The old primary of {} went on acknowledging writes after the fault. Fence it before the standby is \
                 promoted, and let it stop by itself when it cannot reach a majority.",
                service.name
            );
            let lost = figures::count(rpo.lost_after_fault);
            let figure = format!("{}: {lost} writes acknowledged after the fault and lost", service.name);
            Advice::new(text, [figure])
        })
    })
}

fn rlo_missed(record: &Record) -> Vec<Advice> {
    each(record, |service| {
        (service.rlo.verdict == Verdict::Fail).then(|| {
            let text = format!(
                "{} came back too small. Keep more capacity running at the DR site, or scale up before traffic moves.",
                service.name
            );
            let figure = format!(
                "{}: worst second {}, target {}",
                service.name,
                figures::rlo(&service.rlo),
                figures::at_least(service.rlo.target)
            );
            Advice::new(text, [figure])
        })
    })
}

fn has_room(record: &Record) -> Vec<Advice> {
    each(record, |service| {
        let (high, target) = (service.rto.at_most_ms?, service.rto.target_ms?);
        let roomy = service.rto.verdict == Verdict::Pass && high > 0.0 && target > ROOM * high;
        roomy.then(|| {
            let text = format!(
                "{} recovers far faster than it has to. If that holds over several drills, tighten the target or \
                 choose a cheaper strategy for it.",
                service.name
            );
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a factor above ten")]
            let factor = figures::count((target / high) as u64);
            let factor = format!("room: {factor} times the time needed");
            Advice::new(text, [rto_figure(service), factor])
        })
    })
}

fn no_targets(record: &Record) -> Vec<Advice> {
    each(record, |service| {
        let rpo_missing = service.rpo.as_ref().is_some_and(|rpo| rpo.target_ms.is_none());
        let missing: Vec<&str> =
            [service.rto.target_ms.is_none().then_some("RTO"), rpo_missing.then_some("RPO")]
                .into_iter()
                .flatten()
                .collect();
        (!missing.is_empty()).then(|| {
            let text = format!(
                "{} has no {} to be measured against: agree on one with the owner of the business function, and \
                 write it into the scenario or the environment.",
                service.name,
                missing.join(" and no ")
            );
            Advice::new(text, [format!("{}: tier {}", service.name, service.tier)])
        })
    })
}
