//! Which changes are old enough to be shipped.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Holds every change back until a set time after its COMMIT returned.
///
/// That time is what makes an asynchronous failover lose acknowledged writes.
#[derive(Debug)]
pub(crate) struct ShipGate {
    lag: Duration,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    /// Commits that are too young, oldest first: the newest lsn of each and when it was made.
    waiting: VecDeque<(u64, Instant)>,
    open_until: u64,
    newest: u64,
}

impl ShipGate {
    pub(crate) fn new(lag: Duration) -> Self {
        Self { lag, held: Mutex::default() }
    }

    /// How long a change is held back.
    pub(crate) fn lag(&self) -> Duration {
        self.lag
    }

    /// A COMMIT up to `lsn` has returned just now.
    pub(crate) fn committed(&self, lsn: u64) {
        let mut held = self.lock();
        held.waiting.push_back((lsn, Instant::now()));
        held.newest = lsn;
        held.open(self.lag);
    }

    /// The history was replaced by one that ends at `lsn`.
    pub(crate) fn replaced(&self, lsn: u64) {
        *self.lock() = Held::default();
        self.committed(lsn);
    }

    /// The newest change that may be shipped, and when the next one may be.
    pub(crate) fn open_until(&self) -> (u64, Option<Instant>) {
        let mut held = self.lock();
        held.open(self.lag);
        let next = held.waiting.front().map(|(_, since)| *since + self.lag);
        (held.open_until, next)
    }

    /// The newest change of all: what a standby gets without which nothing is acknowledged.
    pub(crate) fn newest(&self) -> u64 {
        self.lock().newest
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn open(&mut self, lag: Duration) {
        while let Some((lsn, since)) = self.waiting.front() {
            if since.elapsed() < lag {
                break;
            }
            self.open_until = *lsn;
            self.waiting.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_lag_a_commit_may_be_shipped_at_once() {
        let gate = ShipGate::new(Duration::ZERO);
        gate.committed(3);
        assert_eq!(gate.open_until(), (3, None));
    }

    #[test]
    fn a_young_commit_is_held_back() {
        let gate = ShipGate::new(Duration::from_hours(1));
        gate.committed(3);
        let (open_until, next) = gate.open_until();
        assert_eq!(open_until, 0);
        assert!(next.is_some_and(|next| next > Instant::now()));
        assert_eq!(gate.newest(), 3);
    }
}
