//! Recovery time achieved: from the fault to the start of the sustained window, as hard bounds.

use std::time::Duration;

use drdrill_core::record::Rto;
use drdrill_core::time::{At, Bounds, millis};
use drdrill_core::verdict::Verdict;

use super::digest::Disaster;
use super::functions::FunctionsAfter;
use super::recovery::Recovery;
use super::streams::StreamStory;
use super::text::{show, show_bounds};

/// Why nothing is measured of a system that had failed over already when the fault came.
pub(crate) const EARLY: &str = "the system failed over before anything was broken";

/// The recovery time of a service, and why it is judged as it is.
#[derive(Clone, Debug)]
pub(crate) struct RtoStory {
    pub(crate) rto: Rto,
    pub(crate) reason: String,
    /// By when the service was restored, in instants of the drill; `None` when it never was.
    pub(crate) restored_by: Option<At>,
}

/// What ended the waiting.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waiting {
    /// When it ended.
    pub(crate) until: At,
    /// Whether the drill gave up by itself: it was neither aborted nor cut off.
    pub(crate) gave_up: bool,
}

/// The worst that became of any stream.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
enum Worst {
    #[default]
    Back,
    NotEstablished,
    Never,
    Unseen,
}

#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    at_least: Duration,
    at_most: Option<Duration>,
    restored_by: At,
    worst: Worst,
    blurred: bool,
    harmed: bool,
}

/// Judges one service: it is restored when all of its headline streams are and every function works again. With
/// several faults the worst recovery counts, each from its own fault. `early` says that the system failed over before
/// anything was broken: there is no recovery to measure.
pub(crate) fn judge(
    service: &str,
    stories: &[&StreamStory<'_>],
    functions: &FunctionsAfter,
    target: Option<Duration>,
    waiting: Waiting,
    early: bool,
) -> RtoStory {
    let mut sum = Sum { at_most: Some(Duration::ZERO), ..Sum::default() };
    for (disaster, recovery, _) in stories.iter().flat_map(|story| &story.recoveries) {
        sum.add(*disaster, *recovery);
        sum.add_functions(*disaster, functions);
    }
    let measured = stories.iter().any(|story| !story.recoveries.is_empty());
    if early || !measured || sum.worst == Worst::Unseen {
        let why = if early {
            EARLY
        } else if stories.is_empty() {
            "no probe with fresh connections watches it"
        } else if measured {
            "a stream has no attempt after the fault"
        } else {
            "no fault was in effect"
        };
        return RtoStory {
            rto: Rto {
                target_ms: target.map(millis),
                at_least_ms: None,
                at_most_ms: None,
                verdict: Verdict::Unknown,
            },
            reason: format!("{service}: the recovery time was not measured: {why}"),
            restored_by: None,
        };
    }
    sum.story(service, functions, target, waiting)
}

impl Sum {
    fn add(&mut self, disaster: Disaster, recovery: Recovery) {
        let (at_least, at_most, by) = match recovery {
            Recovery::Unseen => {
                self.worst = Worst::Unseen;
                return;
            }
            Recovery::Unharmed { gap, blurred, .. } => {
                self.blurred |= blurred;
                (Duration::ZERO, Some(gap), Some(disaster.from.plus(gap)))
            }
            Recovery::Restored { after, by, blurred, .. } => {
                self.harmed = true;
                self.blurred |= blurred;
                (after.since(disaster.at), Some(by.since(disaster.from)), Some(by))
            }
            Recovery::NotEstablished { after, .. } => {
                self.worst = self.worst.max(Worst::NotEstablished);
                (after.since(disaster.at), None, None)
            }
            Recovery::Never { after } => {
                self.worst = self.worst.max(Worst::Never);
                (after.since(disaster.at), None, None)
            }
        };
        self.at_least = self.at_least.max(at_least);
        self.at_most = self.at_most.zip(at_most).map(|(a, b)| a.max(b));
        self.restored_by = self.restored_by.max(by.unwrap_or_default());
    }

    fn add_functions(&mut self, disaster: Disaster, functions: &FunctionsAfter) {
        if let Some(failing) = functions.last_failing {
            self.harmed = true;
            self.at_least = self.at_least.max(failing.since(disaster.at));
        }
        if let Some(passing) = functions.first_passing_after_failing {
            let passing_after = passing.since(disaster.from);
            self.at_most = self.at_most.map(|at_most| at_most.max(passing_after));
            self.restored_by = self.restored_by.max(passing);
        }
        if !functions.never_passed.is_empty() || !functions.unclear.is_empty() {
            self.at_most = None;
        }
    }

    fn story(
        self,
        service: &str,
        functions: &FunctionsAfter,
        target: Option<Duration>,
        waiting: Waiting,
    ) -> RtoStory {
        let bounds = Bounds { at_least: self.at_least, at_most: self.at_most };
        let figures = show_bounds(bounds.at_least, bounds.at_most);
        let against = target.map_or(Verdict::Pass, |target| bounds.within(target));
        let objective = target.map_or_else(
            || "no objective was set".to_owned(),
            |target| format!("the objective is {}", show(target)),
        );
        let missed = against == Verdict::Fail;
        let (verdict, reason) = if missed {
            let reason = format!("recovery time {figures}; {objective}, which is missed");
            (Verdict::Fail, reason)
        } else if self.worst == Worst::Never {
            let text = format!("never restored within {}", show(bounds.at_least));
            if waiting.gave_up {
                (Verdict::Fail, format!("{text}; the drill stopped waiting"))
            } else {
                (Verdict::Unknown, format!("{text}; the drill ended before its time"))
            }
        } else if let [name, ..] = &functions.never_passed[..] {
            let reason = format!("not restored: `{name}` never worked again; {objective}");
            (Verdict::Fail, reason)
        } else if let [name, ..] = &functions.unclear[..] {
            let reason = format!(
                "recovery time at least {}, not established: whether `{name}` works again could not be told",
                show(bounds.at_least)
            );
            (Verdict::Unknown, reason)
        } else if self.worst == Worst::NotEstablished {
            let reason = format!(
                "recovery time at least {}, not established: the service was not watched long enough after it \
                 came back",
                show(bounds.at_least)
            );
            (Verdict::Unknown, reason)
        } else if self.blurred {
            let reason = format!(
                "recovery time {figures}, but more than 5 % of the attempts were our own errors; {objective}"
            );
            (Verdict::Unknown, reason)
        } else if !self.harmed {
            let hidden = show(bounds.at_most.unwrap_or_default());
            let reason = format!(
                "nothing failed; an outage shorter than {hidden} could have hidden; {objective}"
            );
            (against, reason)
        } else if against == Verdict::Unknown {
            let reason = format!(
                "recovery time {figures}, across the objective of {}; sample faster to tell",
                show(target.unwrap_or_default())
            );
            (against, reason)
        } else {
            (against, format!("recovery time {figures}; {objective}"))
        };
        RtoStory {
            rto: Rto {
                target_ms: target.map(millis),
                at_least_ms: Some(millis(bounds.at_least)),
                at_most_ms: bounds.at_most.map(millis),
                verdict,
            },
            reason: format!("{service}: {reason}"),
            restored_by: bounds.at_most.is_some().then_some(self.restored_by),
        }
    }
}
