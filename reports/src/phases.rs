//! The recovery, split into its phases: where the time went.

use drdrill_core::record::{Phases, Record};

use crate::figures;

/// A stretch of the recovery between two moments that are both known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Span {
    /// What the stretch was spent on.
    pub phase: Phase,
    /// From, in milliseconds of the drill.
    pub from_ms: f64,
    /// To.
    pub to_ms: f64,
    /// Whether it did not end while it was watched.
    pub open: bool,
}

impl Span {
    /// Its length.
    #[must_use]
    pub fn length_ms(&self) -> f64 {
        self.to_ms - self.from_ms
    }

    /// Its length in words; `> N` when it did not end.
    #[must_use]
    pub fn took(&self) -> String {
        if self.open {
            figures::interval(self.length_ms(), None)
        } else {
            figures::duration(self.length_ms())
        }
    }
}

/// What time is spent on between a fault and full capacity.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Phase {
    /// Nobody has noticed yet.
    Detect,
    /// It is known, and not yet decided what to do.
    Decide,
    /// The failover plan runs.
    FailOver,
    /// The plan is carried out, and clients are not served well yet.
    Restore,
    /// Clients are served, with less than before.
    Ramp,
}

impl Phase {
    /// In the order in which they come.
    pub const ALL: [Self; 5] =
        [Self::Detect, Self::Decide, Self::FailOver, Self::Restore, Self::Ramp];

    /// Its name in reports.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Detect => "detect",
            Self::Decide => "decide",
            Self::FailOver => "fail over",
            Self::Restore => "restore",
            Self::Ramp => "ramp up",
        }
    }

    /// The moments it lies between.
    #[must_use]
    pub const fn between(self) -> &'static str {
        match self {
            Self::Detect => "fault to detected",
            Self::Decide => "detected to decided",
            Self::FailOver => "decided to failed over",
            Self::Restore => "failed over to restored",
            Self::Ramp => "restored to full capacity",
        }
    }
}

/// The phases in order. Moments that are not known (a system that fails over by itself does not tell when it
/// decided) give their time to the phase that ends at the next known moment.
#[must_use]
pub fn split(phases: &Phases) -> Vec<Span> {
    let ends = [
        (Phase::Detect, phases.detected_ms),
        (Phase::Decide, phases.decided_ms),
        (Phase::FailOver, phases.failed_over_ms),
        (Phase::Restore, phases.restored_ms),
        (Phase::Ramp, phases.full_capacity_ms),
    ];
    let Some(mut from_ms) = phases.fault_ms else {
        return Vec::new();
    };
    let mut spans = Vec::new();
    for (phase, end) in ends {
        let Some(end) = end else { continue };
        // Traffic may be good again before the plan reports its end; no phase is shorter than nothing.
        let to_ms = end.max(from_ms);
        spans.push(Span { phase, from_ms, to_ms, open: false });
        from_ms = to_ms;
    }
    spans
}

/// The phases of a run; when it was not restored, the last is the one in which it got stuck, as long as it was
/// watched.
#[must_use]
pub fn told(record: &Record) -> Vec<Span> {
    let mut spans = split(&record.phases);
    let watched = record
        .services
        .iter()
        .filter(|service| service.rto.at_most_ms.is_none())
        .filter_map(|service| service.rto.at_least_ms)
        .fold(0.0, f64::max);
    let (Some(fault), None) = (record.phases.fault_ms, record.phases.restored_ms) else {
        return spans;
    };
    let last = spans.last();
    let phase = match last.map(|span| span.phase) {
        None => Phase::Detect,
        Some(Phase::Detect) => Phase::Decide,
        Some(Phase::Decide) => Phase::FailOver,
        Some(_) => Phase::Restore,
    };
    let from_ms = last.map_or(fault, |span| span.to_ms);
    if fault + watched > from_ms {
        spans.push(Span { phase, from_ms, to_ms: fault + watched, open: true });
    }
    spans
}

/// The longest phase up to restored: the one worth working on.
#[must_use]
pub fn slowest(phases: &Phases) -> Option<Span> {
    split(phases)
        .into_iter()
        .filter(|span| span.phase != Phase::Ramp)
        .max_by(|a, b| a.length_ms().total_cmp(&b.length_ms()))
}

/// Named moments that are known, in order of time.
#[must_use]
pub fn moments(phases: &Phases) -> Vec<(&'static str, f64)> {
    let all = [
        ("fault", phases.fault_ms),
        ("first error", phases.first_error_ms),
        ("detected", phases.detected_ms),
        ("decided", phases.decided_ms),
        ("failed over", phases.failed_over_ms),
        ("restored", phases.restored_ms),
        ("full capacity", phases.full_capacity_ms),
        ("failback starts", phases.failback_started_ms),
        ("failback ends", phases.failback_finished_ms),
    ];
    let mut known: Vec<_> = all.into_iter().filter_map(|(name, ms)| Some((name, ms?))).collect();
    known.sort_by(|a, b| a.1.total_cmp(&b.1));
    known
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_moments_give_their_time_to_the_next_phase() {
        let phases =
            Phases { fault_ms: Some(5_000.0), restored_ms: Some(9_000.0), ..Phases::default() };
        let spans = split(&phases);
        assert_eq!(spans.len(), 1);
        assert_eq!((spans[0].phase, spans[0].length_ms()), (Phase::Restore, 4_000.0));
    }

    #[test]
    fn no_phase_is_shorter_than_nothing() {
        let phases = Phases {
            fault_ms: Some(5_000.0),
            detected_ms: Some(7_000.0),
            failed_over_ms: Some(8_500.0),
            restored_ms: Some(8_400.0),
            full_capacity_ms: Some(10_000.0),
            ..Phases::default()
        };
        assert!(split(&phases).iter().all(|span| span.length_ms() >= 0.0));
        assert_eq!(slowest(&phases).unwrap().phase, Phase::Detect);
    }

    #[test]
    fn where_it_got_stuck_is_a_phase_without_an_end() {
        let record = crate::testkit::Fixture::build(crate::testkit::Case::NeverRecovered).record;
        let spans = told(&record);
        assert_eq!(spans.len(), 3);
        assert_eq!(spans[2].phase, Phase::FailOver);
        assert_eq!(spans[2].took(), "> 52.914 s");
    }

    #[test]
    fn without_a_fault_there_are_no_phases() {
        assert_eq!(split(&Phases::default()), []);
        assert_eq!(moments(&Phases::default()), []);
    }
}
