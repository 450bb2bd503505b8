//! Sleeping until an instant of the monotonic clock, exact to the kernel's high-resolution timer.
//!
//! **The one module of drdrill with `unsafe` in it.**

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// A reusable timer. One sleep at a time; dropping the future of a sleep disarms nothing and harms nothing,
/// because the next sleep sets the timer anew.
#[derive(Debug)]
pub struct Sleeper {
    timer: AsyncFd<OwnedFd>,
}

impl Sleeper {
    /// A timer on the current async runtime.
    ///
    /// # Errors
    /// When no file descriptor can be had.
    ///
    /// # Panics
    /// Outside a tokio runtime with I/O enabled.
    pub fn new() -> io::Result<Self> {
        let timer = timerfd_create(
            TimerfdClockId::Monotonic,
            TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC,
        )?;
        #[expect(unsafe_code, reason = "the runtime has no safe way to register a descriptor")]
        // SAFETY: an `OwnedFd` is open for as long as it lives, always names the same description, and the `AsyncFd`
        // owns it.
        let timer = unsafe { AsyncFd::register_with_interest(timer, Interest::READABLE) }?;
        Ok(Self { timer })
    }

    /// Waits until the monotonic clock reads `deadline_nanos`; returns at once when that has passed.
    ///
    /// # Errors
    /// When the kernel refuses the timer.
    pub async fn until(&mut self, deadline_nanos: u64) -> io::Result<()> {
        while crate::monotonic_nanos() < deadline_nanos {
            let at =
                Itimerspec { it_interval: Timespec::default(), it_value: timespec(deadline_nanos) };
            timerfd_settime(self.timer.get_ref(), TimerfdTimerFlags::ABSTIME, &at)?;
            let mut ready = self.timer.readable().await?;
            ready.clear_ready();
        }
        Ok(())
    }

    /// Waits for `duration` from now.
    ///
    /// # Errors
    /// As [`Sleeper::until`].
    pub async fn sleep(&mut self, duration: Duration) -> io::Result<()> {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.until(crate::monotonic_nanos().saturating_add(nanos)).await
    }
}

fn timespec(nanos: u64) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(nanos / 1_000_000_000).unwrap_or(i64::MAX),
        tv_nsec: i64::try_from(nanos % 1_000_000_000).unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_sleep_never_ends_early() {
        let mut sleeper = Sleeper::new().unwrap();
        for micros in [0, 50, 300, 1_000, 4_000] {
            let before = crate::monotonic_nanos();
            sleeper.sleep(Duration::from_micros(micros)).await.unwrap();
            let slept = crate::monotonic_nanos() - before;
            assert!(slept >= micros * 1_000, "slept {slept} ns of {micros} us");
        }
    }

    #[tokio::test]
    async fn a_cancelled_sleep_does_not_disturb_the_next() {
        let mut sleeper = Sleeper::new().unwrap();
        let long = sleeper.sleep(Duration::from_hours(1));
        assert!(tokio::time::timeout(Duration::from_millis(5), long).await.is_err());
        let before = crate::monotonic_nanos();
        sleeper.sleep(Duration::from_millis(2)).await.unwrap();
        assert!(crate::monotonic_nanos() - before >= 2_000_000);
    }
}
