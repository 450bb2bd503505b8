//! The zone of a value: when it must have been the value of its key.

use std::collections::HashMap;

use drdrill_core::time::At;

use super::hash::Quick;
use crate::operation::{Access, Operation, Outcome};

/// Before everything.
const BEFORE: i64 = i64::MIN;
/// Never.
const NEVER: i64 = i64::MAX;

/// An instant on a line that has a beginning and an end. Instants after 292 years are never.
fn instant(at: At) -> i64 {
    i64::try_from(at.0).unwrap_or(NEVER)
}

/// Why the operations of a key cannot be judged.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Trouble {
    /// A value was written more than once: a read does not say which write it saw.
    Repeated {
        /// The value.
        value: u64,
    },
    /// An operation ends before it begins.
    Backwards(Operation),
}

/// The write of a value and the reads that returned it, taken together.
///
/// A value whose `finish` is before its `start` was certainly there all the way between (a *forward* zone); of
/// another it is only known that it was there at some instant from `start` to `finish` (a *backward* zone).
#[derive(Clone, Debug)]
pub(crate) struct Zone<'a> {
    /// The value; `None` before the first write.
    pub(crate) value: Option<u64>,
    /// Its write; none of the state before the first write, or when nobody wrote it.
    pub(crate) write: Option<&'a Operation>,
    /// The operation that ended first; none of the state before the first write.
    pub(crate) first: Option<&'a Operation>,
    /// The operation that began last.
    pub(crate) last: Option<&'a Operation>,
    /// End of `first`: by then it was there.
    pub(crate) finish: i64,
    /// Beginning of `last`: it was there then or later.
    pub(crate) start: i64,
}

impl<'a> Zone<'a> {
    fn new(value: Option<u64>) -> Self {
        // Before the first write there is one that ended before everything.
        let finish = if value.is_none() { BEFORE } else { NEVER };
        Self { value, write: None, first: None, last: None, finish, start: BEFORE }
    }

    /// An indeterminate operation never ends.
    fn take(&mut self, operation: &'a Operation) {
        if operation.is_ok() {
            let end = instant(operation.done);
            let earlier = self.first.is_none_or(|first| operation.rank() < first.rank());
            if end < self.finish || (end == self.finish && earlier) {
                self.finish = end;
                self.first = Some(operation);
            }
        }
        let begin = instant(operation.sent);
        let later = self.last.is_none_or(|last| operation.rank() > last.rank());
        if begin > self.start || (begin == self.start && later) {
            self.start = begin;
            self.last = Some(operation);
        }
    }

    pub(crate) fn is_forward(&self) -> bool {
        self.finish < self.start
    }
}

/// The zones of one key.
#[derive(Debug)]
pub(crate) struct Zones<'a> {
    all: Vec<Zone<'a>>,
    index: HashMap<u64, usize, Quick>,
    /// Index of the state before the first write.
    initial: Option<usize>,
    /// Acknowledged reads.
    pub(crate) reads: usize,
}

impl<'a> Zones<'a> {
    /// Sorts the operations of one key by their values. What failed says nothing, nor does a read without an answer.
    pub(crate) fn of(operations: &[&'a Operation]) -> Result<Self, Trouble> {
        let mut zones = Self {
            all: Vec::with_capacity(operations.len() / 2),
            index: HashMap::with_capacity_and_hasher(operations.len() / 2, Quick::default()),
            initial: None,
            reads: 0,
        };
        let mut trouble: Option<Trouble> = None;
        for &operation in operations {
            if operation.done < operation.sent {
                note(&mut trouble, Trouble::Backwards(*operation));
                continue;
            }
            match (operation.access, operation.outcome) {
                (Access::Write(value), Outcome::Ok | Outcome::Indeterminate) => {
                    let zone = zones.entry(Some(value));
                    if zone.write.replace(operation).is_some() {
                        note(&mut trouble, Trouble::Repeated { value });
                    }
                    zone.take(operation);
                }
                (Access::Read(value), Outcome::Ok) => {
                    zones.reads += 1;
                    let zone = zones.entry(value);
                    zone.take(operation);
                }
                _ => {}
            }
        }
        trouble.map_or(Ok(zones), Err)
    }

    fn entry(&mut self, value: Option<u64>) -> &mut Zone<'a> {
        let next = self.all.len();
        let at = match value {
            Some(value) => *self.index.entry(value).or_insert(next),
            None => *self.initial.get_or_insert(next),
        };
        if at == next {
            self.all.push(Zone::new(value));
        }
        // `at` is the index of a zone: the last one was just made if need be.
        &mut self.all[at]
    }

    /// The zone of a value.
    pub(crate) fn get(&self, value: Option<u64>) -> Option<&Zone<'a>> {
        let at = match value {
            Some(value) => *self.index.get(&value)?,
            None => self.initial?,
        };
        self.all.get(at)
    }

    /// All zones. Those of writes of unknown outcome that nobody read never end, and so come before nothing.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Zone<'a>> {
        self.all.iter()
    }
}

/// Keeps the trouble that stands first in an order of their own, so that the order of the history does not matter.
fn note(worst: &mut Option<Trouble>, new: Trouble) {
    let replace = match (&worst, &new) {
        (None, _) | (Some(Trouble::Repeated { .. }), Trouble::Backwards(_)) => true,
        (Some(Trouble::Repeated { value: old }), Trouble::Repeated { value }) => value < old,
        (Some(Trouble::Backwards(old)), Trouble::Backwards(new)) => new.rank() < old.rank(),
        (Some(Trouble::Backwards(_)), Trouble::Repeated { .. }) => false,
    };
    if replace {
        *worst = Some(new);
    }
}
