//! When the next attempt of each stream is due.

use drdrill_core::event::StreamFacts;

/// The slots of one stream: slot `n` is due at `start + n × every`. No slot is ever skipped.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slots {
    start: u64,
    every: u64,
    next: u64,
    limit: u64,
}

/// A slot: its number and when it is due, in nanoseconds of the monotonic clock.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Slot {
    pub(super) sequence: u64,
    pub(super) due: u64,
}

impl Slots {
    /// The slots of stream `index` of `count`. Phases are staggered evenly over the stream's interval, so that
    /// streams of one interval never ask for the processor at the same time.
    pub(super) fn new(
        facts: &StreamFacts,
        begin: u64,
        index: usize,
        count: usize,
        limit: Option<u64>,
    ) -> Self {
        let every = facts.every_ns.max(1);
        let phase = u128::from(every) * index as u128 / count.max(1) as u128;
        Self {
            start: begin.saturating_add(u64::try_from(phase).unwrap_or(0)),
            every,
            next: 0,
            limit: limit.unwrap_or(u64::MAX),
        }
    }

    /// The next slot; `None` after the last.
    pub(super) fn peek(&self) -> Option<Slot> {
        (self.next < self.limit).then(|| Slot {
            sequence: self.next,
            due: self.start.saturating_add(self.next.saturating_mul(self.every)),
        })
    }

    /// Takes the next slot if it is due at `now`.
    pub(super) fn take(&mut self, now: u64) -> Option<Slot> {
        let slot = self.peek().filter(|slot| slot.due <= now)?;
        self.next += 1;
        Some(slot)
    }

    /// Ends the stream.
    pub(super) fn end(&mut self) {
        self.limit = self.next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use drdrill_core::probe::{Connection, Purpose};

    fn facts() -> StreamFacts {
        StreamFacts {
            id: 0,
            name: "read".into(),
            service: "app".into(),
            purpose: Purpose::Read,
            connection: Connection::Fresh,
            every_ns: 1000,
            deadline_ns: 9000,
            write_bytes: 0,
        }
    }

    #[test]
    fn a_late_reader_still_gets_every_slot_with_its_own_due_time() {
        let mut slots = Slots::new(&facts(), 5000, 0, 1, Some(4));
        assert_eq!(slots.take(4999), None);
        let taken: Vec<_> = std::iter::from_fn(|| slots.take(7000)).collect();
        let due: Vec<_> = taken.iter().map(|slot| (slot.sequence, slot.due)).collect();
        assert_eq!(due, [(0, 5000), (1, 6000), (2, 7000)]);
        assert_eq!(slots.take(u64::MAX).map(|slot| slot.due), Some(8000));
        assert_eq!(slots.take(u64::MAX), None);
    }

    #[test]
    fn phases_are_spread_over_the_interval() {
        let due = |index| Slots::new(&facts(), 0, index, 4, None).peek().map(|slot| slot.due);
        assert_eq!([due(0), due(1), due(2), due(3)], [Some(0), Some(250), Some(500), Some(750)]);
    }
}
