//! What no register can have answered.

use std::fmt;

use super::zones::{Zone, Zones};
use crate::operation::{Access, Operation, Shown};

/// Operations of one key that contradict each other.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Violation {
    /// The key.
    pub key: u32,
    /// How.
    pub reason: Reason,
}

/// How operations of a key contradict each other. Each is enough of a history to see it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reason {
    /// A read returned a value that nobody wrote.
    NeverWritten {
        /// The read.
        read: Operation,
    },
    /// A read returned a value whose write certainly failed.
    WriteFailed {
        /// The read.
        read: Operation,
        /// The write.
        write: Operation,
    },
    /// A read returned a value and ended before its write began.
    BeforeItsWrite {
        /// The read.
        read: Operation,
        /// The write.
        write: Operation,
    },
    /// Of two values each must be over before the other begins.
    Crossed {
        /// `early` ended before `other_late` began: this value came first …
        early: Option<Operation>,
        /// … and an operation that needs it began after `other_early` ended: it came last.
        late: Operation,
        /// The operation on the other value that ended before `late` began.
        other_early: Operation,
        /// The operation on the other value that began after `early` ended.
        other_late: Operation,
    },
}

/// The first contradiction of a key, the simplest kind first.
pub(super) fn find(operations: &[&Operation], zones: &Zones<'_>) -> Option<Reason> {
    unwritten(operations, zones).or_else(|| too_early(zones)).or_else(|| crossed(zones))
}

fn unwritten(operations: &[&Operation], zones: &Zones<'_>) -> Option<Reason> {
    let lonely = zones.iter().filter(|zone| zone.value.is_some() && zone.write.is_none());
    let reads = lonely.filter_map(|zone| zone.first);
    let read = *reads.min_by_key(|read| read.rank())?;
    let mut writes = operations.iter().filter(|operation| {
        matches!(operation.access, Access::Write(_)) && operation.value() == read.value()
    });
    // Writes that did or may have happened have zones: what is found here failed.
    Some(match writes.next() {
        Some(write) => Reason::WriteFailed { read, write: **write },
        None => Reason::NeverWritten { read },
    })
}

fn too_early(zones: &Zones<'_>) -> Option<Reason> {
    let pairs = zones.iter().filter_map(|zone| Some((zone.first?, zone.write?)));
    let early = pairs.filter(|(first, write)| first.precedes(write));
    let (read, write) = early.min_by_key(|(first, _)| first.rank())?;
    Some(Reason::BeforeItsWrite { read: *read, write: *write })
}

fn crossed(zones: &Zones<'_>) -> Option<Reason> {
    let (mut forward, mut backward): (Vec<&Zone<'_>>, Vec<&Zone<'_>>) =
        zones.iter().partition(|zone| zone.is_forward());
    forward.sort_unstable_by_key(|zone| (zone.finish, zone.start, zone.value));
    backward.sort_unstable_by_key(|zone| (zone.start, zone.finish, zone.value));
    // Two values that both were there all the time from one instant to another.
    let overlap = forward.windows(2).find_map(|pair| match pair {
        [a, b] => contradiction(a, b),
        _ => None,
    });
    if overlap.is_some() {
        return overlap;
    }
    // A value that was there at some time while another was there all the time. The forward zones follow each other
    // now, so that only the last one that began before it can enclose it.
    let mut candidates = forward.iter().peekable();
    let mut enclosing = None;
    backward.iter().find_map(|inner| {
        while let Some(next) = candidates.next_if(|zone| zone.finish < inner.start) {
            enclosing = Some(next);
        }
        contradiction(enclosing?, inner)
    })
}

/// Whether each of two values must be over before the other begins.
fn contradiction(a: &Zone<'_>, b: &Zone<'_>) -> Option<Reason> {
    if a.finish >= b.start || b.finish >= a.start {
        return None;
    }
    // Only the state before the first write has no first operation, and that zone is sorted before all others.
    Some(Reason::Crossed {
        early: a.first.copied(),
        late: *a.last?,
        other_early: *b.first?,
        other_late: *b.last?,
    })
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "key {}: ", self.key)?;
        match &self.reason {
            Reason::NeverWritten { read } => write!(f, "{read}, which nobody wrote"),
            Reason::WriteFailed { read, write } => write!(f, "{read}, but {write}"),
            Reason::BeforeItsWrite { read, write } => {
                write!(f, "{read}, which was over before {write}")
            }
            Reason::Crossed { early, late, other_early, other_late } => {
                let (a, b) = (Shown(late.value()), Shown(other_late.value()));
                write!(f, "{a} came before {b} (")?;
                match early {
                    Some(early) => write!(f, "{early}, then {other_late}")?,
                    None => write!(f, "it was there before the first write; {other_late}")?,
                }
                write!(f, ") and {b} came before {a} ({other_early}, then {late})")
            }
        }
    }
}
