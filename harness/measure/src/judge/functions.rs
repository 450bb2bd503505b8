//! Functionality checks: they can move the recovery, and a function that never works again denies it.

use std::collections::BTreeSet;

use drdrill_core::event::When;
use drdrill_core::time::At;
use drdrill_core::verdict::Verdict;

use super::digest::FunctionFacts;

/// What the checks after the recovery came to.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct FunctionsAfter {
    /// When the last check began that failed and was passed later.
    pub(crate) last_failing: Option<At>,
    /// When the last of the functions that failed or could not be told at first had passed.
    pub(crate) first_passing_after_failing: Option<At>,
    /// Functions whose last word was a failure.
    pub(crate) never_passed: Vec<String>,
    /// Functions whose last word was unknown.
    pub(crate) unclear: Vec<String>,
    /// Functions the scenario asks for that nobody tried.
    pub(crate) missing: Vec<String>,
}

impl FunctionsAfter {
    /// Of the names the scenario asks for and all others that were checked at that time.
    pub(crate) fn of(wanted: &[String], checks: &[FunctionFacts<'_>], when: When) -> Self {
        let tried = checks.iter().filter(|check| check.when == when);
        let tried = tried.map(|check| check.name);
        let names: BTreeSet<&str> = wanted.iter().map(String::as_str).chain(tried).collect();
        let mut after = Self::default();
        for name in names {
            let mut own = checks.iter().filter(|check| check.when == when && check.name == name);
            after.add(name, &mut own);
        }
        after
    }

    fn add<'a>(&mut self, name: &str, checks: &mut dyn Iterator<Item = &'a FunctionFacts<'a>>) {
        let checks: Vec<_> = checks.collect();
        match checks.last().map(|check| check.verdict) {
            None => self.missing.push(name.to_owned()),
            Some(Verdict::Fail) => self.never_passed.push(name.to_owned()),
            Some(Verdict::Unknown) => self.unclear.push(name.to_owned()),
            Some(Verdict::Pass) => {}
        }
        let failing = checks.iter().rfind(|check| check.verdict == Verdict::Fail);
        self.last_failing = self.last_failing.max(failing.map(|check| check.started));
        let not_passed = checks.iter().rposition(|check| check.verdict != Verdict::Pass);
        let passing = not_passed.and_then(|last| checks.get(last + 1));
        self.first_passing_after_failing =
            self.first_passing_after_failing.max(passing.map(|check| check.finished));
    }
}
