//! Finding the start of the sustained window: the one place that says when a stream is restored.
//!
//! A window of length W begins with a success *d* and holds when (measurement.md section 2, "Sustained window"):
//! successes ≥ 99.9 % (or baseline − 3σ), goodput ≥ the recovery level × the baseline's, at most 1 % of the
//! successes slow (that is p99 within its limit; a single one never decides), no failure in its first tenth, and it was watched to its end.
//! The first window that holds counts; what fails after it is a relapse, judged apart. So the same answer comes
//! out while the drill runs ([`crate::watch`]) and afterwards.
//!
//! Where it begins is read in two ways, and both are inside the bounds. Read strictly, it begins with an attempt
//! that was not slow. Read literally, it may begin with slow ones, as p99 allows 1 %. The upper bound is the
//! strict one's first success; the lower bound is the last attempt before the literal one's start.

use std::time::Duration;

use drdrill_core::event::StreamFacts;
use drdrill_core::time::At;

use super::baseline::Baseline;
use super::digest::Disaster;
use super::shots::{Shot, ratio};

/// Fewest attempts from which something is said about a window that was not watched to its end.
const FEWEST_OF_PARTIAL: usize = 10;

/// Largest share of our own errors in a window that still lets one tell.
pub(crate) const MOST_OURS: f64 = 0.05;

/// What a window must be like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Criteria {
    pub(crate) window: Duration,
    pub(crate) goodput: f64,
    pub(crate) baseline: Baseline,
    pub(crate) every: Duration,
    pub(crate) deadline: Duration,
}

impl Criteria {
    pub(crate) fn new(
        facts: &StreamFacts,
        baseline: Baseline,
        window: Duration,
        goodput: f64,
    ) -> Self {
        Self {
            window,
            goodput,
            baseline,
            every: Duration::from_nanos(facts.every_ns),
            deadline: Duration::from_nanos(facts.deadline_ns),
        }
    }

    fn slow(&self, shot: Shot) -> bool {
        shot.is_ok() && shot.latency() > self.baseline.slow_over
    }
}

/// How one stream came through one fault.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Recovery {
    /// Nothing was sent after the fault.
    Unseen,
    /// The first window after the fault holds: an outage, if there was one, fits between two successes.
    Unharmed {
        /// The largest distance between two successes: what an outage could hide in.
        gap: Duration,
        /// End of the window.
        window_end: At,
        /// Whether too many of the attempts were our own errors.
        blurred: bool,
    },
    /// Restored after `after` and by `by`.
    Restored {
        /// Index of the first attempt of the window.
        first: usize,
        /// Sending of the last attempt before the window.
        after: At,
        /// End of the first success of the window.
        by: At,
        /// End of the window.
        window_end: At,
        /// Whether too many of the attempts were our own errors.
        blurred: bool,
    },
    /// It was good again when watching ended, but not for long enough.
    NotEstablished {
        /// Sending of the last attempt that was not good.
        after: At,
        /// End of the first success since.
        since: At,
    },
    /// It was not good when watching ended.
    Never {
        /// Sending of the last attempt that was not good.
        after: At,
    },
}

/// The attempts of one stream after one fault, fed in the order of sending.
#[derive(Clone, Debug)]
pub(crate) struct Scan {
    criteria: Criteria,
    disaster: Disaster,
    shots: Vec<Shot>,
    /// Counts before each attempt: successes and slow successes. The rest are failures.
    ok: Vec<u64>,
    slow: Vec<u64>,
    /// Sending of our own errors.
    ours: Vec<At>,
    /// The last success that had ended by F−.
    last_before: Option<Shot>,
    last_sent: At,
    /// Attempts before this one begin no window that holds.
    candidate: usize,
}

/// What is known of one window.
enum Window {
    /// It was watched to its end and is what it must be.
    Holds { by: At, end: At },
    /// It is not, whatever comes.
    Rejected,
    /// It was not watched to its end. `good` says that it was long enough to tell, and good so far.
    Incomplete { by: At, good: bool },
}

impl Scan {
    pub(crate) fn new(criteria: Criteria, disaster: Disaster) -> Self {
        Self {
            criteria,
            disaster,
            shots: Vec::new(),
            ok: vec![0],
            slow: vec![0],
            ours: Vec::new(),
            last_before: None,
            last_sent: At(0),
            candidate: 0,
        }
    }

    /// Takes the next attempt. Those that had ended by F− are the baseline's and leave no trace here but one.
    pub(crate) fn push(&mut self, shot: Shot) {
        self.last_sent = self.last_sent.max(shot.sent);
        if shot.sent.since(shot.due) > self.criteria.every {
            self.forgive(shot.due, shot.sent.plus(self.criteria.every));
        }
        if shot.done <= self.disaster.from {
            if shot.is_ok() {
                self.last_before = Some(shot);
            }
        } else if shot.is_ok() || shot.is_failure() {
            self.count(shot, self.criteria.slow(shot));
        } else {
            self.ours.push(shot.sent);
        }
    }

    fn count(&mut self, shot: Shot, slow: bool) {
        let total = |counts: &[u64]| counts.last().copied().unwrap_or(0);
        let ok = total(&self.ok) + u64::from(shot.is_ok());
        self.ok.push(ok);
        self.slow.push(total(&self.slow) + u64::from(slow));
        self.shots.push(shot);
    }

    /// From `stalled` to `awake` our own process stood still: slow answers that it noticed then may have come
    /// earlier. Whether they were slow cannot be told, so they count as our own errors.
    fn forgive(&mut self, stalled: At, awake: At) {
        // Nothing that was sent earlier can still have been under way.
        let horizon = stalled.minus(self.criteria.deadline + self.criteria.every * 2);
        let first = self.shots.partition_point(|shot| shot.sent < horizon);
        if self.slow[first] == self.slow[self.shots.len()] {
            return;
        }
        self.candidate = self.candidate.min(first);
        let again = self.shots.split_off(first);
        let slow = self.slow.split_off(first + 1);
        self.ok.truncate(first + 1);
        let mut before = self.slow[first];
        for (shot, after) in again.into_iter().zip(slow) {
            let was_slow = after > before;
            before = after;
            if was_slow && (stalled..=awake).contains(&shot.done) {
                self.ours.push(shot.sent);
            } else {
                self.count(shot, was_slow);
            }
        }
    }

    /// Whether attempt `index` succeeded and was slow.
    fn is_slow(&self, index: usize) -> bool {
        self.slow[index + 1] > self.slow[index]
    }

    /// The attempts since the fault that say something about the service.
    pub(crate) fn shots(&self) -> &[Shot] {
        &self.shots
    }

    pub(crate) fn criteria(&self) -> &Criteria {
        &self.criteria
    }

    pub(crate) fn last_before(&self) -> Option<Shot> {
        self.last_before
    }

    /// Whether attempt `index` was bad: it failed, or it was slow.
    pub(crate) fn is_bad(&self, index: usize) -> bool {
        self.shots[index].is_failure() || self.is_slow(index)
    }

    /// When it was known that a bad attempt was bad.
    pub(crate) fn known_bad(&self, shot: Shot) -> At {
        if shot.is_failure() { shot.done } else { shot.sent.plus(self.criteria.baseline.slow_over) }
    }

    /// Judges what was fed, watching until `until`.
    pub(crate) fn recovery(&mut self, until: At) -> Recovery {
        let mut index = self.candidate;
        let mut seen_open = false;
        let mut good = None;
        while let Some(first) = self.next_start(index, until) {
            match self.window(first, until) {
                Window::Holds { by, end } => return self.held(first, by, end, until),
                Window::Rejected if !seen_open => self.candidate = first + 1,
                Window::Rejected => {}
                Window::Incomplete { by, good: so_far } => {
                    seen_open = true;
                    if so_far && good.is_none() {
                        good = Some((first, by));
                    }
                }
            }
            index = first + 1;
        }
        let watched = self.shots.partition_point(|shot| shot.sent <= until);
        if !seen_open {
            self.candidate = watched;
        }
        let shots = &self.shots[..watched];
        let last_failure = |shots: &[Shot]| {
            let found = shots.iter().rev().find(|shot| shot.is_failure());
            found.map(|shot| shot.sent)
        };
        let last_slow = || {
            let found = (0..watched).rev().find(|index| self.is_slow(*index));
            found.map(|index| self.shots[index].sent)
        };
        match (good, last_failure(shots).or_else(last_slow), shots.last()) {
            (_, _, None) => Recovery::Unseen,
            (Some((first, since)), ..) => Recovery::NotEstablished {
                after: last_failure(&shots[..first]).unwrap_or(self.disaster.at),
                since,
            },
            (None, Some(after), _) => Recovery::Never { after },
            (None, None, Some(only)) => {
                Recovery::NotEstablished { after: self.disaster.at, since: only.done }
            }
        }
    }

    /// The next attempt that can begin a window: a good one behind one that was not.
    fn next_start(&self, from: usize, until: At) -> Option<usize> {
        let watched = self.shots.partition_point(|shot| shot.sent <= until);
        (from..watched).find(|&index| {
            !self.is_bad(index) && index.checked_sub(1).is_none_or(|before| self.is_bad(before))
        })
    }

    /// Looks at the window that begins with attempt `first`, a success.
    fn window(&self, first: usize, until: At) -> Window {
        let mut by = self.shots[first].done;
        for shot in &self.shots[first..] {
            if shot.sent >= by {
                break;
            }
            if shot.is_ok() {
                by = by.min(shot.done);
            }
        }
        let end = by.plus(self.criteria.window);
        let tenth = by.plus(self.criteria.window / 10);
        let upto = |at: At| first + self.shots[first..].partition_point(|shot| shot.sent <= at);
        let (_, failures, _) = self.counts(first, upto(tenth));
        if failures > 0 {
            return Window::Rejected;
        }
        let complete = end <= until && self.last_sent > end;
        let last = upto(end.min(until));
        let (ok, failures, slow) = self.counts(first, last);
        let success = ratio(ok, ok + failures);
        // Nearest rank: the p99 of n is within its limit when at most n / 100 are not. Of fewer than a hundred the
        // p99 would be the slowest one; a single one says nothing about a service.
        let good = success >= self.criteria.baseline.least_success(ok + failures)
            && success >= self.criteria.goodput * self.criteria.baseline.goodput
            && slow <= (ok / 100).max(1);
        match (complete, good) {
            (true, true) => Window::Holds { by, end },
            (true, false) => Window::Rejected,
            (false, good) => {
                let watched = self.last_sent.min(until).since(by);
                let enough =
                    watched >= self.criteria.window / 10 && last - first >= FEWEST_OF_PARTIAL;
                let good = good && enough;
                Window::Incomplete { by, good }
            }
        }
    }

    /// Successes, failures and slow successes among the attempts from `first` to before `last`.
    fn counts(&self, first: usize, last: usize) -> (u64, u64, u64) {
        let ok = self.ok[last] - self.ok[first];
        let all = u64::try_from(last - first).unwrap_or(u64::MAX);
        (ok, all - ok, self.slow[last] - self.slow[first])
    }

    /// A hole of more than three intervals in the first tenth can hide a failure there: the upper bound is then the
    /// first success behind it.
    fn behind_holes(&self, first: usize, by: At) -> At {
        let tenth = by.plus(self.criteria.window / 10);
        let mut by = by;
        for index in first + 1..self.shots.len() {
            let (before, shot) = (self.shots[index - 1], self.shots[index]);
            if before.sent > tenth {
                break;
            }
            if shot.sent.since(before.sent) > self.criteria.every * 3 {
                let mut behind = self.shots[index..].iter().filter(|shot| shot.is_ok());
                by = behind.next().map_or(by, |shot| by.max(shot.done));
            }
        }
        by
    }

    fn held(&self, first: usize, by: At, window_end: At, until: At) -> Recovery {
        let by = self.behind_holes(first, by);
        let before = (0..first).rev().find(|&index| {
            let shot = self.shots[index];
            shot.is_failure() || !matches!(self.window(index, until), Window::Holds { .. })
        });
        let blurred = self.blurred(window_end);
        match before {
            Some(before) => Recovery::Restored {
                first,
                after: self.shots[before].sent,
                by,
                window_end,
                blurred,
            },
            None => Recovery::Unharmed { gap: self.largest_gap(window_end), window_end, blurred },
        }
    }

    /// Whether more than [`MOST_OURS`] of the attempts from the fault to `end` were our own errors.
    fn blurred(&self, end: At) -> bool {
        let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        let ours = self.ours.iter().filter(|sent| **sent <= end).count();
        let usable = self.shots.partition_point(|shot| shot.sent <= end);
        ratio(count(ours), count(ours + usable)) > MOST_OURS
    }

    /// The largest distance from the sending of a success to the end of the next one, up to `end`.
    fn largest_gap(&self, end: At) -> Duration {
        let after = self.shots.iter().filter(|shot| shot.is_ok());
        let ok: Vec<Shot> = self
            .last_before
            .into_iter()
            .chain(after.copied())
            .take_while(|shot| shot.sent <= end)
            .collect();
        let gaps = ok.windows(2).map(|pair| pair[1].done.since(pair[0].sent));
        gaps.max().unwrap_or_default()
    }
}
