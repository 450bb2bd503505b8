//! Rates and times of many drills.

use drdrill_core::scenario::Kind;
use drdrill_core::verdict::Verdict;
use schemars::JsonSchema;
use serde::Serialize;

use super::CutOff;
use crate::history::{RunRow, ServiceRow};

/// Rates and times of the drills of a quarter.
#[derive(Clone, Debug, JsonSchema, PartialEq, Serialize)]
pub struct Kpis {
    /// Drills; exercises and scenarios that must fail are not among them.
    pub drills: Outcomes,
    /// Tabletop exercises.
    pub exercises: Outcomes,
    /// Recovery time objectives, one for each service of each drill that has one.
    pub rto: Outcomes,
    /// Recovery point objectives.
    pub rpo: Outcomes,
    /// Recovery level objectives.
    pub rlo: Outcomes,
    /// Recovery times of all services.
    pub recovery: Spread,
    /// Acknowledged writes that were lost, of the services of which it is known; absent when it is known of none.
    pub lost_writes: Option<u64>,
    /// Acknowledged writes of those services.
    pub acknowledged_writes: Option<u64>,
}

/// How often what came out.
#[derive(Clone, Copy, Debug, Default, JsonSchema, PartialEq, Serialize)]
pub struct Outcomes {
    /// All.
    pub n: u64,
    /// Passed.
    pub passed: u64,
    /// Failed.
    pub failed: u64,
    /// It could not be told.
    pub unknown: u64,
    /// Were cut off, or left no record that can be believed, and so did not pass either.
    pub cut_off: u64,
    /// Share of all that passed; absent when there were none.
    pub rate: Option<f64>,
}

/// How far times lie apart. Of a recovery the upper bound counts: it was over by then.
#[derive(Clone, Debug, Default, JsonSchema, PartialEq, Serialize)]
pub struct Spread {
    /// How many were measured, those that never came to an end included.
    pub n: u64,
    /// Of those, never came to an end: longer than any time here.
    pub never: u64,
    /// The shortest; absent when none came to an end.
    pub min_ms: Option<f64>,
    /// Half are not longer; absent when that many never came to an end.
    pub median_ms: Option<f64>,
    /// The longest; absent when one never came to an end.
    pub max_ms: Option<f64>,
    /// The mean; absent when one never came to an end.
    pub mean_ms: Option<f64>,
    /// All that came to an end, ascending.
    pub values_ms: Vec<f64>,
}

impl Outcomes {
    /// Counts verdicts, and what was cut off.
    #[must_use]
    pub fn of(verdicts: impl IntoIterator<Item = Verdict>, cut_off: u64) -> Self {
        let mut all = Self { n: cut_off, cut_off, ..Self::default() };
        for verdict in verdicts {
            all.n += 1;
            match verdict {
                Verdict::Pass => all.passed += 1,
                Verdict::Fail => all.failed += 1,
                Verdict::Unknown => all.unknown += 1,
            }
        }
        #[expect(clippy::cast_precision_loss, reason = "a share of what people count")]
        let share = |part: u64, whole: u64| part as f64 / whole as f64;
        all.rate = (all.n > 0).then(|| share(all.passed, all.n));
        all
    }
}

impl Spread {
    /// The spread of times; `None` stands for one that never came to an end.
    #[must_use]
    pub fn of(times: impl IntoIterator<Item = Option<f64>>) -> Self {
        let times: Vec<Option<f64>> = times.into_iter().collect();
        let mut values: Vec<f64> = times.iter().copied().flatten().collect();
        values.sort_by(f64::total_cmp);
        let (n, never) = (times.len(), times.len() - values.len());
        // Those that never came to an end are longer than all others.
        let at = |index: usize| values.get(index).copied();
        let median = match n {
            0 => None,
            n if n % 2 == 1 => at(n / 2),
            n => at(n / 2 - 1).zip(at(n / 2)).map(|(low, high)| f64::midpoint(low, high)),
        };
        #[expect(clippy::cast_precision_loss, reason = "a number of drills")]
        let mean = (n > 0 && never == 0).then(|| values.iter().sum::<f64>() / n as f64);
        Self {
            n: n as u64,
            never: never as u64,
            min_ms: at(0),
            median_ms: median,
            max_ms: (never == 0).then(|| values.last().copied()).flatten(),
            mean_ms: mean,
            values_ms: values,
        }
    }
}

/// The recovery times of services; those that were not measured are none of them.
pub(super) fn recoveries<'a>(services: impl IntoIterator<Item = &'a ServiceRow>) -> Spread {
    let measured = services.into_iter().filter(|service| service.rto.at_least_ms.is_some());
    Spread::of(measured.map(|service| service.rto.at_most_ms))
}

/// Rates and times of runs, all of which count.
pub(super) fn kpis(rows: &[&RunRow], cut_off: &[&CutOff]) -> Kpis {
    let exercises_cut_off = cut_off.iter().filter(|run| run.tabletop == Some(true)).count() as u64;
    let drills_cut_off = cut_off.len() as u64 - exercises_cut_off;
    let drills = || rows.iter().filter(|row| row.kind != Kind::Tabletop);
    let exercises = rows.iter().filter(|row| row.kind == Kind::Tabletop);
    // Without a fault there was nothing to recover from, and no objective to meet.
    let services = || drills().filter(|row| row.faults > 0).flat_map(|row| &row.services);
    let rto = services().filter(|one| one.rto.target_ms.is_some()).map(|one| one.rto.verdict);
    let rpo = services().filter_map(|one| one.rpo.as_ref());
    let rpo_with_target = rpo.clone().filter(|rpo| rpo.target_ms.is_some()).map(|rpo| rpo.verdict);
    let rlo = services().filter(|one| one.rlo.target.is_some()).map(|one| one.rlo.verdict);
    let read_back: Vec<_> = rpo.filter(|rpo| rpo.is_measured()).collect();
    let sum = |of: fn(&crate::history::RpoRow) -> u64| {
        (!read_back.is_empty()).then(|| read_back.iter().map(|rpo| of(rpo)).sum())
    };
    Kpis {
        drills: Outcomes::of(drills().map(|row| row.verdict), drills_cut_off),
        exercises: Outcomes::of(exercises.map(|row| row.verdict), exercises_cut_off),
        rto: Outcomes::of(rto, 0),
        rpo: Outcomes::of(rpo_with_target, 0),
        rlo: Outcomes::of(rlo, 0),
        recovery: recoveries(services()),
        lost_writes: sum(|rpo| rpo.lost),
        acknowledged_writes: sum(|rpo| rpo.acknowledged),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_has_no_rate_and_no_times() {
        assert_eq!(Outcomes::of([], 0).rate, None);
        assert_eq!(Spread::of([]), Spread::default());
    }

    #[test]
    fn what_was_cut_off_did_not_pass() {
        let all = Outcomes::of([Verdict::Pass, Verdict::Unknown, Verdict::Fail], 1);
        assert_eq!((all.n, all.passed, all.cut_off, all.rate), (4, 1, 1, Some(0.25)));
    }

    #[test]
    fn one_that_never_came_back_is_longer_than_all_others() {
        let all = Spread::of([Some(3.0), None, Some(1.0)]);
        assert_eq!((all.n, all.never), (3, 1));
        assert_eq!(
            (all.min_ms, all.median_ms, all.max_ms, all.mean_ms),
            (Some(1.0), Some(3.0), None, None)
        );
        assert_eq!(Spread::of([Some(1.0), None]).median_ms, None);
        assert_eq!(Spread::of([None]).min_ms, None);
        let two = Spread::of([Some(1.0), Some(3.0)]);
        assert_eq!((two.median_ms, two.mean_ms, two.max_ms), (Some(2.0), Some(2.0), Some(3.0)));
    }
}
