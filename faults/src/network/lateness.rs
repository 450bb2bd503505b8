//! What shows, from where clients stand, that packets are delayed, and that others are not.

use std::time::Duration;

use drdrill_core::action::ActionError;
use futures_util::future::try_join_all;

use super::canary::{Arrival, Path};
use super::proof::is_plausible;
use crate::qdisc::Delay;

/// Canaries that show a delay.
pub(super) const CANARIES: u8 = 60;
/// Canaries that show that there is none.
pub(super) const FEW: u8 = 20;
/// An answer may be later than the delay makes it by so much: this machine may be busy.
const SLACK: Duration = Duration::from_millis(100);
/// The kernel rounds a delay to ticks of 64 ns, and clocks differ.
const ROUNDING: Duration = Duration::from_millis(1);

/// How long the canaries of a way took, shortest first. One that was not answered is missing.
#[derive(Clone, Debug)]
pub(super) struct Times {
    sent: u8,
    took: Vec<Duration>,
}

/// Sends so many canaries along each way, all at once.
///
/// # Errors
/// When one could not be sent, which says nothing about the way.
pub(super) async fn time_all(
    paths: &[Path],
    canaries: u8,
    patience: Duration,
) -> Result<Vec<Times>, ActionError> {
    try_join_all(paths.iter().map(|path| time(path, canaries, patience))).await
}

async fn time(path: &Path, canaries: u8, patience: Duration) -> Result<Times, ActionError> {
    let arrivals = try_join_all((0..canaries).map(|_| path.time(patience))).await?;
    let answered = arrivals.into_iter().filter(|(arrival, _)| *arrival == Arrival::Answered);
    let mut took: Vec<Duration> = answered.map(|(_, took)| took).collect();
    took.sort_unstable();
    Ok(Times { sent: canaries, took })
}

impl Times {
    /// Whether all were answered.
    pub(super) fn whole(&self) -> bool {
        self.took.len() == usize::from(self.sent)
    }

    fn percentile(&self, percent: usize) -> Duration {
        at(&self.took, percent)
    }

    /// Why a delay could not be told from what is normal; `None` when it could.
    pub(super) fn hides(&self, delay: Delay) -> Option<String> {
        let (slow, quick) = (self.percentile(90), self.percentile(10));
        let (least, jitter) = (delay.least(), delay.jitter);
        if slow >= least {
            return Some(format!(
                "its answers take up to {slow:.1?} even without a fault, which is too long to show a delay of {least:?}"
            ));
        }
        if !jitter.is_zero() && slow.saturating_sub(quick) > jitter / 2 {
            return Some(format!(
                "its answers take from {quick:.1?} to {slow:.1?} even without a fault, which is too uneven to show a \
                 jitter of {jitter:?}"
            ));
        }
        None
    }

    /// Whether they are what a delay makes of `before`; says what was seen either way.
    pub(super) fn shows(&self, delay: Delay, before: &Self) -> Result<String, String> {
        let least = delay.least();
        let floor = least.saturating_sub(ROUNDING);
        let early = self.took.iter().filter(|took| **took < floor).count();
        let late: Vec<Duration> = self.took.iter().copied().filter(|took| *took >= floor).collect();
        let reorder = delay.reorder.ratio();
        let said = format!(
            "{} of {} answers took {least:?} or longer; the median is {:.1?} ({:.1?} before)",
            late.len(),
            self.sent,
            self.percentile(50),
            before.percentile(50),
        );
        let plausible = if reorder > 0.0 {
            let early = u8::try_from(early).unwrap_or(u8::MAX);
            is_plausible(early, self.sent, reorder)
        } else {
            early == 0
        };
        if !plausible || late.len() + early < usize::from(self.sent) {
            let expected = f64::from(self.sent) * (1.0 - reorder);
            return Err(format!("{said}: {expected:.0} should have"));
        }
        if at(&late, 50) > before.percentile(50) + delay.most() * 2 + SLACK {
            return Err(format!("{said}: longer than was asked for"));
        }
        // Of a jitter that is alike likely everywhere eight tenths lie in so much more than this.
        let spread = at(&late, 90).saturating_sub(at(&late, 10));
        if spread < delay.jitter.mul_f64(0.8) {
            return Err(format!(
                "{said}, all within {spread:.1?}: no jitter of {:?}",
                delay.jitter
            ));
        }
        Ok(said)
    }

    /// Whether they are as late as a delay makes them.
    pub(super) fn are_late(&self, delay: Delay) -> bool {
        // Half of those that overtake none: what is left in time may be by chance, and so may what is late.
        let least = delay.least().saturating_sub(ROUNDING);
        let late = self.took.iter().filter(|took| **took >= least).count();
        let lost = usize::from(self.sent).saturating_sub(self.took.len());
        let expected = f64::from(self.sent) * (1.0 - delay.reorder.ratio());
        u32::try_from(late + lost).is_ok_and(|late| f64::from(late) > expected / 2.0)
    }
}

/// The shortest that so many percent do not exceed.
fn at(sorted: &[Duration], percent: usize) -> Duration {
    let last = sorted.len().saturating_sub(1);
    sorted.get(last * percent / 100).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use drdrill_core::units::Share;

    use super::*;

    fn times(took: impl IntoIterator<Item = u64>) -> Times {
        let mut took: Vec<_> = took.into_iter().map(Duration::from_millis).collect();
        took.sort_unstable();
        Times { sent: CANARIES, took }
    }

    fn delay(delay: u64, jitter: u64, reorder: u32) -> Delay {
        let (delay, jitter) = (Duration::from_millis(delay), Duration::from_millis(jitter));
        Delay { delay, jitter, reorder: Share::percent(reorder) }
    }

    fn usual() -> Times {
        times((0..60).map(|n| 1 + n % 3))
    }

    #[test]
    fn a_delay_is_told_from_none_from_less_and_from_more() {
        let seen = times((0..60).map(|n| 101 + n % 3));
        assert!(seen.shows(delay(100, 0, 0), &usual()).is_ok());
        let error = seen.shows(delay(150, 0, 0), &usual()).unwrap_err();
        assert!(error.contains("should have"), "{error}");
        let error = times((0..60).map(|_| 401)).shows(delay(100, 0, 0), &usual()).unwrap_err();
        assert!(error.contains("longer than was asked for"), "{error}");
        let error = usual().shows(delay(100, 0, 0), &usual()).unwrap_err();
        assert_eq!(
            error,
            "0 of 60 answers took 100ms or longer; the median is 2.0ms (2.0ms before): 60 should have"
        );
        // One that came at once is one too many, and so is one that never came.
        let one_early = times((0..60).map(|n| if n == 7 { 2 } else { 101 }));
        let one_lost = times((0..59).map(|_| 101));
        for seen in [one_early, one_lost] {
            assert!(seen.shows(delay(100, 0, 0), &usual()).is_err(), "{seen:?}");
        }
    }

    #[test]
    fn a_jitter_is_told_from_none() {
        let even = times((0..60).map(|n| 50 + n * 100 / 59));
        assert!(even.shows(delay(100, 50, 0), &usual()).is_ok());
        let none = times((0..60).map(|n| 101 + n % 3));
        let error = none.shows(delay(100, 50, 0), &usual()).unwrap_err();
        assert!(error.contains("no jitter of 50ms"), "{error}");
    }

    #[test]
    fn a_share_that_overtakes_is_told_from_none_and_from_another() {
        let third = times((0..60).map(|n| if n % 3 == 0 { 2 } else { 101 }));
        assert!(third.shows(delay(100, 0, 33), &usual()).is_ok());
        assert!(third.shows(delay(100, 0, 0), &usual()).is_err());
        assert!(third.shows(delay(100, 0, 10), &usual()).is_err());
        let none = times((0..60).map(|_| 101));
        assert!(none.shows(delay(100, 0, 33), &usual()).is_err());
    }

    #[test]
    fn what_cannot_be_told_from_what_is_normal_is_said_before() {
        assert_eq!(usual().hides(delay(100, 20, 0)), None);
        let slow = times((0..60).map(|_| 120)).hides(delay(100, 0, 0)).unwrap();
        assert!(slow.contains("too long to show a delay of 100ms"), "{slow}");
        let uneven = times(0..60).hides(delay(100, 20, 0)).unwrap();
        assert!(uneven.contains("too uneven to show a jitter of 20ms"), "{uneven}");
    }

    #[test]
    fn who_is_late_too_is_seen_and_who_is_late_by_chance_is_not_taken_for_it() {
        assert!(times((0..60).map(|_| 101)).are_late(delay(100, 0, 0)));
        assert!(
            times((0..60).map(|n| if n % 3 == 0 { 2 } else { 101 })).are_late(delay(100, 0, 33))
        );
        assert!(times([]).are_late(delay(100, 0, 0)), "nothing comes at all");
        assert!(!times((0..60).map(|n| if n < 20 { 130 } else { 2 })).are_late(delay(100, 0, 0)));
    }
}
