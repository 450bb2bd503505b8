//! The judge of tabletop exercises. Nothing was measured, so nothing is said about times and losses of services: a pass
//! says only that people walked through every step and hold that they can do it in the time that the runbook gives.

use std::time::Duration;

use drdrill_core::checker::{Finding, Severity};
use drdrill_core::event::{Entry, Event};
use drdrill_core::record::{Rlo, Rpo, Rto, Service, Tabletop, TabletopStep};
use drdrill_core::runbook::{Runbook, RunbookStep};
use drdrill_core::tabletop::{Answer, Conclusion, Participant, StepResult};
use drdrill_core::time::{At, millis};
use drdrill_core::units::Span;
use drdrill_core::verdict::Verdict;

use super::digest::Digest;
use super::finding;

const STEPS: &str = "tabletop_steps";
const TIME: &str = "tabletop_time";
const PEOPLE: &str = "tabletop_people";
const MEASURED: &str = "measured";

/// A tabletop exercise as its history tells it.
pub(super) struct Exercise<'a> {
    runbook: &'a Runbook,
    sha256: &'a str,
    scripted: bool,
    participants: &'a [Participant],
    answers: Vec<(At, At, &'a Answer)>,
    conclusion: Option<&'a Conclusion>,
}

impl<'a> Exercise<'a> {
    /// `None` when the history is not of an exercise.
    pub(super) fn of(history: &'a [Entry]) -> Option<Self> {
        let mut exercise = history.iter().find_map(|entry| match &entry.event {
            Event::TabletopStarted { runbook, runbook_sha256, scripted, participants } => {
                Some(Self {
                    runbook: &**runbook,
                    sha256: runbook_sha256,
                    scripted: *scripted,
                    participants,
                    answers: Vec::new(),
                    conclusion: None,
                })
            }
            _ => None,
        })?;
        for entry in history {
            match &entry.event {
                Event::TabletopStep { started, finished, answer } => {
                    exercise.answers.push((*started, *finished, answer));
                }
                Event::TabletopConcluded { conclusion } => exercise.conclusion = Some(conclusion),
                _ => {}
            }
        }
        Some(exercise)
    }

    fn answer(&self, step: &RunbookStep) -> Option<&(At, At, &'a Answer)> {
        self.answers.iter().find(|(_, _, answer)| answer.step == step.name)
    }

    fn result(&self, step: &RunbookStep) -> StepResult {
        self.answer(step).map_or(StepResult::Skipped, |(_, _, answer)| answer.result)
    }

    fn takes(&self, step: &RunbookStep) -> Option<Duration> {
        self.answer(step).and_then(|(_, _, answer)| answer.takes).map(|takes| takes.0)
    }

    /// How long it takes until the service is restored, in the judgement of those present.
    fn recovery(&self) -> Option<Duration> {
        let mut steps = self.runbook.steps.iter().filter(|step| step.phase.counts_to_recovery());
        steps.try_fold(Duration::ZERO, |sum, step| {
            let done = self.result(step) == StepResult::Done;
            self.takes(step).filter(|_| done).map(|takes| sum + takes)
        })
    }

    pub(super) fn record(&self) -> Tabletop {
        let step = |step: &RunbookStep| {
            let answer = self.answer(step);
            let said = answer.map(|(_, _, answer)| *answer);
            TabletopStep {
                name: step.name.clone(),
                phase: step.phase,
                owner: step.owner.clone(),
                within_ms: millis(step.within.0),
                takes_ms: self.takes(step).map(millis),
                presented_ms: answer.map(|(started, ..)| started.ms()),
                answered_ms: answer.map(|(_, finished, _)| finished.ms()),
                result: self.result(step),
                decision: said.map(|said| said.decision.clone()).unwrap_or_default(),
                issues: said.map(|said| said.issues.clone()).unwrap_or_default(),
                lessons: said.map(|said| said.lessons.clone()).unwrap_or_default(),
            }
        };
        Tabletop {
            runbook: self.runbook.runbook.clone(),
            runbook_sha256: self.sha256.to_owned(),
            scripted: self.scripted,
            participants: self.participants.to_vec(),
            steps: self.runbook.steps.iter().map(step).collect(),
            judged_recovery_ms: self.recovery().map(millis),
            conclusion: self.conclusion.cloned().unwrap_or_default(),
        }
    }

    /// What speaks for and against the plan.
    pub(super) fn findings(&self, digest: &Digest<'_>) -> Vec<Finding> {
        let mut found = whole(digest);
        found.extend(self.steps());
        found.extend(self.times(digest));
        found.extend(self.people());
        let text =
            "recovery time and recovery point were not measured: this was a tabletop exercise";
        found.push(finding(MEASURED, Verdict::Pass, Severity::Info, text));
        found
    }

    fn steps(&self) -> Vec<Finding> {
        let mut found = Vec::new();
        for step in &self.runbook.steps {
            let name = &step.name;
            match self.result(step) {
                StepResult::Done => {}
                StepResult::Failed => {
                    let text = format!("step `{name}` cannot be done as the runbook says");
                    found.push(finding(STEPS, Verdict::Fail, Severity::Critical, text));
                }
                StepResult::Skipped => {
                    let text = format!("step `{name}` was not walked through");
                    found.push(finding(STEPS, Verdict::Unknown, Severity::Warning, text));
                }
            }
        }
        if found.is_empty() {
            let text = format!("all {} steps were walked through", self.runbook.steps.len());
            found.push(finding(STEPS, Verdict::Pass, Severity::Info, text));
        }
        found
    }

    fn times(&self, digest: &Digest<'_>) -> Vec<Finding> {
        let mut found = Vec::new();
        for step in &self.runbook.steps {
            if let Some(takes) = self.takes(step).filter(|takes| *takes > step.within.0) {
                let (name, takes) = (&step.name, Span(takes));
                let text =
                    format!("step `{name}` takes {takes}, the runbook gives it {}", step.within);
                found.push(finding(TIME, Verdict::Fail, Severity::Critical, text));
            }
        }
        let services = &digest.start.environment.services;
        let targets = services.iter().filter_map(|one| Some((&one.name, one.targets.rto?)));
        if let Some((name, target)) = targets.min_by_key(|(_, target)| *target)
            && let Some(recovery) = self.recovery()
        {
            let late = recovery > target.0;
            let (verdict, severity) = if late {
                (Verdict::Fail, Severity::Critical)
            } else {
                (Verdict::Pass, Severity::Info)
            };
            let recovery = Span(recovery);
            let text = format!(
                "people hold that {name} is restored after {recovery}; the objective is {target}"
            );
            found.push(finding(TIME, verdict, severity, text));
        }
        found
    }

    fn people(&self) -> Vec<Finding> {
        let mut found = Vec::new();
        let present =
            |role: &str| self.participants.iter().any(|one| one.present && one.role == role);
        let mut owners: Vec<&str> =
            self.runbook.steps.iter().map(|step| step.owner.as_str()).collect();
        owners.sort_unstable();
        owners.dedup();
        for owner in owners.into_iter().filter(|owner| !present(owner)) {
            let text = format!("nobody was there for the role `{owner}`, which owns steps");
            found.push(finding(PEOPLE, Verdict::Unknown, Severity::Warning, text));
        }
        for absent in self.participants.iter().filter(|one| one.planned && !one.present) {
            let text = format!("{} ({}) was to take part and did not", absent.name, absent.role);
            found.push(finding(PEOPLE, Verdict::Pass, Severity::Warning, text));
        }
        found
    }
}

fn whole(digest: &Digest<'_>) -> Vec<Finding> {
    let text = match (&digest.aborted, digest.finished) {
        (Some((_, _, reason)), _) => format!("the exercise was aborted: {reason}"),
        (None, None) => "the history was cut off: the exercise never finished".to_owned(),
        (None, Some(_)) => return Vec::new(),
    };
    vec![finding("complete", Verdict::Unknown, Severity::Warning, text)]
}

/// Services, of which nothing is known.
pub(super) fn services(digest: &Digest<'_>) -> Vec<Service> {
    let service = |facts: &drdrill_core::inventory::ServiceFacts| Service {
        name: facts.name.clone(),
        tier: facts.tier,
        rto: Rto {
            target_ms: facts.targets.rto.map(|target| millis(target.0)),
            at_least_ms: None,
            at_most_ms: None,
            verdict: Verdict::Unknown,
        },
        outage: None,
        first_success_ms: None,
        lost_service_ms: None,
        flaps: 0,
        rpo: None::<Rpo>,
        rlo: Rlo {
            target: facts.targets.rlo.map(drdrill_core::units::Share::ratio),
            achieved: None,
            verdict: Verdict::Unknown,
        },
        consistency: None,
        samples: drdrill_core::record::Samples::default(),
        streams: Vec::new(),
    };
    digest.start.environment.services.iter().map(service).collect()
}

/// What it came to, and why: the worst first. What passes is the last word only when all of it does.
pub(super) fn overall(findings: &[Finding]) -> (Verdict, Vec<String>) {
    let verdict = Verdict::of(findings.iter().map(|found| found.verdict));
    let mut told: Vec<&Finding> = findings
        .iter()
        .filter(|found| found.verdict != Verdict::Pass || verdict == Verdict::Pass)
        .collect();
    told.sort_by_key(|found| std::cmp::Reverse(found.verdict));
    (verdict, told.into_iter().map(|found| found.message.clone()).collect())
}

#[cfg(test)]
mod tests;
