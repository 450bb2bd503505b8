//! What to do about a run: rules as data, each with the figures that triggered it.
//!
//! A rule looks at the record only. Adding one is adding a line to a table in `objectives` or `conduct`.

mod conduct;
mod exercise;
mod objectives;
mod program;

pub use program::{ProgramRule, RULES as PROGRAM_RULES, recommend_for};

use drdrill_core::record::{Recommendation, Record};

/// A rule.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// Its id, in records and reports.
    pub id: &'static str,
    /// When it applies, in a sentence.
    pub when: &'static str,
    /// Looks at a record; one advice for each thing that it applies to.
    pub advise: fn(&Record) -> Vec<Advice>,
}

/// What a rule has to say.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Advice {
    /// What to do.
    pub text: String,
    /// The figures that triggered it.
    pub evidence: Vec<String>,
}

impl Advice {
    fn new(text: impl Into<String>, evidence: impl IntoIterator<Item = String>) -> Self {
        Self { text: text.into(), evidence: evidence.into_iter().collect() }
    }
}

/// All rules, the most urgent first: what was left behind, what makes the drill worthless, what was missed, what
/// could be better.
pub fn rules() -> impl Iterator<Item = &'static Rule> {
    conduct::URGENT.iter().chain(objectives::RULES).chain(conduct::RULES)
}

/// Rules about tabletop exercises, which measure nothing.
pub fn rules_of_exercises() -> impl Iterator<Item = &'static Rule> {
    exercise::RULES.iter()
}

/// What to do about a run, the most urgent first.
#[must_use]
pub fn recommend(record: &Record) -> Vec<Recommendation> {
    if record.tabletop.is_some() {
        apply(rules_of_exercises(), record)
    } else {
        apply(rules(), record)
    }
}

fn apply(rules: impl Iterator<Item = &'static Rule>, record: &Record) -> Vec<Recommendation> {
    rules
        .flat_map(|rule| {
            (rule.advise)(record).into_iter().map(|advice| Recommendation {
                rule: rule.id.to_owned(),
                text: advice.text,
                evidence: advice.evidence,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests;
