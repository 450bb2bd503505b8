//! What became of every write, by its unique id: lost, duplicate, phantom, corrupt, resurrected.
//!
//! Events are entered in the order of time: a write when its outcome is known, a reading when it begins. A reading
//! says nothing about a write that was acknowledged after it began, and of a write of unknown outcome neither that
//! it must be there nor that it must not.

pub mod lists;
mod table;

use std::collections::BTreeSet;

use drdrill_core::verdict::Verdict;

use crate::operation::Outcome;
use table::Table;

/// Ids of a class that are told.
pub const EXAMPLES: usize = 10;

/// What is known of an id, in a byte. Bits 0 and 1 are its outcome.
mod state {
    pub(super) const FAILED: u8 = 1;
    pub(super) const INDETERMINATE: u8 = 2;
    pub(super) const OK: u8 = 3;
    pub(super) const OUTCOME: u8 = 3;
    /// Present in the reading under way.
    pub(super) const HERE: u8 = 1 << 2;
    /// Present in some reading.
    pub(super) const PRESENT: u8 = 1 << 3;
    /// More than once in one reading.
    pub(super) const DUPLICATE: u8 = 1 << 4;
    /// Present with other content.
    pub(super) const CORRUPT: u8 = 1 << 5;
    /// Acknowledged before a reading that did not have it.
    pub(super) const MISSED: u8 = 1 << 6;
    /// Missed by a reading, and present in a later one.
    pub(super) const BACK: u8 = 1 << 7;
}

/// Writes and readings, accounted for.
#[derive(Clone, Debug, Default)]
pub struct Books {
    table: Table,
    /// Present, and of no id that a write can have.
    strays: BTreeSet<String>,
    acknowledged: u64,
    /// Acknowledged before the last reading began.
    judged: Option<u64>,
    /// Acknowledged and absent from the last reading, ascending.
    lost: Vec<u64>,
}

/// Ids that have something in common.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Class {
    /// How many.
    pub count: u64,
    /// The smallest of them, at most [`EXAMPLES`].
    pub first: Vec<u64>,
}

impl Class {
    fn add(&mut self, id: u64) {
        self.count += 1;
        if self.first.len() < EXAMPLES {
            self.first.push(id);
        }
    }
}

/// What became of all writes.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Tally {
    /// Acknowledged before the last reading began.
    pub acknowledged: u64,
    /// Acknowledged, and absent from the last reading.
    pub lost: Class,
    /// More than once in one reading.
    pub duplicate: Class,
    /// Present with other content than was written.
    pub corrupt: Class,
    /// Missed by one reading, and present in a later one.
    pub resurrected: Class,
    /// Present although the write certainly failed: a phantom.
    pub refused: Class,
    /// Present although no write of that id is known: a phantom, when all writes were entered.
    pub unsent: Class,
    /// Present under names that no write can have: phantoms too.
    pub strays: BTreeSet<String>,
    /// Of unknown outcome, and present.
    pub recovered: u64,
    /// Of unknown outcome, and absent from all readings.
    pub unresolved: u64,
    /// Whether anything was read back.
    pub is_read: bool,
}

impl Books {
    /// Enters a write whose outcome is known now. A retry of the same id counts by its best outcome.
    #[inline]
    pub fn write(&mut self, id: u64, outcome: Outcome) {
        let new = match outcome {
            Outcome::Ok => state::OK,
            Outcome::Failed => state::FAILED,
            Outcome::Indeterminate => state::INDETERMINATE,
        };
        let slot = self.table.slot(id);
        let old = *slot & state::OUTCOME;
        if new > old {
            *slot = *slot & !state::OUTCOME | new;
            self.acknowledged += u64::from(new == state::OK);
        }
    }

    /// Begins a reading of everything that is there now. It counts once it is ended.
    pub fn reading(&mut self) -> Reading<'_> {
        Reading { acknowledged: self.acknowledged, books: self }
    }

    /// Everything acknowledged that the last reading did not have, ascending.
    #[must_use]
    pub fn lost(&self) -> &[u64] {
        &self.lost
    }

    /// Whether a reading had the id.
    #[must_use]
    pub fn holds(&self, id: u64) -> bool {
        self.table.get(id) & state::PRESENT != 0
    }

    /// What became of all writes entered.
    #[must_use]
    pub fn tally(&self) -> Tally {
        let mut tally = Tally {
            acknowledged: self.judged.unwrap_or(self.acknowledged),
            lost: Class {
                count: u64::try_from(self.lost.len()).unwrap_or(u64::MAX),
                first: self.lost.iter().take(EXAMPLES).copied().collect(),
            },
            strays: self.strays.clone(),
            is_read: self.judged.is_some(),
            ..Tally::default()
        };
        for (id, found) in self.table.iter() {
            let has = |bit| found & bit != 0;
            match found & state::OUTCOME {
                state::INDETERMINATE if has(state::PRESENT) => tally.recovered += 1,
                state::INDETERMINATE => tally.unresolved += 1,
                state::FAILED if has(state::PRESENT) => tally.refused.add(id),
                state::OK | state::FAILED => {}
                _ => tally.unsent.add(id),
            }
            for (bit, class) in [
                (state::DUPLICATE, &mut tally.duplicate),
                (state::CORRUPT, &mut tally.corrupt),
                (state::BACK, &mut tally.resurrected),
            ] {
                if has(bit) {
                    class.add(id);
                }
            }
        }
        tally
    }
}

/// A reading under way. Books with a reading that was never ended are of no more use.
#[derive(Debug)]
#[must_use]
pub struct Reading<'a> {
    books: &'a mut Books,
    acknowledged: u64,
}

impl Reading<'_> {
    /// Enters an id that is there, and whether its content is what was written.
    #[inline]
    pub fn found(&mut self, id: u64, intact: bool) {
        let slot = self.books.table.slot(id);
        let again = if *slot & state::HERE == 0 { 0 } else { state::DUPLICATE };
        let corrupt = if intact { 0 } else { state::CORRUPT };
        *slot |= state::HERE | state::PRESENT | again | corrupt;
    }

    /// Enters something that is there under a name that no write can have.
    pub fn stray(&mut self, name: &str) {
        self.books.strays.insert(name.to_owned());
    }

    /// Everything that is there has been entered.
    pub fn end(self) {
        let mut lost = Vec::new();
        for (id, slot) in self.books.table.iter_mut() {
            if *slot & state::HERE != 0 {
                *slot &= !state::HERE;
                if *slot & state::MISSED != 0 {
                    *slot |= state::BACK;
                }
            } else if *slot & state::OUTCOME == state::OK {
                *slot |= state::MISSED;
                lost.push(id);
            }
        }
        self.books.judged = Some(self.acknowledged);
        self.books.lost = lost;
    }
}

impl Tally {
    /// Present though they failed or were never sent.
    #[must_use]
    pub fn phantoms(&self) -> u64 {
        let strays = u64::try_from(self.strays.len()).unwrap_or(u64::MAX);
        self.refused.count + self.unsent.count + strays
    }

    /// Fails when a write is lost or wrong. Unknown when nothing was read back, or nothing was acknowledged that could
    /// have been lost.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let wrong = [&self.lost, &self.duplicate, &self.corrupt, &self.resurrected];
        if self.phantoms() > 0 || wrong.iter().any(|class| class.count > 0) {
            Verdict::Fail
        } else if !self.is_read || self.acknowledged == 0 {
            Verdict::Unknown
        } else {
            Verdict::Pass
        }
    }
}

#[cfg(test)]
mod tests;
