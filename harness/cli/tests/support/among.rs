//! Drills that are not judged by the clock, which wait most of the time.

use std::sync::{PoisonError, RwLockReadGuard};

use super::wait::MACHINE;

/// Runs beside others of its kind, and beside none that wants to be alone.
pub(crate) fn among_others() -> RwLockReadGuard<'static, ()> {
    MACHINE.read().unwrap_or_else(PoisonError::into_inner)
}
