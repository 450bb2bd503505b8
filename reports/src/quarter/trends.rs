//! Achieved times and losses over the last quarters.

use std::collections::BTreeMap;

use drdrill_core::program::Date;
use drdrill_core::scenario::Kind;
use drdrill_core::verdict::Verdict;
use schemars::JsonSchema;
use serde::Serialize;

use super::coverage::is_asked_for;
use super::kpis::{Outcomes, Spread, recoveries};
use super::{EvidenceState, Inputs, Period, QuarterOf, day_of};
use crate::history::{RunRow, ServiceRow};

/// So many quarters are shown, the reported one included.
const QUARTERS: usize = 5;
/// So many drills are looked at for a claim, the newest: the evidence of all of them may be gigabytes, and 59 allow to say 95 %.
const MOST_CLAIMED: usize = 100;
/// How sure a claim about future drills is.
const CONFIDENCE: f64 = 0.95;

/// What a service achieved in a scenario on an environment, quarter by quarter.
#[derive(Clone, Debug, JsonSchema, PartialEq, Serialize)]
pub struct Trend {
    /// The scenario.
    pub scenario: String,
    /// The environment.
    pub environment: String,
    /// The service.
    pub service: String,
    /// Whether the environment only imitates the real thing.
    pub emulated: bool,
    /// Whether the program asks for it.
    pub in_program: bool,
    /// The last quarters, oldest first; one without a drill has `n` 0.
    pub quarters: Vec<Point>,
    /// What the drills in these quarters since the last change of scenario, environment or objective allow to say of the next, as
    /// far back as their evidence was looked at; absent when one of them did not meet its recovery time objective or was cut
    /// off, when there was none, and when it was not recorded what the environment was.
    pub claim: Option<Claim>,
}

/// One quarter of a trend.
#[derive(Clone, Debug, JsonSchema, PartialEq, Serialize)]
pub struct Point {
    /// The quarter, such as `2026-Q4`.
    pub quarter: String,
    /// How many drills.
    pub n: u64,
    /// Of how many of them nobody looked at the evidence: these figures are what the history says.
    pub unchecked: u64,
    /// Recovery times: upper bounds.
    pub rto: Spread,
    /// Against their objectives.
    pub rto_met: Outcomes,
    /// The objective of the last drill; absent when it had none.
    pub rto_target_ms: Option<f64>,
    /// Ages of the first lost writes: upper bounds.
    pub rpo: Spread,
    /// Against their objectives.
    pub rpo_met: Outcomes,
    /// The objective of the last drill; absent when it had none.
    pub rpo_target_ms: Option<f64>,
    /// Acknowledged writes that were lost; absent when it is not known of any drill.
    pub lost_writes: Option<u64>,
    /// The worst recovery level, a ratio; absent when none was measured.
    pub rlo_worst: Option<f64>,
    /// Against their objectives.
    pub rlo_met: Outcomes,
    /// The objective of the last drill, a ratio; absent when it had none.
    pub rlo_target: Option<f64>,
}

/// What drills that all met an objective allow to say: of the next recoveries under the same conditions at least this share
/// meets it, and one is wrong in saying so in at most 5 of 100 cases (59 drills for 95 %, measurement.md).
#[derive(Clone, Copy, Debug, JsonSchema, PartialEq, Serialize)]
pub struct Claim {
    /// How many drills.
    pub n: u64,
    /// The least share, rounded down.
    pub share: f64,
    /// How sure that is.
    pub confidence: f64,
}

impl Claim {
    /// What `n` drills, of which every one met its objective, allow to say; nothing without drills.
    #[must_use]
    pub fn of(n: u64) -> Option<Self> {
        if n == 0 {
            return None;
        }
        #[expect(clippy::cast_precision_loss, reason = "a number of drills")]
        let share = (1.0 - CONFIDENCE).powf(1.0 / n as f64);
        // A share that is rounded up would claim more.
        Some(Self { n, share: (share * 1e4).floor() / 1e4, confidence: CONFIDENCE })
    }
}

/// A drill, and what it says of a service.
type Drilled<'a> = (&'a RunRow, &'a ServiceRow);

/// Drills by scenario, environment and service, oldest first.
type Groups<'a> = BTreeMap<(&'a str, &'a str, &'a str), Vec<Drilled<'a>>>;

/// The quarters that are shown, oldest first.
fn quarters(inputs: &Inputs<'_>) -> Vec<QuarterOf> {
    let mut quarters = vec![inputs.quarter];
    while quarters.len() < QUARTERS {
        let first = quarters[quarters.len() - 1];
        quarters.push(first.before());
    }
    quarters.reverse();
    quarters
}

/// All drills with faults of the last quarters.
fn groups<'a>(inputs: &Inputs<'a>, first: Date, period: &Period) -> Groups<'a> {
    let mut rows: Vec<&RunRow> = inputs
        .rows
        .iter()
        .filter(|row| {
            let shown = (first..=period.as_of).contains(&day_of(row));
            shown && row.kind != Kind::Tabletop && row.faults > 0 && row.counts()
        })
        .collect();
    rows.sort_by(|a, b| (a.started, &a.run_id).cmp(&(b.started, &b.run_id)));
    let mut groups = Groups::new();
    for row in rows {
        for service in &row.services {
            let name =
                (row.scenario.name.as_str(), row.environment.name.as_str(), service.name.as_str());
            groups.entry(name).or_default().push((row, service));
        }
    }
    groups
}

/// The trends of all drills with faults of the last quarters.
pub(super) fn trends(inputs: &Inputs<'_>, period: &Period) -> Vec<Trend> {
    let quarters = quarters(inputs);
    let mut all = Vec::new();
    for ((scenario, environment, service), drills) in groups(inputs, quarters[0].first(), period) {
        let points = quarters.iter().map(|quarter| point(inputs, *quarter, &drills));
        all.push(Trend {
            scenario: scenario.to_owned(),
            environment: environment.to_owned(),
            service: service.to_owned(),
            emulated: drills.iter().any(|(row, _)| row.environment.emulated),
            in_program: is_asked_for(inputs, scenario, environment, false),
            quarters: points.collect(),
            claim: claim(inputs, &drills),
        });
    }
    all
}

/// Ids of the drills on which a claim would stand: those whose evidence has to be looked at for it.
pub(super) fn claimed(inputs: &Inputs<'_>, period: &Period) -> Vec<String> {
    let groups = groups(inputs, quarters(inputs)[0].first(), period);
    let drills = groups.values().flat_map(|drills| {
        let alike = met(inputs, drills).unwrap_or_default();
        alike.into_iter().take(MOST_CLAIMED).map(|(row, _)| row.run_id.clone())
    });
    drills.collect()
}

/// What the drills since the last change of conditions allow to say: of scenario, environment or objective.
fn claim(inputs: &Inputs<'_>, drills: &[Drilled<'_>]) -> Option<Claim> {
    let alike = met(inputs, drills)?;
    let looked_at = alike.iter().take_while(|(row, _)| is_checked(inputs, row));
    Claim::of(looked_at.count() as u64)
}

/// Whether somebody looked at the evidence of a run.
fn is_checked(inputs: &Inputs<'_>, row: &RunRow) -> bool {
    let found = inputs.evidence.get(&row.run_id);
    found.is_some_and(|found| *found != EvidenceState::NotChecked)
}

/// The drills since the last change of conditions, newest first, if every one of them met its objective.
fn met<'a>(inputs: &Inputs<'_>, drills: &[Drilled<'a>]) -> Option<Vec<Drilled<'a>>> {
    let (last, service) = drills.last()?;
    // Two of which nobody knows the conditions are not known to be alike.
    last.environment.definition.as_ref()?;
    let same = |(row, one): &&Drilled<'_>| {
        row.scenario.sha256 == last.scenario.sha256
            && row.environment.definition == last.environment.definition
            && one.rto.target_ms == service.rto.target_ms
    };
    let alike: Vec<Drilled<'a>> = drills.iter().rev().take_while(same).copied().collect();
    let first = alike.last()?.0.started;
    // How one that was cut off would have ended, nobody knows.
    let cut_off = inputs.cut_off.iter().any(|run| {
        run.scenario.as_ref() == Some(&last.scenario.name)
            && run.environment.as_ref() == Some(&last.environment.name)
            && run.counts != Some(false)
            && run.started.is_none_or(|at| at >= first)
    });
    let all_met = alike.iter().all(|(_, service)| {
        service.rto.target_ms.is_some() && service.rto.verdict == Verdict::Pass
    });
    (all_met && !cut_off).then_some(alike)
}

fn point(inputs: &Inputs<'_>, quarter: QuarterOf, drills: &[Drilled<'_>]) -> Point {
    let of_quarter = || drills.iter().filter(|(row, _)| quarter.has(day_of(row)));
    let unchecked = of_quarter().filter(|(row, _)| !is_checked(inputs, row)).count();
    let of_quarter = of_quarter();
    let services: Vec<&ServiceRow> = of_quarter.map(|(_, service)| *service).collect();
    let rpos: Vec<_> = services.iter().filter_map(|service| service.rpo.as_ref()).collect();
    let measured: Vec<_> = rpos.iter().filter(|rpo| rpo.is_measured()).collect();
    let rto = services.iter().filter(|one| one.rto.target_ms.is_some());
    let rlo = services.iter().filter(|one| one.rlo.target.is_some());
    let rpo = rpos.iter().filter(|rpo| rpo.target_ms.is_some());
    let levels = services.iter().filter_map(|service| service.rlo.achieved);
    let last = services.last();
    Point {
        quarter: quarter.to_string(),
        n: services.len() as u64,
        unchecked: unchecked as u64,
        rto: recoveries(services.iter().copied()),
        rto_met: Outcomes::of(rto.map(|one| one.rto.verdict), 0),
        rto_target_ms: last.and_then(|service| service.rto.target_ms),
        rpo: Spread::of(measured.iter().map(|rpo| rpo.at_most_ms)),
        rpo_met: Outcomes::of(rpo.map(|rpo| rpo.verdict), 0),
        rpo_target_ms: rpos.last().and_then(|rpo| rpo.target_ms),
        lost_writes: (!measured.is_empty()).then(|| measured.iter().map(|rpo| rpo.lost).sum()),
        rlo_worst: levels.min_by(f64::total_cmp),
        rlo_met: Outcomes::of(rlo.map(|one| one.rlo.verdict), 0),
        rlo_target: last.and_then(|service| service.rlo.target),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fifty_nine_drills_allow_to_claim_ninety_five_per_cent() {
        assert!(Claim::of(59).unwrap().share >= 0.95);
        assert!(Claim::of(58).unwrap().share < 0.95);
        assert_eq!(Claim::of(0), None);
        assert!(Claim::of(1).unwrap().share <= 0.05);
    }
}
