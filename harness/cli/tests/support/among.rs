//! Drills that are not judged by the clock, which wait most of the time.

use std::sync::{PoisonError, RwLockReadGuard};

use super::undisturbed::again_where_the_machine_stood_still;
use super::wait::MACHINE;

/// Runs beside others of its kind, and beside none that wants to be alone.
pub(crate) fn among_others() -> RwLockReadGuard<'static, ()> {
    MACHINE.read().unwrap_or_else(PoisonError::into_inner)
}

/// A test whose drill may take its time, beside others of its kind; again where a processor stood still when it failed.
pub(crate) fn unhurried<T>(body: impl Fn() -> T) -> T {
    let _among = among_others();
    again_where_the_machine_stood_still(body)
}
