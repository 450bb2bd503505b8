//! A realistic run, for tests and for looking at reports: the primary site is lost at 5 s, noticed at 7 s, failed
//! over at 8.5 s, and failed back between 25 and 35 s; 50 samples a second on four streams.
//!
//! Uses the core only, so that the example can include this file as well.

#[cfg(test)]
pub(crate) mod hostile;
#[cfg(test)]
pub(crate) mod poison;

mod history;

mod judged;

use drdrill_core::event::Entry;
use drdrill_core::record::Record;

/// How the run ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Case {
    /// Everything within its targets.
    Passed,
    /// Recovery time and recovery point missed, and more besides.
    Failed,
    /// The target lies inside the interval.
    Unknown,
    /// The service did not come back.
    NeverRecovered,
    /// The fault could not be taken back.
    Stuck,
    /// The fault had no effect.
    Invalid,
}

impl Case {
    /// All of them, with a name for files.
    pub(crate) const ALL: [(Self, &'static str); 6] = [
        (Self::Passed, "passed"),
        (Self::Failed, "failed"),
        (Self::Unknown, "unknown"),
        (Self::NeverRecovered, "never_recovered"),
        (Self::Stuck, "stuck"),
        (Self::Invalid, "invalid"),
    ];
}

/// A judged run. Its record has no recommendations yet.
#[derive(Clone, Debug)]
pub(crate) struct Fixture {
    /// The judgement.
    pub(crate) record: Record,
    /// The evidence.
    pub(crate) history: Vec<Entry>,
}

impl Fixture {
    /// Builds a run of 60 s with 50 samples a second.
    pub(crate) fn build(case: Case) -> Self {
        Self::with_rate(case, 50)
    }

    /// Builds a run of 60 s with `per_second` samples a second on each of four streams.
    pub(crate) fn with_rate(case: Case, per_second: u64) -> Self {
        let history = history::history(case, per_second);
        let record = judged::record(case, &history);
        Self { record, history }
    }
}
