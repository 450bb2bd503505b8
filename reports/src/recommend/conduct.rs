//! Rules about the drill itself and about everything but the objectives.

use drdrill_core::checker::Severity;
use drdrill_core::event::StepOutcome;
use drdrill_core::record::Record;
use drdrill_core::runbook::StepBy;
use drdrill_core::verdict::Verdict;

use super::{Advice, Rule};
use crate::figures::{self, counted};
use crate::tries::last_tries;

/// Bystanders may fail this share of their samples by chance.
const BYSTANDER_FAILURES: f64 = 0.001;

pub(super) const URGENT: &[Rule] = &[
    Rule { id: "leftovers", when: "a fault could not be taken back", advise: leftovers },
    Rule { id: "drill_invalid", when: "a fault was never seen in effect", advise: invalid },
    Rule {
        id: "prober_errors",
        when: "drdrill itself could not sample as planned",
        advise: prober_errors,
    },
    Rule {
        id: "split_brain",
        when: "two sites decided about writes at the same time",
        advise: split_brain,
    },
    Rule {
        id: "bystander_hurt",
        when: "something outside the blast radius failed",
        advise: bystander_hurt,
    },
];

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "functionality_failed",
        when: "a functionality check failed or could not be told",
        advise: functionality,
    },
    Rule { id: "step_failed", when: "a step of a plan failed", advise: step_failed },
    Rule {
        id: "runbook_step_failed",
        when: "a step of the runbook failed, or was never done",
        advise: runbook_failed,
    },
    Rule {
        id: "manual_steps_slow",
        when: "people took longer for a step than the runbook gives, or most of the recovery",
        advise: manual_slow,
    },
    Rule {
        id: "failback_lost_writes",
        when: "writes were lost on the way back",
        advise: failback_lost,
    },
    Rule {
        id: "data_damaged",
        when: "writes came back changed, twice, or though they had failed",
        advise: damaged,
    },
    Rule {
        id: "inconsistent",
        when: "registers or accounts answered what they cannot have held",
        advise: inconsistent,
    },
    Rule {
        id: "kept_connections_slower",
        when: "clients that keep their connection were out at least twice as long",
        advise: kept_slower,
    },
    Rule { id: "critical_finding", when: "a checker found an invariant broken", advise: critical },
    Rule { id: "emulated", when: "the environment imitates the real thing", advise: emulated },
];

fn leftovers(record: &Record) -> Vec<Advice> {
    let advise = |left: &drdrill_core::record::Leftover| {
        let text = format!(
            "Remove what {} left at {} before anything else: run drdrill recover, or the commands under Leftovers.",
            left.kind, left.target
        );
        let residue = left.residue.iter().map(|line| format!("left: {line}"));
        Advice::new(text, [left.error.clone()].into_iter().chain(residue))
    };
    record.leftovers.iter().map(advise).collect()
}

fn invalid(record: &Record) -> Vec<Advice> {
    let without = record.faults.iter().filter(|fault| fault.in_effect_ms.is_none());
    without
        .map(|fault| {
            let text = format!(
                "The fault {} on {} was never seen in effect, so nothing was proved. Check that it acts on what \
                 clients use (the right node, the right path), then run the drill again.",
                fault.kind, fault.target
            );
            let seen = fault.proof.as_deref().unwrap_or("nothing");
            Advice::new(text, [format!("via {}; seen instead: {seen}", fault.via)])
        })
        .collect()
}

fn prober_errors(record: &Record) -> Vec<Advice> {
    let advise = |service: &drdrill_core::record::Service| {
        let samples = service.samples;
        (samples.prober_error > 0).then(|| {
            let lateness = service
                .streams
                .iter()
                .map(|stream| stream.worst_lateness_ms)
                .fold(0.0, f64::max);
            Advice::new(
                "The machine that drdrill ran on could not keep up: give it more CPU, descriptors and ports, or \
                 sample less often. These samples are not counted against the service.",
                [
                    format!(
                        "{}: {} of {} samples ({}) are errors of the prober",
                        service.name,
                        figures::count(samples.prober_error),
                        figures::count(samples.sent),
                        figures::share(samples.prober_error, samples.sent)
                    ),
                    format!("worst lateness: {}", figures::duration(lateness)),
                ],
            )
        })
    };
    record.services.iter().filter_map(advise).collect()
}

fn split_brain(record: &Record) -> Vec<Advice> {
    if record.split_brain.is_empty() {
        return Vec::new();
    }
    let figures = record.split_brain.iter().map(|split| {
        format!(
            "from {} to {}: {}",
            figures::instant(split.from_ms),
            figures::instant(split.to_ms),
            split.detail
        )
    });
    vec![Advice::new(
        "Two sites accepted writes at the same time. Fence the old primary before the new one is promoted, with a \
         token that storage checks, and promote only with a majority.",
        figures,
    )]
}

fn bystander_hurt(record: &Record) -> Vec<Advice> {
    let advise = |stream: &drdrill_core::record::Stream| {
        let samples = stream.samples;
        let bad = samples.failed + samples.unknown;
        #[expect(clippy::cast_precision_loss, reason = "compared with a thousandth")]
        let hurt = bad as f64 > BYSTANDER_FAILURES * samples.sent as f64;
        hurt.then(|| {
            let text = format!(
                "{} lies outside the blast radius and failed: find what it shares with the failed site, and \
                 separate it or add it to the scenario.",
                stream.name
            );
            let figure = format!(
                "{}: {} of {} samples failed ({}), outage {}",
                stream.name,
                figures::count(bad),
                figures::count(samples.sent),
                figures::share(bad, samples.sent),
                figures::outage(stream.outage)
            );
            Advice::new(text, [figure])
        })
    };
    record.bystanders.iter().filter_map(advise).collect()
}

fn functionality(record: &Record) -> Vec<Advice> {
    let bad = last_tries(record).into_iter().filter(|(check, _)| check.outcome != Verdict::Pass);
    bad.map(|(check, tries)| {
        let word = match check.outcome {
            Verdict::Fail => "does not work",
            Verdict::Unknown | Verdict::Pass => "could not be checked",
        };
        let when = crate::words::when(check.when);
        let text = format!(
            "{} {word} at {} {when}: a service that answers is not yet a service that works. Add what is missing to \
             the recovery plan.",
            check.name, check.site
        );
        let took = figures::duration(check.took_ms);
        let which = if tries > 1 { format!("the last of {tries} tries, ") } else { String::new() };
        Advice::new(text, [format!("{which}after {took}: {}", check.detail)])
    })
    .collect()
}

fn step_failed(record: &Record) -> Vec<Advice> {
    let failed = record.steps.iter().filter(|step| step.outcome == StepOutcome::Failed);
    failed
        .map(|step| {
            let text = format!(
                "Step {} at {} failed: mend it, then run the plan again.",
                step.name, step.site
            );
            let took = figures::duration(step.finished_ms - step.started_ms);
            Advice::new(text, [format!("after {took}: {}", step.detail)])
        })
        .collect()
}

fn runbook_failed(record: &Record) -> Vec<Advice> {
    let steps = record.runbook.iter().flat_map(|runbook| &runbook.steps);
    // What an operator interrupted says nothing about who was asked.
    let blamed = |name: &str| {
        let said = format!("step {name} of the runbook ");
        let failed = record.findings.iter().filter(|found| found.verdict == Verdict::Fail);
        failed
            .filter(|found| found.checker == "runbook")
            .any(|found| found.message.starts_with(&said))
    };
    let wrong = steps.filter(|step| blamed(&step.name));
    let advise = |step: &drdrill_core::record::FollowedStep| {
        let text = format!(
            "Change step {} of the runbook so that {} can do it, or give them what they lack; then run the drill again.",
            step.name, step.owner
        );
        let said = (!step.note.is_empty()).then(|| format!("said: {}", step.note));
        let otherwise = step.otherwise.as_ref().map(|text| format!("otherwise: {text}"));
        let by = format!("by {} ({})", step.by.word(), step.who.as_deref().unwrap_or(&step.owner));
        Advice::new(text, [by].into_iter().chain(said).chain(otherwise))
    };
    wrong.map(advise).collect()
}

fn manual_slow(record: &Record) -> Vec<Advice> {
    let Some(runbook) = &record.runbook else { return Vec::new() };
    let mut slow = Vec::new();
    for step in runbook.steps.iter().filter(|step| step.by == StepBy::Person) {
        if let Some((to, from)) = step.finished_ms.zip(step.started_ms)
            && to - from > step.within_ms
        {
            let (took, within) = (figures::duration(to - from), figures::duration(step.within_ms));
            slow.push(format!("step {}: took {took}, within {within}", step.name));
        }
    }
    let recovery = record.phases.restored_ms.zip(record.phases.fault_ms);
    if let Some((restored, fault)) = recovery
        && 2.0 * runbook.by_people_ms > restored - fault
    {
        slow.push(format!(
            "people took {} of the {} until the service was restored",
            figures::duration(runbook.by_people_ms),
            figures::duration(restored - fault)
        ));
    }
    if slow.is_empty() {
        return Vec::new();
    }
    let text = "Manual steps are slow: prepare or automate them, settle beforehand who decides, or plan with the longer time.";
    vec![Advice::new(text, slow)]
}

fn failback_lost(record: &Record) -> Vec<Advice> {
    let advise = |service: &drdrill_core::record::Service| {
        let lost = service.rpo.as_ref()?.failback_lost.filter(|lost| *lost > 0)?;
        let text = format!(
            "The way back lost writes of {}. Stop writes and wait until the original site has caught up before \
             traffic moves, and compare both sides before and after.",
            service.name
        );
        let writes = counted(lost, "write", "writes");
        Some(Advice::new(
            text,
            [format!("{}: {writes} present before failback and absent after it", service.name)],
        ))
    };
    record.services.iter().filter_map(advise).collect()
}

fn damaged(record: &Record) -> Vec<Advice> {
    let advise = |service: &drdrill_core::record::Service| {
        let writes = service.rpo.as_ref()?.writes;
        let kinds = [
            ("corrupt", writes.corrupt),
            ("duplicate", writes.duplicate),
            ("phantom", writes.phantom),
            ("resurrected", writes.resurrected),
        ];
        let figures: Vec<String> = kinds
            .iter()
            .filter(|(_, number)| *number > 0)
            .map(|(kind, number)| format!("{}: {} {kind}", service.name, figures::count(*number)))
            .collect();
        (!figures.is_empty()).then(|| {
            let text = format!(
                "The data of {} is not what clients wrote. Give writes an id and let the store refuse the second, \
                 and check the recovered data before clients return.",
                service.name
            );
            Advice::new(text, figures)
        })
    };
    record.services.iter().filter_map(advise).collect()
}

fn inconsistent(record: &Record) -> Vec<Advice> {
    let wrong = |service: &drdrill_core::record::Service| {
        let found = crate::workloads::of(service);
        let failed = found.iter().filter(|found| found.verdict == Verdict::Fail);
        let evidence: Vec<String> = failed
            .flat_map(|found| {
                let counts = format!("{} of {}: {}", found.name, service.name, found.text);
                std::iter::once(counts).chain(found.examples.first().cloned())
            })
            .collect();
        (!evidence.is_empty()).then(|| {
            let text = format!(
                "{} gave its clients answers that contradict each other. Find out which site gave them, and from which \
                 copy: read from the site that decides, throw caches away when data is replaced, and change together \
                 what belongs together.",
                service.name
            );
            Advice::new(text, evidence)
        })
    };
    record.services.iter().filter_map(wrong).collect()
}

fn kept_slower(record: &Record) -> Vec<Advice> {
    use drdrill_core::probe::Connection;
    let advise = |service: &drdrill_core::record::Service| {
        let longest = |wanted: Connection| {
            let streams = service.streams.iter();
            streams
                .filter(|stream| stream.connection == wanted)
                .filter_map(|stream| stream.outage)
                .max_by(|a, b| ended(*a).total_cmp(&ended(*b)))
        };
        let (fresh, kept) = (longest(Connection::Fresh)?, longest(Connection::Kept)?);
        (kept.at_least_ms > 2.0 * ended(fresh)).then(|| {
            let text = format!(
                "Clients of {} that keep a connection are out much longer than new ones: set keep-alive and request \
                 timeouts in clients, and let the failover close old connections.",
                service.name
            );
            Advice::new(
                text,
                [
                    format!("kept connections: {}", figures::outage(Some(kept))),
                    format!("new connections: {}", figures::outage(Some(fresh))),
                ],
            )
        })
    };
    record.services.iter().filter_map(advise).collect()
}

fn ended(outage: drdrill_core::record::Interval) -> f64 {
    outage.at_most_ms.unwrap_or(f64::INFINITY)
}

fn critical(record: &Record) -> Vec<Advice> {
    let grave = |finding: &&drdrill_core::checker::Finding| {
        finding.severity == Severity::Critical && finding.verdict == Verdict::Fail
    };
    record
        .findings
        .iter()
        .filter(grave)
        .map(|finding| {
            let text = format!(
                "Find out why {} does not hold, give it an owner, and drill again.",
                finding.checker
            );
            Advice::new(text, [finding.message.clone()])
        })
        .collect()
}

fn emulated(record: &Record) -> Vec<Advice> {
    if !record.environment.emulated {
        return Vec::new();
    }
    vec![Advice::new(
        "The environment imitates the real thing: the procedure was proved, the times were not. Repeat the drill on \
         the real system before anybody relies on its figures.",
        [format!("environment {} ({})", record.environment.name, record.environment.provider)],
    )]
}
