//! The one clock of a drill, and a sleep that is exact to microseconds.
//!
//! Every figure drdrill reports comes from `CLOCK_MONOTONIC` of one host. The timers of the async runtime
//! round to whole milliseconds, which is coarser than what is measured; [`Sleeper`] uses a `timerfd`.

mod sleeper;

pub use sleeper::Sleeper;

use rustix::time::{ClockId, clock_gettime};

/// Reading of `CLOCK_MONOTONIC`, in nanoseconds. Comparable between processes of one boot of one host.
#[must_use]
pub fn monotonic_nanos() -> u64 {
    read(ClockId::Monotonic)
}

/// Reading of the wall clock, in nanoseconds since 1970. For people, and to notice that it was stepped.
#[must_use]
pub fn wall_nanos() -> u64 {
    read(ClockId::Realtime)
}

fn read(clock: ClockId) -> u64 {
    let time = clock_gettime(clock);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanos = u64::try_from(time.tv_nsec).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(nanos)
}
