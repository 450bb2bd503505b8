//! What clients did to keys, and when.

use std::fmt;

use drdrill_core::time::At;

/// What an operation did.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Access {
    /// Set the key to a value. Checkers of registers need each value to be written to a key only once.
    Write(u64),
    /// Got the value of the key; `None` is the state in which nothing was written yet. Only of a read that is
    /// [`Outcome::Ok`] does the value mean anything.
    Read(Option<u64>),
}

/// How an operation ended.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Outcome {
    /// It was acknowledged: it took effect between `sent` and `done`.
    Ok,
    /// It certainly did not happen, and never will.
    Failed,
    /// It cannot be told: it may take effect at any time after `sent`, or never.
    Indeterminate,
}

/// One operation of one client on one key.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Operation {
    /// The client. It does one thing after the other.
    pub process: u32,
    /// The key, by a number. Numbers near zero are the quickest to judge.
    pub key: u32,
    /// What it did.
    pub access: Access,
    /// When it was sent.
    pub sent: At,
    /// When its outcome was known; of an indeterminate one, when the client gave up.
    pub done: At,
    /// What came of it.
    pub outcome: Outcome,
}

impl Operation {
    /// Whether it was acknowledged.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.outcome == Outcome::Ok
    }

    /// The value it wrote, or read as an acknowledged read.
    #[must_use]
    pub fn value(&self) -> Option<u64> {
        match self.access {
            Access::Write(value) => Some(value),
            Access::Read(value) => value,
        }
    }

    /// Whether it ended before `later` began. Two that touch at the same nanosecond are not in order: nobody can tell.
    #[must_use]
    pub fn precedes(&self, later: &Self) -> bool {
        self.outcome != Outcome::Indeterminate && self.done < later.sent
    }

    /// An order of all operations that does not depend on where they stand in a history.
    pub(crate) fn rank(&self) -> (At, At, u32, Access, Outcome) {
        (self.sent, self.done, self.process, self.access, self.outcome)
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { process, sent, done, .. } = self;
        write!(f, "process {process} ")?;
        match (self.access, self.outcome) {
            (Access::Write(value), Outcome::Ok) => write!(f, "wrote {value}"),
            (Access::Write(value), Outcome::Failed) => write!(f, "failed to write {value}"),
            (Access::Write(value), Outcome::Indeterminate) => {
                write!(f, "may have written {value}")
            }
            (Access::Read(value), Outcome::Ok) => write!(f, "read {}", Shown(value)),
            (Access::Read(_), _) => f.write_str("read without an answer"),
        }?;
        write!(f, " from {:.6} to {:.6} ms", sent.ms(), done.ms())
    }
}

/// A value for people.
pub(crate) struct Shown(pub(crate) Option<u64>);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(value) => write!(f, "{value}"),
            None => f.write_str("nothing"),
        }
    }
}

/// The operations of each key together, keys ascending. Within a key they keep their order.
pub(crate) struct ByKey<'a>(Vec<&'a Operation>);

impl<'a> ByKey<'a> {
    pub(crate) fn new(history: &'a [Operation]) -> Self {
        let Some(first) = history.first() else { return Self(Vec::new()) };
        let largest = history.iter().map(|operation| operation.key).max().unwrap_or(0);
        let largest = usize::try_from(largest).unwrap_or(usize::MAX);
        if largest / 2 > history.len() {
            let mut sorted: Vec<&Operation> = history.iter().collect();
            sorted.sort_by_key(|operation| operation.key);
            return Self(sorted);
        }
        // Keys are dense: where each one begins is a matter of counting.
        let slot = |operation: &Operation| usize::try_from(operation.key).unwrap_or(usize::MAX);
        let mut next = vec![0_usize; largest + 2];
        for operation in history {
            if let Some(count) = next.get_mut(slot(operation) + 1) {
                *count += 1;
            }
        }
        let mut before = 0;
        for begin in &mut next {
            before += *begin;
            *begin = before;
        }
        let mut sorted = vec![first; history.len()];
        for operation in history {
            if let Some(place) = next.get_mut(slot(operation))
                && let Some(entry) = sorted.get_mut(*place)
            {
                *entry = operation;
                *place += 1;
            }
        }
        Self(sorted)
    }

    /// Each key and its operations.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &[&'a Operation])> {
        let keys = self.0.chunk_by(|a, b| a.key == b.key);
        keys.filter_map(|own| own.first().map(|first| (first.key, own)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(key: u32, value: u64) -> Operation {
        Operation {
            process: 0,
            key,
            access: Access::Write(value),
            sent: At(value),
            done: At(value + 1),
            outcome: Outcome::Ok,
        }
    }

    #[test]
    fn operations_are_grouped_by_key_in_their_order_however_the_keys_are_numbered() {
        for scale in [1, 1_000_000_000] {
            let history = [on(2 * scale, 1), on(0, 2), on(2 * scale, 3), on(scale, 4), on(0, 5)];
            let grouped: Vec<(u32, Vec<u64>)> = ByKey::new(&history)
                .iter()
                .map(|(key, own)| (key, own.iter().filter_map(|one| one.value()).collect()))
                .collect();
            assert_eq!(
                grouped,
                [(0, vec![2, 5]), (scale, vec![4]), (2 * scale, vec![1, 3])],
                "scale {scale}"
            );
        }
        assert_eq!(ByKey::new(&[]).iter().count(), 0);
    }
}
