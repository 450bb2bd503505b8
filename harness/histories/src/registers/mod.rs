//! Linearizability of registers whose values are unique per key.
//!
//! With unique values each read names its write, and the question becomes one of intervals: a history is
//! linearizable if and only if every read follows the write of its value, and no two values of a key must each be
//! over before the other begins. That takes time O(n log n), where the general question is NP-complete.
//!
//! Source: P. B. Gibbons and E. Korach, "Testing Shared Memories", SIAM Journal on Computing 26(4), 1997: no two
//! forward zones overlap and no backward zone lies within a forward zone. Both say that of two values each must end
//! before the other begins, which is how it is written here.

mod conflict;
mod hash;
pub(crate) mod zones;

use drdrill_core::verdict::Verdict;

use crate::operation::{ByKey, Operation};
pub use conflict::{Reason, Violation};
pub use zones::Trouble;
use zones::Zones;

/// Keys of which a violation, or why they could not be judged, is told in full.
pub const EXAMPLES: usize = 10;

/// What is known of a history of registers.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Registers {
    /// Keys with at least one operation.
    pub keys: usize,
    /// Acknowledged reads that were judged.
    pub reads: usize,
    /// Keys whose operations no register can have answered.
    pub failing_keys: usize,
    /// One violation of each of the first [`EXAMPLES`] failing keys.
    pub violations: Vec<Violation>,
    /// Keys that could not be judged.
    pub unjudged_keys: usize,
    /// Why, of the first [`EXAMPLES`] of them.
    pub troubles: Vec<(u32, Trouble)>,
}

impl Registers {
    /// Judges a history, each key on its own. The order in which the operations are given does not matter.
    #[must_use]
    pub fn judge(history: &[Operation]) -> Self {
        let mut found = Self::default();
        for (key, operations) in ByKey::new(history).iter() {
            found.keys += 1;
            match Zones::of(operations) {
                Ok(zones) => found.judge_key(key, operations, &zones),
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

    fn judge_key(&mut self, key: u32, operations: &[&Operation], zones: &Zones<'_>) {
        self.reads += zones.reads;
        let Some(reason) = conflict::find(operations, zones) else { return };
        self.failing_keys += 1;
        if self.violations.len() < EXAMPLES {
            self.violations.push(Violation { key, reason });
        }
    }

    /// Fails when a key fails. Without a single read nothing was looked at.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        if self.failing_keys > 0 {
            Verdict::Fail
        } else if self.unjudged_keys > 0 || self.reads == 0 {
            Verdict::Unknown
        } else {
            Verdict::Pass
        }
    }
}

#[cfg(test)]
mod tests;
