//! Waking up on time, though the system wakes everybody late.
//!
//! A processor that has nothing to do goes to sleep, and takes 50 to 150 µs to wake up on a virtual machine.
//! So the timer is set early, by what it was late before, and the rest is spent looking at the clock. Other
//! connections are served meanwhile: every look lets the runtime see to its sockets.

use std::io;

use drdrill_clock::{Sleeper, monotonic_nanos};

/// Where learning starts and ends, in nanoseconds. The upper end bounds what one delay may cost of a processor.
const FIRST_LEAD: u64 = 150_000;
const LEAST_LEAD: u64 = 20_000;
const GREATEST_LEAD: u64 = 400_000;

/// A wake-up that came too late moves the lead up by this, one in time moves it down by the other. In balance
/// one of eleven is late.
const STEP_UP: u64 = 20_000;
const STEP_DOWN: u64 = 2_000;

pub(super) struct Alarm {
    /// Costs a file descriptor, so only those have one that need it.
    sleeper: Option<Sleeper>,
    lead_nanos: u64,
}

impl Alarm {
    pub(super) fn new() -> Self {
        Self { sleeper: None, lead_nanos: FIRST_LEAD }
    }

    /// Waits until the monotonic clock reads `due`, never less.
    pub(super) async fn until(&mut self, due: u64) -> io::Result<()> {
        let early = due.saturating_sub(self.lead_nanos);
        if monotonic_nanos() < early {
            let sleeper = match &mut self.sleeper {
                Some(sleeper) => sleeper,
                none => none.insert(Sleeper::new()?),
            };
            sleeper.until(early).await?;
            self.learn(monotonic_nanos().saturating_sub(early));
        }
        while monotonic_nanos() < due {
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    fn learn(&mut self, late_nanos: u64) {
        let lead = if late_nanos > self.lead_nanos {
            self.lead_nanos + STEP_UP
        } else {
            self.lead_nanos - STEP_DOWN
        };
        self.lead_nanos = lead.clamp(LEAST_LEAD, GREATEST_LEAD);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_never_rings_early() {
        let mut alarm = Alarm::new();
        for micros in [0, 10, 100, 300, 1_000, 5_000] {
            let due = monotonic_nanos() + micros * 1_000;
            alarm.until(due).await.unwrap();
            assert!(monotonic_nanos() >= due);
        }
    }

    #[test]
    fn the_lead_follows_what_the_system_needs() {
        let mut alarm = Alarm::new();
        for _ in 0..1_000 {
            alarm.learn(300_000);
        }
        assert!((280_000..=320_000).contains(&alarm.lead_nanos));
        for _ in 0..1_000 {
            alarm.learn(1_000);
        }
        assert_eq!(alarm.lead_nanos, LEAST_LEAD);
        for _ in 0..1_000 {
            alarm.learn(10_000_000);
        }
        assert_eq!(alarm.lead_nanos, GREATEST_LEAD);
    }
}
