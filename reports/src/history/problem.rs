//! What somebody has to look after, of one run: under names that stay the same from run to run, so that a later drill can be
//! compared with an earlier one.

use drdrill_core::checker::Severity;
use drdrill_core::record::{Record, Service};
use drdrill_core::verdict::Verdict;
use serde::{Deserialize, Serialize};

use crate::figures;
use crate::findings::ACTION;
use crate::tries::last_tries;

/// Something wrong with the system, its plans or the drill.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Problem {
    /// What it is about: the same problem of another run has the same key.
    pub key: String,
    /// How grave it is.
    pub severity: Severity,
    /// What it meant for the drill; `pass` where it spoiled nothing.
    pub verdict: Verdict,
    /// What was seen, a sentence each.
    pub seen: Vec<String>,
    /// Who has to see to it, where an exercise said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Until when, `YYYY-MM-DD`, where an exercise said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<String>,
}

/// What somebody has to look after of a run, the gravest first. A run that did not pass has at least one.
#[must_use]
pub fn problems(record: &Record) -> Vec<Problem> {
    let mut all = Problems::default();
    for left in &record.leftovers {
        let text =
            format!("{} on {} could not be taken back: {}", left.kind, left.target, left.error);
        all.add(format!("leftover:{}", left.kind), Severity::Critical, Verdict::Fail, text);
    }
    if record.tabletop.is_none() && !record.faults.is_empty() {
        for service in &record.services {
            of_service(service, record, &mut all);
        }
    }
    for found in &record.findings {
        // What passed and is worth a warning needs an owner too.
        if found.verdict != Verdict::Pass || found.severity > Severity::Info {
            let key = match quoted(&found.message) {
                Some(subject) => format!("{}:{subject}", found.checker),
                None => found.checker.clone(),
            };
            all.add(key, found.severity, found.verdict, found.message.clone());
        }
    }
    for action in record.tabletop.iter().flat_map(|exercise| &exercise.conclusion.actions) {
        let key = format!("{ACTION}{}", action.what);
        all.add(key, Severity::Warning, Verdict::Pass, action.what.clone());
        if let Some(last) = all.0.last_mut() {
            (last.owner, last.due) = (Some(action.owner.clone()), Some(action.due.clone()));
        }
    }
    if record.verdict != Verdict::Pass && all.0.iter().all(|one| one.verdict == Verdict::Pass) {
        let severity =
            if record.verdict == Verdict::Fail { Severity::Critical } else { Severity::Warning };
        let reason = record.reasons.first().cloned();
        let text = reason.unwrap_or_else(|| "the record gives no reason".to_owned());
        all.add("drill".to_owned(), severity, record.verdict, text);
    }
    all.0.sort_by_key(|one| std::cmp::Reverse((one.severity, one.verdict)));
    all.0
}

/// Begins the key of a function that does not work.
pub(crate) const FUNCTION: &str = "functions_work:";
/// Begins the key of a service whose registers contradict each other.
pub(crate) const REGISTERS: &str = "registers:";
/// Begins the key of a service whose accounts do not add up.
pub(crate) const BANK: &str = "bank:";

/// Keys of what was looked at in a run and would be its problem, had something been wrong with it.
pub(super) fn looked_at(record: &Record) -> Vec<String> {
    let tried = last_tries(record).into_iter().map(|(check, _)| check);
    let tried = tried.filter(|check| check.outcome == Verdict::Pass);
    let mut all: Vec<String> = tried.map(|check| format!("{FUNCTION}{}", check.name)).collect();
    for service in &record.services {
        let Some(found) = &service.consistency else { continue };
        if found.registers.as_ref().is_some_and(|found| found.verdict == Verdict::Pass) {
            all.push(format!("{REGISTERS}{}", service.name));
        }
        if found.bank.as_ref().is_some_and(|found| found.verdict == Verdict::Pass) {
            all.push(format!("{BANK}{}", service.name));
        }
    }
    all.sort();
    all.dedup();
    all
}

/// Problems by key, in the order in which they came.
#[derive(Debug, Default)]
struct Problems(Vec<Problem>);

impl Problems {
    fn add(&mut self, key: String, severity: Severity, verdict: Verdict, text: String) {
        if let Some(same) = self.0.iter_mut().find(|one| one.key == key) {
            same.severity = same.severity.max(severity);
            same.verdict = same.verdict.max(verdict);
            same.seen.push(text);
            return;
        }
        self.0.push(Problem { key, severity, verdict, seen: vec![text], owner: None, due: None });
    }
}

/// Objectives that were missed, or of which it cannot be told. Where the drill passed there was nothing to miss.
fn of_service(service: &Service, record: &Record, all: &mut Problems) {
    let name = &service.name;
    let mut objective =
        |what: &str, verdict: Verdict, set: bool, achieved: String, target: String| {
            let severity = match verdict {
                Verdict::Fail => Severity::Critical,
                // Without an objective there is nothing to establish.
                Verdict::Unknown if set && record.verdict != Verdict::Pass => Severity::Warning,
                Verdict::Unknown | Verdict::Pass => return,
            };
            let text = format!("{name}: {what} {achieved}, objective {target}");
            let word = what.replace(' ', "_");
            all.add(format!("{word}:{name}"), severity, verdict, text);
        };
    let rto = &service.rto;
    let (set, target) = (rto.target_ms.is_some(), figures::at_most(rto.target_ms));
    objective("recovery time", rto.verdict, set, figures::rto(rto), target);
    if let Some(rpo) = &service.rpo {
        let (set, target) = (rpo.target_ms.is_some(), figures::at_most(rpo.target_ms));
        objective("recovery point", rpo.verdict, set, figures::rpo(rpo), target);
    }
    let rlo = &service.rlo;
    let (set, target) = (rlo.target.is_some(), figures::at_least(rlo.target));
    objective("recovery level", rlo.verdict, set, figures::rlo(rlo), target);
    let found = service.consistency.as_ref();
    let registers = found.and_then(|found| found.registers.as_ref());
    let bank = found.and_then(|found| found.bank.as_ref());
    let registers = registers.map(|found| (REGISTERS, found.verdict, &found.findings));
    let bank = bank.map(|found| (BANK, found.verdict, &found.findings));
    for (key, verdict, findings) in registers.into_iter().chain(bank) {
        let severity = match verdict {
            Verdict::Pass => continue,
            Verdict::Unknown => Severity::Warning,
            Verdict::Fail => Severity::Critical,
        };
        let first =
            findings.first().map_or("it cannot be told whether they are right", String::as_str);
        all.add(format!("{key}{name}"), severity, verdict, format!("{name}: {key} {first}"));
    }
}

/// What a message names in quotes: what it is about, where a checker may find several things.
fn quoted(message: &str) -> Option<&str> {
    let (_, rest) = message.split_once('`')?;
    let (subject, _) = rest.split_once('`')?;
    (!subject.is_empty()).then_some(subject)
}

#[cfg(test)]
mod tests {
    use drdrill_core::checker::Finding;

    use super::*;
    use crate::testkit::{Case, Fixture};

    fn keys(record: &Record) -> Vec<String> {
        problems(record).into_iter().map(|one| one.key).collect()
    }

    #[test]
    fn a_run_that_did_not_pass_has_a_problem() {
        for (case, name) in Case::ALL {
            let mut record = Fixture::build(case).record;
            let found = problems(&record);
            if record.verdict != Verdict::Pass {
                let worst = found.iter().map(|one| one.verdict).max();
                assert!(worst > Some(Verdict::Pass), "{name}: {found:?}");
            }
            // Even when nothing in the record says why.
            record.findings.clear();
            record.services.clear();
            record.leftovers.clear();
            record.verdict = Verdict::Unknown;
            assert_eq!(keys(&record), ["drill"], "{name}");
        }
    }

    #[test]
    fn the_same_problem_has_the_same_key_whatever_its_figures() {
        let mut record = Fixture::build(Case::Failed).record;
        let before = keys(&record);
        assert!(before.contains(&"recovery_time:orders".to_owned()), "{before:?}");
        record.services[0].rto.at_least_ms = Some(9_999.0);
        record.services[0].rto.at_most_ms = Some(10_001.0);
        assert_eq!(keys(&record), before);
    }

    #[test]
    fn what_a_checker_names_in_quotes_is_kept_apart() {
        let mut record = Fixture::build(Case::Passed).record;
        record.verdict = Verdict::Fail;
        record.findings = [
            "`login` never worked again",
            "`jobs` never worked again",
            "`jobs` does not work after failback",
        ]
        .map(|message| Finding {
            checker: "functions_work".to_owned(),
            verdict: Verdict::Fail,
            severity: Severity::Critical,
            message: message.to_owned(),
        })
        .to_vec();
        let found = problems(&record);
        assert_eq!(keys(&record), ["functions_work:login", "functions_work:jobs"]);
        assert_eq!(found[1].seen.len(), 2);
    }

    #[test]
    fn what_was_looked_at_and_worked_is_kept() {
        let mut record = Fixture::build(Case::Passed).record;
        let mut names: Vec<String> =
            record.functionality.iter().map(|one| format!("{FUNCTION}{}", one.name)).collect();
        names.sort();
        names.dedup();
        assert!(!names.is_empty());
        assert_eq!(looked_at(&record), names);
        for check in &mut record.functionality {
            check.outcome = Verdict::Unknown;
        }
        assert_eq!(looked_at(&record), Vec::<String>::new());
    }

    #[test]
    fn an_objective_that_was_not_measured_is_no_problem_where_the_drill_passed() {
        let mut record = Fixture::build(Case::Passed).record;
        record.findings.clear();
        record.services[0].rto.verdict = Verdict::Unknown;
        assert_eq!(keys(&record), Vec::<String>::new());
        record.verdict = Verdict::Unknown;
        assert_eq!(keys(&record), ["recovery_time:orders"]);
    }
}
