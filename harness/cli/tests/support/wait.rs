//! Waiting: for one's turn, and for something to happen.

use std::sync::{PoisonError, RwLock, RwLockWriteGuard};
use std::thread;
use std::time::{Duration, Instant};

/// Held by whoever wants the machine, for writing where it has to be alone there.
pub(crate) static MACHINE: RwLock<()> = RwLock::new(());

/// Whole drills run one at a time: two labs at once disturb each other's timing on a small machine.
pub(crate) fn alone() -> RwLockWriteGuard<'static, ()> {
    // A test that failed has not spoiled anything for the next one.
    MACHINE.write().unwrap_or_else(PoisonError::into_inner)
}

/// Asks until there is an answer, and fails when there is none in time.
#[track_caller]
pub(crate) fn until<T>(what: &str, patience: Duration, mut ask: impl FnMut() -> Option<T>) -> T {
    let give_up = Instant::now() + patience;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < give_up, "{what}: not within {patience:?}");
        thread::sleep(Duration::from_millis(5));
    }
}
