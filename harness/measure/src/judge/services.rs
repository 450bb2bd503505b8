//! The record of one service.

use drdrill_core::record::{Rlo, Service};
use drdrill_core::time::{At, millis};
use drdrill_core::verdict::Verdict;

use super::case::{Case, ServiceStory};
use super::consistency;
use super::goodput::{self, Level};
use super::shots::sum;
use super::text::percent;

/// A service's record, what each part of it came to, and why.
#[derive(Debug)]
pub(crate) struct Judged {
    pub(crate) service: Service,
    pub(crate) reasons: Vec<(Verdict, String)>,
    pub(crate) full_capacity: Option<At>,
}

/// Puts the figures of a service together.
pub(crate) fn judge(case: &Case<'_>, story: &ServiceStory<'_>) -> Judged {
    let headline = story.headline();
    let first = case.disasters.first().copied();
    let outage = story.outage();
    let until = case.watched_until();
    let level = story.rto.restored_by.zip(story.window_end()).and_then(|(restored, window_end)| {
        goodput::level(&headline, restored, window_end.min(until), until)
    });
    let (rlo, rlo_reason) = recovery_level(story, level);
    let first_success = first.and_then(|first| {
        let by =
            outage.map_or_else(|| first_after(story, first.at), |outage| outage.first_success)?;
        Some(millis(by.since(first.from)))
    });
    let lost = first.map(|first| millis(goodput::lost_service(&headline, first.from, until)));
    let streams: Vec<_> = story.streams.iter().map(super::streams::StreamStory::record).collect();
    let mut reasons = Vec::new();
    if case.has_faults() {
        reasons.push((story.rto.rto.verdict, story.rto.reason.clone()));
        if let Some(rpo) = &story.rpo {
            reasons.push((rpo.rpo.verdict, rpo.reason.clone()));
        }
        // Without a recovery there is no level to judge, and the recovery time says so already.
        reasons.extend(rlo_reason.map(|reason| (rlo.verdict, reason)));
    }
    let consistency = consistency::judge(case, story);
    if let Some((_, found)) = &consistency {
        reasons.extend(found.iter().cloned());
    }
    let rpo = story.rpo.as_ref().map(|rpo| rpo.rpo.clone());
    Judged {
        service: Service {
            name: story.facts.name.clone(),
            tier: story.facts.tier,
            rto: story.rto.rto,
            outage: outage.map(|outage| outage.interval()),
            first_success_ms: first_success,
            lost_service_ms: lost,
            flaps: outage.map_or(0, |outage| outage.flaps),
            rpo,
            rlo,
            consistency: consistency.map(|(record, _)| record),
            samples: sum(streams.iter().map(|stream| stream.samples)),
            streams,
        },
        reasons,
        full_capacity: level.and_then(|level| level.full_from),
    }
}

fn recovery_level(story: &ServiceStory<'_>, level: Option<Level>) -> (Rlo, Option<String>) {
    let target = story.facts.targets.rlo.map(drdrill_core::units::Share::ratio);
    let achieved = level.map(|level| level.worst);
    let verdict = match (target, achieved) {
        (_, None) => Verdict::Unknown,
        (Some(target), Some(achieved)) if achieved < target => Verdict::Fail,
        _ => Verdict::Pass,
    };
    let reason = target.zip(achieved).map(|(target, achieved)| {
        format!(
            "{}: recovery level {}; the objective is {}",
            story.facts.name,
            percent(achieved),
            percent(target)
        )
    });
    let rlo = Rlo { target, achieved, verdict };
    (rlo, reason)
}

/// End of the first success that was sent after `at`.
fn first_after(story: &ServiceStory<'_>, at: At) -> Option<At> {
    let headline = story.headline();
    let shots = headline.iter().flat_map(|stream| &stream.stream.shots);
    let after = shots.filter(|shot| shot.is_ok() && shot.sent > at);
    after.map(|shot| shot.done).min()
}
