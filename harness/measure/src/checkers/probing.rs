//! How well it was looked: holes at an edge, a window of few attempts, our own errors.

use drdrill_core::checker::Finding;

use super::{Rule, fine, unknown, warning};
use crate::judge::case::{Case, ServiceStory};
use crate::judge::recovery::MOST_OURS;
use crate::judge::shots::ratio;
use crate::judge::text::show;

const NAME: &str = "probing";

/// Attempts that a sustained window should have (measurement.md section 2: W ≥ 100 P).
const ADVISED: u32 = 100;

/// The attempts were close enough together, and few of them were our own errors.
pub(super) const RULE: Rule = Rule::new(NAME, look);

fn look(case: &Case<'_>) -> Vec<Finding> {
    let mut found: Vec<Finding> = Vec::new();
    let mut any = false;
    for service in &case.services {
        any |= service.headline().iter().any(|story| !story.stream.shots.is_empty());
        holes(service, &mut found);
        own_errors(service, &mut found);
        if case.has_faults() {
            short_window(case, service, &mut found);
        }
    }
    if !any {
        found.push(unknown(NAME, "no stream with fresh connections made an attempt"));
    }
    if found.is_empty() {
        found.push(fine(NAME, "no hole in the sampling touches an edge"));
    }
    found
}

fn holes(service: &ServiceStory<'_>, found: &mut Vec<Finding>) {
    if let Some(hole) = service.outage().and_then(|outage| outage.hole) {
        found.push(warning(
            NAME,
            format!(
                "{}: {} without attempts touch an edge of the outage; the bounds are wider for it",
                service.facts.name,
                show(hole)
            ),
        ));
    }
}

fn own_errors(service: &ServiceStory<'_>, found: &mut Vec<Finding>) {
    for story in service.headline() {
        let counts = story.stream.counts();
        let name = &story.stream.facts.name;
        let ours = counts.prober_error;
        if ours == 0 {
            continue;
        }
        let text = format!(
            "{} ({name}): {ours} of {} attempts were our own errors (late, no files, no ports)",
            service.facts.name, counts.sent
        );
        found.push(if ratio(ours, counts.sent) > MOST_OURS {
            warning(NAME, format!("{text}: more than 5 %; sample slower or on a quieter host"))
        } else {
            fine(NAME, text)
        });
    }
}

fn short_window(case: &Case<'_>, service: &ServiceStory<'_>, found: &mut Vec<Finding>) {
    for story in service.headline() {
        if case.window() < story.stream.every() * ADVISED {
            found.push(fine(
                NAME,
                format!(
                    "{} ({}): the sustained window of {} has fewer than {ADVISED} attempts; sample faster or \
                     watch longer",
                    service.facts.name,
                    story.stream.facts.name,
                    show(case.window())
                ),
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Story, verdict_of};
    use drdrill_core::time::At;
    use drdrill_core::verdict::Verdict;

    #[test]
    fn dense_sampling_passes_and_none_at_all_is_unknown() {
        let mut story = Story::recovered();
        assert_eq!(verdict_of(super::RULE, &story), Verdict::Pass);
        story.drop_samples(|_| true);
        assert_eq!(verdict_of(super::RULE, &story), Verdict::Unknown);
    }

    #[test]
    fn a_hole_at_the_edge_is_said_and_widens_the_bounds() {
        let mut story = Story::recovered();
        let (from, to) = (At::from_millis(6_900), At::from_millis(7_200));
        story.drop_samples(|sample| sample.sent >= from && sample.sent < to);
        let record = crate::judge::judge(&story.entries).unwrap();
        let rto = record.services[0].rto;
        assert!(rto.at_most_ms.unwrap() - rto.at_least_ms.unwrap() > 290.0, "{rto:?}");
        let mut findings = record.findings.iter();
        assert!(findings.any(|finding| finding.message.contains("without attempts")));
    }
}
