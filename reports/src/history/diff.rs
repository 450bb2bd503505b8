//! What changed between the results of two runs.

use std::collections::BTreeMap;

use drdrill_core::record::{Record, Service};
use drdrill_core::verdict::Verdict;
use serde::Serialize;

use super::problem::problems;
use crate::figures;
use crate::tries::last_tries;

/// Which way something changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// The later run is better.
    Better,
    /// The later run is worse.
    Worse,
    /// It is another, and neither better nor worse; or the intervals overlap, and it cannot be told.
    Other,
}

/// Something that the two runs do not have in common.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Change {
    /// Of what: the run, a service, a function, a finding.
    pub of: String,
    /// What of it.
    pub what: String,
    /// In the first run; absent where it has none.
    pub before: Option<String>,
    /// In the second run; absent where it has none.
    pub after: Option<String>,
    /// Which way.
    pub direction: Direction,
}

/// What changed between two runs.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Diff {
    /// The first run.
    pub before: String,
    /// The second run.
    pub after: String,
    /// Whether both are of the same scenario (file), environment and settings: only then the figures compare.
    pub comparable: bool,
    /// What changed, in the order of the record.
    pub changes: Vec<Change>,
}

/// What changed from one run to another.
#[must_use]
pub fn diff(before: &Record, after: &Record) -> Diff {
    let mut changes = Changes(Vec::new());
    drills(before, after, &mut changes);
    // Whatever changed so far is about what was drilled.
    let comparable = changes.0.is_empty();
    outcome(before, after, &mut changes);
    services(before, after, &mut changes);
    functions(before, after, &mut changes);
    findings(before, after, &mut changes);
    Diff {
        before: before.run_id.clone(),
        after: after.run_id.clone(),
        comparable,
        changes: changes.0,
    }
}

struct Changes(Vec<Change>);

impl Changes {
    fn note(
        &mut self,
        of: &str,
        what: &str,
        (before, after): (Option<String>, Option<String>),
        direction: Direction,
    ) {
        if before != after {
            let (of, what) = (of.to_owned(), what.to_owned());
            self.0.push(Change { of, what, before, after, direction });
        }
    }

    fn texts<T: ToString>(&mut self, of: &str, what: &str, before: T, after: T) {
        let [before, after] = [before, after].map(|one| Some(one.to_string()));
        self.note(of, what, (before, after), Direction::Other);
    }

    fn verdicts(&mut self, of: &str, what: &str, before: Option<Verdict>, after: Option<Verdict>) {
        let direction = match before.zip(after) {
            // What could not be told is no better than what failed: nothing was shown.
            Some((before, Verdict::Pass)) if before != Verdict::Pass => Direction::Better,
            Some((before, after)) if after > before => Direction::Worse,
            _ => Direction::Other,
        };
        let word = |verdict: Option<Verdict>| verdict.map(|verdict| verdict.word().to_owned());
        self.note(of, what, (word(before), word(after)), direction);
    }
}

/// What was drilled.
fn drills(before: &Record, after: &Record, changes: &mut Changes) {
    let list =
        |texts: &[String]| if texts.is_empty() { "none".to_owned() } else { texts.join(", ") };
    let short = |sha256: &str| sha256.chars().take(12).collect::<String>();
    changes.texts("scenario", "name", &before.scenario.name, &after.scenario.name);
    changes.texts(
        "scenario",
        "file",
        short(&before.scenario.sha256),
        short(&after.scenario.sha256),
    );
    let (old, new) = (&before.scenario.settings, &after.scenario.settings);
    changes.texts("scenario", "settings", list(old), list(new));
    let (old, new) = (&before.environment, &after.environment);
    changes.texts("environment", "name", &old.name, &new.name);
    if let (Some(old), Some(new)) = (&old.definition, &new.definition) {
        changes.texts("environment", "definition", short(old), short(new));
    }
    changes.texts("run", "kind", format!("{:?}", before.kind), format!("{:?}", after.kind));
    let faults = |record: &Record| {
        let faults =
            record.faults.iter().map(|fault| format!("{} on {}", fault.kind, fault.target));
        list(&faults.collect::<Vec<_>>())
    };
    changes.texts("run", "faults", faults(before), faults(after));
}

fn outcome(before: &Record, after: &Record, changes: &mut Changes) {
    changes.texts("run", "drdrill", &before.tool.version, &after.tool.version);
    changes.verdicts("run", "verdict", Some(before.verdict), Some(after.verdict));
    changes.texts("run", "exit code", before.exit_code, after.exit_code);
    let lag = |record: &Record| record.replication_lag_ms.map(|lag| format!("{lag} ms"));
    changes.note("run", "replication lag", (lag(before), lag(after)), Direction::Other);
}

fn services(before: &Record, after: &Record, changes: &mut Changes) {
    for (name, old, new) in pairs(&before.services, &after.services, |service| &service.name) {
        let of = format!("service {name}");
        let (Some(old), Some(new)) = (old, new) else {
            let word = |service: Option<&Service>| service.map(|_| "watched".to_owned());
            changes.note(&of, "service", (word(old), word(new)), Direction::Other);
            continue;
        };
        changes.texts(&of, "tier", old.tier, new.tier);
        let target = figures::at_most;
        changes.texts(&of, "RTO target", target(old.rto.target_ms), target(new.rto.target_ms));
        let (old_time, new_time) = (&old.rto, &new.rto);
        let direction = compare(
            (old_time.at_least_ms, old_time.at_most_ms),
            (new_time.at_least_ms, new_time.at_most_ms),
        );
        let both = (Some(figures::rto(old_time)), Some(figures::rto(new_time)));
        changes.note(&of, "RTO", both, direction);
        changes.verdicts(&of, "RTO verdict", Some(old.rto.verdict), Some(new.rto.verdict));
        recovery_point(&of, old, new, changes);
        let target = figures::at_least;
        changes.texts(&of, "RLO target", target(old.rlo.target), target(new.rlo.target));
        let direction = match old.rlo.achieved.zip(new.rlo.achieved) {
            Some((old, new)) if new > old => Direction::Better,
            Some((old, new)) if new < old => Direction::Worse,
            _ => Direction::Other,
        };
        let both = (Some(figures::rlo(&old.rlo)), Some(figures::rlo(&new.rlo)));
        changes.note(&of, "RLO", both, direction);
        changes.verdicts(&of, "RLO verdict", Some(old.rlo.verdict), Some(new.rlo.verdict));
        let both = (Some(figures::outage(old.outage)), Some(figures::outage(new.outage)));
        let bounds = |service: &Service| {
            match (service.outage, service.rto.at_least_ms) {
                (Some(outage), _) => (Some(outage.at_least_ms), outage.at_most_ms),
                // It was watched, and clients saw nothing.
                (None, Some(_)) => (Some(0.0), Some(0.0)),
                (None, None) => (None, None),
            }
        };
        changes.note(&of, "outage", both, compare(bounds(old), bounds(new)));
    }
}

fn recovery_point(of: &str, old: &Service, new: &Service, changes: &mut Changes) {
    let (Some(old), Some(new)) = (&old.rpo, &new.rpo) else {
        let word = |service: &Service| service.rpo.as_ref().map(|_| "measured".to_owned());
        changes.note(of, "RPO", (word(old), word(new)), Direction::Other);
        return;
    };
    let target = figures::at_most;
    changes.texts(of, "RPO target", target(old.target_ms), target(new.target_ms));
    let direction = compare((old.at_least_ms, old.at_most_ms), (new.at_least_ms, new.at_most_ms));
    let both = (Some(figures::rpo(old)), Some(figures::rpo(new)));
    changes.note(of, "RPO", both, direction);
    changes.verdicts(of, "RPO verdict", Some(old.verdict), Some(new.verdict));
    // How many writes there were differs from run to run; only lost ones are news.
    let lost =
        |rpo: &drdrill_core::record::Rpo| figures::is_measured(rpo).then_some(rpo.writes.lost);
    let direction = match lost(old).zip(lost(new)) {
        Some((old, new)) if new < old => Direction::Better,
        Some((old, new)) if new > old => Direction::Worse,
        _ => Direction::Other,
    };
    let text = |count: Option<u64>| Some(count.map_or("not measured".to_owned(), figures::count));
    changes.note(of, "writes lost", (text(lost(old)), text(lost(new))), direction);
}

/// Which way a figure changed of which less is better. Intervals that overlap may be the same figure.
fn compare(before: (Option<f64>, Option<f64>), after: (Option<f64>, Option<f64>)) -> Direction {
    let below = |a: (Option<f64>, Option<f64>), b: (Option<f64>, Option<f64>)| {
        a.1.zip(b.0).is_some_and(|(most, least)| most < least)
    };
    if below(after, before) {
        Direction::Better
    } else if below(before, after) {
        Direction::Worse
    } else {
        Direction::Other
    }
}

fn functions(before: &Record, after: &Record, changes: &mut Changes) {
    let outcomes = |record: &Record| {
        let tries = last_tries(record).into_iter().map(|(check, _)| {
            let when = serde_json::to_value(check.when).unwrap_or_default();
            let when = when.as_str().unwrap_or_default().replace('_', " ");
            (format!("function {} {when}", check.name), check.outcome)
        });
        tries.collect::<Vec<_>>()
    };
    let (old, new) = (outcomes(before), outcomes(after));
    for (name, old, new) in pairs(&old, &new, |(name, _)| name) {
        let verdict = |one: Option<&(String, Verdict)>| one.map(|(_, verdict)| *verdict);
        changes.verdicts(name, "outcome", verdict(old), verdict(new));
    }
}

/// Findings that only one of them has. Their figures differ from run to run and are no change.
fn findings(before: &Record, after: &Record, changes: &mut Changes) {
    let (old, new) = (problems(before), problems(after));
    for (key, old, new) in pairs(&old, &new, |problem| &problem.key) {
        let of = format!("finding {key}");
        match (old, new) {
            (Some(old), Some(new)) => {
                changes.verdicts(&of, "verdict", Some(old.verdict), Some(new.verdict));
            }
            (Some(gone), None) => {
                // A run that did not pass does not show that anything is over.
                let better = after.verdict == Verdict::Pass;
                let direction = if better { Direction::Better } else { Direction::Other };
                changes.note(&of, "finding", (gone.seen.first().cloned(), None), direction);
            }
            (None, Some(came)) => {
                changes.note(&of, "finding", (None, came.seen.first().cloned()), Direction::Worse);
            }
            (None, None) => {}
        }
    }
}

/// What both have, and what only one of them has, by name.
fn pairs<'a, T>(
    before: &'a [T],
    after: &'a [T],
    name: impl Fn(&'a T) -> &'a String,
) -> Vec<(&'a str, Option<&'a T>, Option<&'a T>)> {
    let later: BTreeMap<&str, &T> = after.iter().map(|one| (name(one).as_str(), one)).collect();
    let earlier: BTreeMap<&str, &T> = before.iter().map(|one| (name(one).as_str(), one)).collect();
    let olds = before.iter().map(|one| {
        let name = name(one).as_str();
        (name, Some(one), later.get(name).copied())
    });
    let news = after.iter().filter(|one| !earlier.contains_key(name(one).as_str()));
    olds.chain(news.map(|one| (name(one).as_str(), None, Some(one)))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::{Case, Fixture};

    fn find<'a>(diff: &'a Diff, of: &str, what: &str) -> &'a Change {
        let found = diff.changes.iter().find(|change| change.of == of && change.what == what);
        found.unwrap_or_else(|| panic!("no change of {of}, {what}: {:#?}", diff.changes))
    }

    #[test]
    fn a_run_has_not_changed_against_itself() {
        for (case, _) in Case::ALL {
            let record = Fixture::build(case).record;
            let diff = diff(&record, &record);
            assert!(diff.comparable && diff.changes.is_empty(), "{diff:#?}");
        }
    }

    #[test]
    fn what_got_worse_is_said_with_both_figures() {
        let (passed, failed) =
            (Fixture::build(Case::Passed).record, Fixture::build(Case::Failed).record);
        let changed = diff(&passed, &failed);
        let verdict = find(&changed, "run", "verdict");
        assert_eq!(
            (verdict.before.as_deref(), verdict.after.as_deref(), verdict.direction),
            (Some("pass"), Some("fail"), Direction::Worse)
        );
        let missed = find(&changed, "finding recovery_time:orders", "finding");
        assert_eq!((missed.before.as_deref(), missed.direction), (None, Direction::Worse));
        let back = diff(&failed, &passed);
        assert_eq!(find(&back, "run", "verdict").direction, Direction::Better);
    }

    #[test]
    fn intervals_that_overlap_are_neither_better_nor_worse() {
        let before = Fixture::build(Case::Passed).record;
        let mut after = before.clone();
        let rto = &mut after.services[0].rto;
        let (low, high) = (rto.at_least_ms.unwrap(), rto.at_most_ms.unwrap());
        (rto.at_least_ms, rto.at_most_ms) = (Some(low + 1.0), Some(high + 1.0));
        assert_eq!(
            find(&diff(&before, &after), "service orders", "RTO").direction,
            Direction::Other
        );
        let rto = &mut after.services[0].rto;
        (rto.at_least_ms, rto.at_most_ms) = (Some(high + 1.0), Some(high + 2.0));
        assert_eq!(
            find(&diff(&before, &after), "service orders", "RTO").direction,
            Direction::Worse
        );
        // One that never came back is later than any end that was seen.
        after.services[0].rto.at_most_ms = None;
        assert_eq!(
            find(&diff(&before, &after), "service orders", "RTO").direction,
            Direction::Worse
        );
        assert_eq!(
            find(&diff(&after, &before), "service orders", "RTO").direction,
            Direction::Better
        );
    }

    #[test]
    fn another_scenario_or_another_setting_does_not_compare() {
        let before = Fixture::build(Case::Passed).record;
        let mut after = before.clone();
        after.scenario.settings = vec!["failover=none".to_owned()];
        assert!(!diff(&before, &after).comparable);
        let mut after = before.clone();
        after.scenario.sha256 = "0".repeat(64);
        assert!(!diff(&before, &after).comparable);
    }
}
