//! A run as a list of results: one for the drill, each objective, fault, function, checker and step. What CI systems and
//! spreadsheets read; the formats only decide how it is written.
//!
//! Something in the list is no pass exactly when the run's exit code is not 0.

use drdrill_core::checker::Finding;
use drdrill_core::record::{Fault, Functionality, Record, Rlo, Rpo, Rto, Service};
use drdrill_core::tabletop::StepResult;
use drdrill_core::verdict::Verdict;

use crate::{figures, story, tries, words};

/// What a result is about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Group {
    /// The drill as a whole.
    Drill,
    /// RTO, RPO or RLO of a service.
    Objective,
    /// Whether a fault was seen in effect and seen to be gone.
    Fault,
    /// A functionality check.
    Function,
    /// A checker, all its findings together.
    Checker,
    /// A step of an exercise.
    Step,
}

impl Group {
    /// All of them, in the order in which they are told.
    pub(crate) const ALL: [Self; 6] =
        [Self::Drill, Self::Objective, Self::Fault, Self::Function, Self::Checker, Self::Step];

    /// Its name in files.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Drill => "drill",
            Self::Objective => "objective",
            Self::Fault => "fault",
            Self::Function => "function",
            Self::Checker => "checker",
            Self::Step => "step",
        }
    }
}

/// What it came to. Unlike a verdict it knows what nobody asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Came {
    /// As it should be.
    Pass,
    /// Certainly not.
    Fail,
    /// Nobody can tell.
    Unknown,
    /// Not looked at, and the drill passed without it.
    Skipped,
}

impl Came {
    /// Its name in files.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Unknown => "unknown",
            Self::Skipped => "skipped",
        }
    }
}

impl From<Verdict> for Came {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Pass => Self::Pass,
            Verdict::Fail => Self::Fail,
            Verdict::Unknown => Self::Unknown,
        }
    }
}

/// Figures of an objective; times in milliseconds, levels as ratios.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Figures {
    /// The objective.
    pub(crate) target: Option<f64>,
    /// Achieved, not less than this.
    pub(crate) at_least: Option<f64>,
    /// Achieved, not more than this; absent where there was no end.
    pub(crate) at_most: Option<f64>,
    /// `ms` or `ratio`.
    pub(crate) unit: &'static str,
}

/// One result. All strings may be foreign.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Outcome {
    /// What it is about.
    pub(crate) group: Group,
    /// The service, site or target.
    pub(crate) of: String,
    /// What was looked at.
    pub(crate) name: String,
    /// What it came to.
    pub(crate) came: Came,
    /// Figures of an objective.
    pub(crate) figures: Option<Figures>,
    /// How long it took, where that is known.
    pub(crate) took_ms: Option<f64>,
    /// What was seen, with the figures.
    pub(crate) text: String,
}

/// All results of a run, group by group.
pub(crate) fn results(record: &Record) -> Vec<Outcome> {
    let mut all = vec![drill(record)];
    if let Some(tabletop) = &record.tabletop {
        all.extend(checkers(&record.findings));
        all.extend(tabletop.steps.iter().map(step));
        return all;
    }
    let passed = record.exit_code == 0;
    all.extend(record.services.iter().flat_map(|service| objectives(service, passed)));
    all.extend(record.faults.iter().map(fault));
    let last = tries::last_tries(record);
    all.extend(last.into_iter().map(|(check, tries)| function(check, tries, passed)));
    all.extend(checkers(&record.findings));
    all
}

fn drill(record: &Record) -> Outcome {
    let came = match record.exit_code {
        0 => Came::Pass,
        // Aborted, refused: nobody knows what would have come of it.
        11 | 13..=16 if record.verdict != Verdict::Fail => Came::Unknown,
        _ => Came::Fail,
    };
    let mut text = vec![format!("{} (exit code {})", story::headline(record), record.exit_code)];
    text.push(story::summary(record));
    text.extend(record.reasons.iter().cloned());
    for left in &record.leftovers {
        text.push(format!(
            "left in place: {} on {}: {}; by hand: {}",
            left.kind, left.target, left.error, left.by_hand
        ));
    }
    text.retain(|line| !line.is_empty());
    Outcome {
        group: Group::Drill,
        of: record.environment.name.clone(),
        name: record.scenario.name.clone(),
        came,
        figures: None,
        took_ms: Some(record.duration_ms),
        text: text.join("\n"),
    }
}

fn objectives(service: &Service, passed: bool) -> Vec<Outcome> {
    let of = |name: &str, verdict: Verdict, figures: Figures, text: String| Outcome {
        group: Group::Objective,
        of: service.name.clone(),
        name: name.to_owned(),
        came: judged(verdict, passed),
        figures: Some(figures),
        took_ms: None,
        text,
    };
    let rto = &service.rto;
    let mut all = vec![of(
        "RTO",
        rto.verdict,
        rto_figures(rto),
        against(&figures::rto(rto), &figures::at_most(rto.target_ms)),
    )];
    if let Some(rpo) = &service.rpo {
        let text = format!(
            "{}; {}",
            against(&figures::rpo(rpo), &figures::at_most(rpo.target_ms)),
            words::writes(rpo)
        );
        all.push(of("RPO", rpo.verdict, rpo_figures(rpo), text));
    }
    let rlo = &service.rlo;
    all.push(of(
        "RLO",
        rlo.verdict,
        rlo_figures(rlo),
        against(&figures::rlo(rlo), &figures::at_least(rlo.target)),
    ));
    all
}

/// A drill may pass with something that nobody could measure and nobody asked for.
fn judged(verdict: Verdict, passed: bool) -> Came {
    match Came::from(verdict) {
        Came::Unknown if passed => Came::Skipped,
        came => came,
    }
}

fn against(achieved: &str, target: &str) -> String {
    format!("achieved {achieved}; the objective is {target}")
}

fn rto_figures(rto: &Rto) -> Figures {
    Figures {
        target: rto.target_ms,
        at_least: rto.at_least_ms,
        at_most: rto.at_most_ms,
        unit: "ms",
    }
}

fn rpo_figures(rpo: &Rpo) -> Figures {
    Figures {
        target: rpo.target_ms,
        at_least: rpo.at_least_ms,
        at_most: rpo.at_most_ms,
        unit: "ms",
    }
}

fn rlo_figures(rlo: &Rlo) -> Figures {
    Figures { target: rlo.target, at_least: rlo.achieved, at_most: rlo.achieved, unit: "ratio" }
}

fn fault(fault: &Fault) -> Outcome {
    let (came, text) = match (fault.in_effect_ms, fault.reverted_ms) {
        (Some(_), Some(_)) => (Came::Pass, "seen in effect, and seen to be gone"),
        (None, _) => (Came::Unknown, "never seen in effect: the drill proves nothing"),
        (Some(_), None) => (Came::Fail, "not seen to be gone"),
    };
    let proof = fault.proof.as_deref().unwrap_or("none");
    Outcome {
        group: Group::Fault,
        of: fault.target.clone(),
        name: format!("{} {}", fault.id, fault.kind),
        came,
        figures: None,
        took_ms: fault.in_effect_ms.zip(fault.applied_ms).map(|(to, from)| to - from),
        text: format!("{text}; proof: {proof}"),
    }
}

fn function(check: &Functionality, tries: usize, passed: bool) -> Outcome {
    let text = match tries {
        1 => check.detail.clone(),
        _ => format!("{} (try {tries})", check.detail),
    };
    Outcome {
        group: Group::Function,
        of: check.site.clone(),
        name: format!("{} {}", check.name, words::when(check.when)),
        // What was tried before anything was broken decides nothing by itself.
        came: if passed && check.outcome != Verdict::Pass {
            Came::Skipped
        } else {
            check.outcome.into()
        },
        figures: None,
        took_ms: Some(check.took_ms),
        text,
    }
}

/// One result a checker, in the order in which they first spoke.
fn checkers(findings: &[Finding]) -> Vec<Outcome> {
    let mut all: Vec<(&str, Vec<&Finding>)> = Vec::new();
    for finding in findings {
        match all.iter_mut().find(|(name, _)| *name == finding.checker) {
            Some((_, findings)) => findings.push(finding),
            None => all.push((&finding.checker, vec![finding])),
        }
    }
    let outcome = |(name, findings): (&str, Vec<&Finding>)| {
        let line = |finding: &&Finding| {
            format!("{}: {}", words::severity(finding.severity), finding.message)
        };
        Outcome {
            group: Group::Checker,
            of: String::new(),
            name: name.to_owned(),
            came: Verdict::of(findings.iter().map(|finding| finding.verdict)).into(),
            figures: None,
            took_ms: None,
            text: findings.iter().map(line).collect::<Vec<_>>().join("\n"),
        }
    };
    all.into_iter().map(outcome).collect()
}

fn step(step: &drdrill_core::record::TabletopStep) -> Outcome {
    let came = match step.result {
        StepResult::Done => Came::Pass,
        StepResult::Failed => Came::Fail,
        StepResult::Skipped => Came::Skipped,
    };
    Outcome {
        group: Group::Step,
        of: step.owner.clone(),
        name: step.name.clone(),
        came,
        figures: None,
        took_ms: step.takes_ms,
        text: [&step.decision]
            .into_iter()
            .chain(&step.issues)
            .map(String::as_str)
            .collect::<Vec<_>>()
            .join("\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::{Case, Fixture};

    #[test]
    fn something_is_no_pass_exactly_when_the_exit_code_is_not_0() {
        for (case, name) in Case::ALL {
            let record = Fixture::build(case).record;
            let all = results(&record);
            let good = all.iter().all(|one| matches!(one.came, Came::Pass | Came::Skipped));
            assert_eq!(good, record.exit_code == 0, "{name}: {all:?}");
            for group in [Group::Drill, Group::Objective, Group::Function, Group::Checker] {
                assert!(all.iter().any(|one| one.group == group), "{name}: {group:?}");
            }
        }
    }

    #[test]
    fn each_objective_and_function_is_one_result_and_each_checker_too() {
        let mut record = Fixture::build(Case::Failed).record;
        let mut again = record.findings[0].clone();
        again.verdict = Verdict::Fail;
        "second".clone_into(&mut again.message);
        record.findings.push(again);
        let all = results(&record);
        let of = |group| all.iter().filter(|one| one.group == group).collect::<Vec<_>>();
        assert_eq!(of(Group::Objective).len(), 3 * record.services.len());
        assert_eq!(of(Group::Function).len(), tries::last_tries(&record).len());
        let checkers = of(Group::Checker);
        assert_eq!(checkers.len(), record.findings.len() - 1);
        assert_eq!(checkers[0].came, Came::Fail);
        assert!(
            checkers[0].text.ends_with("\nwarning: second")
                || checkers[0].text.ends_with("\ninfo: second")
        );
    }

    #[test]
    fn what_was_not_measured_is_skipped_only_in_a_drill_that_passed() {
        let mut record = Fixture::build(Case::Passed).record;
        record.services[0].rlo = Rlo { target: None, achieved: None, verdict: Verdict::Unknown };
        let rlo = |record: &Record| {
            results(record).into_iter().find(|one| one.name == "RLO").map(|one| one.came)
        };
        assert_eq!(rlo(&record), Some(Came::Skipped));
        record.exit_code = 11;
        assert_eq!(rlo(&record), Some(Came::Unknown));
    }
}
