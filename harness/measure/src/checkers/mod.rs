//! Checkers judge what must hold besides the objectives. One rule per file; each is pure and ships with a history
//! it passes, one it must fail and one it must call unknown.
//!
//! A rule always says something, if only that there was nothing of its kind to look at: silence counts as unknown.

mod baseline;
mod bystanders;
mod completeness;
mod failback;
mod faults;
mod functions;
mod premature;
mod probing;
mod refrained;
mod relapse;
mod runbook;
mod split_brain;
mod steady;
mod steps;
#[cfg(test)]
pub(crate) mod testing;
mod wayback;
mod writes;

use std::fmt;

use drdrill_core::checker::{Checker, Finding, Severity};
use drdrill_core::event::Entry;
use drdrill_core::verdict::Verdict;

use crate::judge::case::Case;
use crate::judge::finding;

/// A rule and its name.
#[derive(Clone, Copy)]
pub struct Rule {
    name: &'static str,
    look: fn(&Case<'_>) -> Vec<Finding>,
}

/// All rules, in the order in which their findings stand in the record.
const RULES: [Rule; 16] = [
    faults::RULE,
    premature::RULE,
    refrained::RULE,
    baseline::RULE,
    completeness::RULE,
    functions::RULE,
    relapse::RULE,
    writes::RULE,
    split_brain::RULE,
    bystanders::RULE,
    failback::RULE,
    wayback::RULE,
    steps::RULE,
    runbook::RULE,
    steady::RULE,
    probing::RULE,
];

/// All checkers of this crate.
#[must_use]
pub fn all() -> Vec<Box<dyn Checker>> {
    RULES.into_iter().map(|rule| Box::new(rule) as Box<dyn Checker>).collect()
}

/// What all rules found in a case.
pub(crate) fn findings(case: &Case<'_>) -> Vec<Finding> {
    RULES.iter().flat_map(|rule| rule.apply(case)).collect()
}

impl Rule {
    const fn new(name: &'static str, look: fn(&Case<'_>) -> Vec<Finding>) -> Self {
        Self { name, look }
    }

    fn apply(&self, case: &Case<'_>) -> Vec<Finding> {
        let found = (self.look)(case);
        if found.is_empty() {
            return vec![self.unknown("looked at nothing")];
        }
        found
    }

    fn unknown(&self, message: impl Into<String>) -> Finding {
        finding(self.name, Verdict::Unknown, Severity::Warning, message)
    }
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Rule").field(&self.name).finish()
    }
}

impl Checker for Rule {
    fn name(&self) -> &'static str {
        self.name
    }

    fn check(&self, history: &[Entry]) -> Vec<Finding> {
        Case::open(history, |case| self.apply(case))
            .unwrap_or_else(|error| vec![self.unknown(error.to_string())])
    }
}

/// A finding that all is well.
fn fine(checker: &str, message: impl Into<String>) -> Finding {
    finding(checker, Verdict::Pass, Severity::Info, message)
}

/// A finding that spoils nothing and still needs an owner.
fn warning(checker: &str, message: impl Into<String>) -> Finding {
    finding(checker, Verdict::Pass, Severity::Warning, message)
}

/// A finding that spoils the drill.
fn unknown(checker: &str, message: impl Into<String>) -> Finding {
    finding(checker, Verdict::Unknown, Severity::Warning, message)
}

/// A finding that fails the drill.
fn critical(checker: &str, message: impl Into<String>) -> Finding {
    finding(checker, Verdict::Fail, Severity::Critical, message)
}
