//! The health monitor (requirement C1).

use std::collections::BTreeMap;
use std::sync::Arc;

use drdrill_core::environment::{HealthKind, HealthSource};
use drdrill_core::event::{Event, Journal, Milestone, SystemState};
use drdrill_core::inventory::Monitor;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout_at};

use crate::state::State;

/// Looks at `site` round after round; returns with the reason for which something has to be done. Whoever does it says
/// when that was decided.
pub(crate) async fn watch(
    site: &str,
    health: &Arc<dyn HealthSource>,
    settings: &Monitor,
    state: &State,
    journal: &dyn Journal,
) -> String {
    let mut tally = Tally::default();
    let mut rounds = interval(settings.interval.0);
    rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        rounds.tick().await;
        let failed = one_round(site, health, settings).await;
        tally.count(&failed);
        for (kind, detail) in &failed {
            journal.record(Event::HealthCheckFailed {
                site: site.to_owned(),
                kind: word(*kind).to_owned(),
                in_a_row: tally.in_a_row.get(kind).copied().unwrap_or(0),
                detail: detail.clone(),
            });
        }
        if failed.is_empty() {
            state.change(SystemState::Healthy, "all checks passed", journal);
            continue;
        }
        if state.change(SystemState::Degraded, "a health check failed", journal) {
            journal.record(Event::Milestone { milestone: Milestone::Detected, at: journal.now() });
        }
        if let Some(reason) = tally.decide(settings) {
            return reason;
        }
    }
}

async fn one_round(
    site: &str,
    health: &Arc<dyn HealthSource>,
    settings: &Monitor,
) -> BTreeMap<HealthKind, String> {
    let deadline = Instant::now() + settings.timeout.0;
    let mut looks = JoinSet::new();
    for kind in health.kinds() {
        let (health, site) = (health.clone(), site.to_owned());
        looks.spawn(async move {
            let seen = timeout_at(deadline, health.look(&site, kind)).await;
            (kind, seen.unwrap_or_else(|_| Err("no answer in time".to_owned())))
        });
    }
    let seen = looks.join_all().await;
    seen.into_iter().filter_map(|(kind, seen)| seen.err().map(|detail| (kind, detail))).collect()
}

/// Failures in a row, by kind.
#[derive(Debug, Default)]
struct Tally {
    in_a_row: BTreeMap<HealthKind, u32>,
}

impl Tally {
    fn count(&mut self, failed: &BTreeMap<HealthKind, String>) {
        self.in_a_row.retain(|kind, _| failed.contains_key(kind));
        for kind in failed.keys() {
            *self.in_a_row.entry(*kind).or_default() += 1;
        }
    }

    fn decide(&self, settings: &Monitor) -> Option<String> {
        let longest = self.in_a_row.values().copied().max().unwrap_or(0);
        let kinds = u32::try_from(self.in_a_row.len()).unwrap_or(u32::MAX);
        let often = longest >= settings.failures;
        let broad = kinds >= settings.kinds;
        let decided = if settings.both { often && broad } else { often || broad };
        decided.then(|| format!("{kinds} kinds of check failed, {longest} rounds in a row"))
    }
}

/// The kind's name in records.
pub(crate) const fn word(kind: HealthKind) -> &'static str {
    match kind {
        HealthKind::Service => "service",
        HealthKind::Database => "database",
        HealthKind::Queue => "queue",
        HealthKind::Network => "network",
        HealthKind::Login => "login",
        HealthKind::Data => "data",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(kinds: &[HealthKind]) -> BTreeMap<HealthKind, String> {
        kinds.iter().map(|kind| (*kind, "down".to_owned())).collect()
    }

    /// Rounds until the decision, of at most ten.
    fn rounds_until_decision(settings: Monitor, rounds: &[&[HealthKind]]) -> Option<usize> {
        let mut tally = Tally::default();
        rounds.iter().position(|kinds| {
            tally.count(&failed(kinds));
            tally.decide(&settings).is_some()
        })
    }

    const ONE: &[HealthKind] = &[HealthKind::Service];
    const TWO: &[HealthKind] = &[HealthKind::Service, HealthKind::Network];

    #[test]
    fn one_kind_needs_three_rounds_and_two_kinds_need_one() {
        let settings = Monitor::default();
        assert_eq!(rounds_until_decision(settings, &[ONE, ONE, ONE]), Some(2));
        assert_eq!(rounds_until_decision(settings, &[TWO]), Some(0));
    }

    #[test]
    fn a_good_round_starts_the_count_again() {
        assert_eq!(rounds_until_decision(Monitor::default(), &[ONE, ONE, &[], ONE, ONE]), None);
    }

    #[test]
    fn asked_for_both_it_waits_for_both() {
        let both = Monitor { both: true, ..Monitor::default() };
        assert_eq!(rounds_until_decision(both, &[TWO, TWO, TWO]), Some(2));
        assert_eq!(rounds_until_decision(both, &[ONE, ONE, ONE, ONE]), None);
    }
}
