//! Stale reads: a value that was certainly overwritten before the read began, and for how long at least.
//!
//! A value is there at the latest when the first operation on it ended. A write that was sent after that came later;
//! once it was there itself, the older value was gone. Source of the question "by how much": W. Golab, X. Li and
//! M. A. Shah, "Analyzing consistency properties for fun and profit", PODC 2011.

use std::fmt;
use std::time::Duration;

use drdrill_core::time::{At, millis};
use drdrill_core::verdict::Verdict;

use crate::operation::{Access, ByKey, Operation};
use crate::registers::EXAMPLES;
use crate::registers::zones::{Trouble, Zone, Zones};

/// A read that returned what was overwritten.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Stale {
    /// The read.
    pub read: Operation,
    /// The operation that shows that a later value was there before the read began: its write, or a read of it.
    pub overwritten: Operation,
    /// The value was gone for this long or longer when the read began.
    pub at_least: Duration,
}

/// What is known of stale reads in a history whose values are unique per key.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct StaleReads {
    /// Acknowledged reads that were judged.
    pub reads: usize,
    /// How many of them were stale.
    pub stale: usize,
    /// The one that was stale for longest.
    pub worst: Option<Stale>,
    /// Keys that could not be judged.
    pub unjudged_keys: usize,
    /// Why, of the first of them.
    pub troubles: Vec<(u32, Trouble)>,
}

impl StaleReads {
    /// Looks through a history, each key on its own. The order in which the operations are given does not matter.
    #[must_use]
    pub fn judge(history: &[Operation]) -> Self {
        let mut found = Self::default();
        for (key, operations) in ByKey::new(history).iter() {
            match Zones::of(operations) {
                Ok(zones) => found.judge_key(operations, &zones),
                Err(trouble) => {
                    found.unjudged_keys += 1;
                    if found.troubles.len() < EXAMPLES {
                        found.troubles.push((key, trouble));
                    }
                }
            }
        }
        found
    }

    fn judge_key(&mut self, operations: &[&Operation], zones: &Zones<'_>) {
        self.reads += zones.reads;
        let overwriters = Overwriters::of(zones);
        let reads = operations
            .iter()
            .copied()
            .filter(|operation| matches!(operation.access, Access::Read(_)) && operation.is_ok());
        for read in reads {
            let value = match read.access {
                Access::Read(value) => value,
                Access::Write(_) => continue,
            };
            let stale = zones.get(value).and_then(|zone| overwriters.stale(read, zone));
            let Some(stale) = stale else { continue };
            self.stale += 1;
            if self.worst.is_none_or(|worst| rank(&stale) > rank(&worst)) {
                self.worst = Some(stale);
            }
        }
    }

    /// Fails on a stale read. Without a single read nothing was looked at.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        if self.stale > 0 {
            Verdict::Fail
        } else if self.unjudged_keys > 0 || self.reads == 0 {
            Verdict::Unknown
        } else {
            Verdict::Pass
        }
    }
}

/// Longest first; among equals one that does not depend on the order of the history.
fn rank(stale: &Stale) -> impl Ord + use<> {
    (stale.at_least, std::cmp::Reverse(stale.read.key), stale.read.rank())
}

/// For each write, when the first value that was written as late or later was certainly there.
struct Overwriters<'a>(Vec<(At, At, &'a Operation)>);

impl<'a> Overwriters<'a> {
    fn of(zones: &'a Zones<'a>) -> Self {
        let written = zones.iter().filter_map(|zone| {
            let first = zone.first?;
            // A read of a value that was not written yet is the business of the check of registers.
            let write = zone.write.filter(|write| !first.precedes(write))?;
            Some((write.sent, first.done, first))
        });
        let mut all: Vec<(At, At, &Operation)> = written.collect();
        all.sort_unstable_by_key(|(sent, there, first)| (*sent, *there, first.rank()));
        let mut earliest: Option<(At, &Operation)> = None;
        for (_, there, first) in all.iter_mut().rev() {
            let better = earliest.is_none_or(|(at, one)| (*there, first.rank()) < (at, one.rank()));
            if better {
                earliest = Some((*there, first));
            } else if let Some((at, one)) = earliest {
                (*there, *first) = (at, one);
            }
        }
        Self(all)
    }

    fn stale(&self, read: &Operation, zone: &Zone<'_>) -> Option<Stale> {
        let after = match zone.first {
            Some(first) => self.0.partition_point(|(sent, ..)| *sent <= first.done),
            None => 0,
        };
        let (_, there, overwritten) = self.0.get(after)?;
        (*there < read.sent).then(|| Stale {
            read: *read,
            overwritten: **overwritten,
            at_least: read.sent.since(*there),
        })
    }
}

impl fmt::Display for Stale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { read, overwritten, at_least } = self;
        let stale = millis(*at_least);
        write!(f, "key {}: {read}, stale for {stale:.6} ms or longer: {overwritten}", read.key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operation::Outcome;

    fn one(access: Access, sent: u64, done: u64) -> Operation {
        let (sent, done) = (At::from_millis(sent), At::from_millis(done));
        Operation { process: 0, key: 3, access, sent, done, outcome: Outcome::Ok }
    }

    fn write(value: u64, sent: u64, done: u64) -> Operation {
        one(Access::Write(value), sent, done)
    }

    fn read(value: u64, sent: u64, done: u64) -> Operation {
        one(Access::Read(Some(value)), sent, done)
    }

    #[test]
    fn fresh_reads_pass_also_those_that_overlap_the_write() {
        let history = [write(1, 0, 1), write(2, 5, 9), read(1, 6, 7), read(2, 10, 11)];
        let found = StaleReads::judge(&history);
        assert_eq!((found.verdict(), found.reads), (Verdict::Pass, 2));
    }

    #[test]
    fn a_stale_read_fails_with_the_least_time_that_it_was_stale() {
        let history = [write(1, 0, 1), write(2, 2, 3), read(1, 10, 11), read(1, 8, 9)];
        let found = StaleReads::judge(&history);
        assert_eq!((found.verdict(), found.stale), (Verdict::Fail, 2));
        let worst = found.worst.unwrap();
        assert_eq!(worst.at_least, Duration::from_millis(7));
        assert_eq!(
            worst.to_string(),
            "key 3: process 0 read 1 from 10.000000 to 11.000000 ms, stale for 7.000000 ms or longer: process 0 \
             wrote 2 from 2.000000 to 3.000000 ms"
        );
    }

    #[test]
    fn nothing_read_is_unknown() {
        assert_eq!(StaleReads::judge(&[write(1, 0, 1)]).verdict(), Verdict::Unknown);
        let twice = [write(1, 0, 1), write(1, 2, 3), read(1, 4, 5)];
        assert_eq!(StaleReads::judge(&twice).verdict(), Verdict::Unknown);
    }

    #[test]
    fn a_write_that_timed_out_overwrites_from_when_it_is_read() {
        let timed_out = Operation { outcome: Outcome::Indeterminate, ..write(2, 2, 3) };
        let unread = [write(1, 0, 1), timed_out, read(1, 8, 9)];
        assert_eq!(StaleReads::judge(&unread).verdict(), Verdict::Pass);
        let seen = [write(1, 0, 1), timed_out, read(2, 4, 5), read(1, 8, 9)];
        let worst = StaleReads::judge(&seen).worst.unwrap();
        assert_eq!((worst.overwritten, worst.at_least), (seen[2], Duration::from_millis(3)));
    }

    #[test]
    fn writes_that_overlap_overwrite_in_no_known_order() {
        let history = [write(1, 0, 5), write(2, 4, 6), read(1, 8, 9)];
        assert_eq!(StaleReads::judge(&history).verdict(), Verdict::Pass);
        let then_seen = [write(1, 0, 50), write(2, 4, 6), read(1, 8, 9), read(2, 10, 11)];
        assert_eq!(StaleReads::judge(&then_seen).verdict(), Verdict::Pass);
    }

    #[test]
    fn a_read_that_touches_the_overwriting_write_is_not_stale() {
        let history = [write(1, 0, 1), write(2, 2, 8), read(1, 8, 9)];
        assert_eq!(StaleReads::judge(&history).verdict(), Verdict::Pass);
    }

    #[test]
    fn reading_nothing_after_a_write_is_stale() {
        let history = [write(1, 0, 1), one(Access::Read(None), 4, 5)];
        let worst = StaleReads::judge(&history).worst.unwrap();
        assert_eq!(worst.at_least, Duration::from_millis(3));
    }
}
