//! Writes that came back wrong: twice, altered, from nowhere, or from the dead.

use drdrill_core::checker::Finding;
use drdrill_core::event::{Milestone, When};

use super::{Rule, critical, fine, unknown, warning};
use crate::judge::case::Case;

const NAME: &str = "writes_intact";

/// No duplicate, phantom, corrupt or resurrected write, and nothing lost on the way back. What was lost to the
/// fault itself is the recovery point's business.
pub(super) const RULE: Rule = Rule::new(NAME, look);

fn look(case: &Case<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut acknowledged = 0;
    for service in &case.services {
        let Some(story) = &service.rpo else { continue };
        let name = &service.facts.name;
        let writes = &story.rpo.writes;
        acknowledged += writes.acknowledged;
        let wrong = [
            (writes.duplicate, "are present more than once"),
            (writes.phantom, "are present though they failed or were never sent"),
            (writes.corrupt, "are present with other content"),
            (writes.resurrected, "were lost after the recovery and are back later"),
            (
                story.rpo.failback_lost.unwrap_or(0),
                "that were acknowledged before failback ended are absent after it",
            ),
        ];
        for (count, what) in wrong.into_iter().filter(|(count, _)| *count > 0) {
            found.push(critical(NAME, format!("{name}: {count} writes {what}")));
        }
        found.extend(elsewhere(case, name, &story.lost));
    }
    found.extend(not_read_back(case));
    for (site, _, error) in &case.digest.unreadable {
        found.push(warning(NAME, format!("the writes of {site} could not be read back: {error}")));
    }
    if found.is_empty() {
        let any_writer = case.services.iter().any(|service| service.rpo.is_some());
        let read_back = acknowledged > 0 && case.digest.reads.iter().any(|read| read.authoritative);
        found.push(if any_writer && !read_back && case.has_faults() {
            unknown(NAME, "no acknowledged write was read back")
        } else {
            fine(NAME, format!("{acknowledged} acknowledged writes, none of them wrong"))
        });
    }
    found
}

/// Services whose writes nobody read back after a failback that was finished: what it lost is not known.
fn not_read_back(case: &Case<'_>) -> Vec<Finding> {
    let finished = case.digest.milestone(Milestone::FailbackFinished).is_some();
    if case.digest.start.scenario.failback.is_none() || !finished {
        return Vec::new();
    }
    let written = case.services.iter().filter(|service| service.rpo.is_some());
    let unread = written.filter(|service| {
        !case.digest.reads.iter().any(|read| {
            read.authoritative
                && read.when == When::AfterFailback
                && read.service == service.facts.name
        })
    });
    unread
        .map(|service| {
            let name = &service.facts.name;
            unknown(NAME, format!("{name}: the writes were not read back after failback"))
        })
        .collect()
}

/// Lost writes that a side which does not decide still holds: they can be salvaged by hand.
fn elsewhere(case: &Case<'_>, service: &str, lost: &[u64]) -> Vec<Finding> {
    let others = case.digest.reads.iter();
    let others = others.filter(|read| read.service == service && !read.authoritative);
    others
        .filter_map(|read| {
            let held = lost.iter().filter(|id| read.found.present.contains(**id));
            let count = held.count();
            (count > 0).then(|| {
                let site = read.site;
                let text =
                    format!("{service}: {count} of the lost writes are still held by {site}");
                warning(NAME, text)
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Story, verdict_of};
    use drdrill_core::event::{Event, When};
    use drdrill_core::verdict::Verdict;

    #[test]
    fn writes_that_are_all_there_once_pass() {
        assert_eq!(verdict_of(super::RULE, &Story::recovered()), Verdict::Pass);
    }

    #[test]
    fn each_kind_of_wrong_write_fails() {
        let break_it: [fn(&mut drdrill_core::environment::FoundWrites); 4] = [
            |found| assert!(found.duplicate.insert(3)),
            |found| assert!(found.corrupt.insert(4)),
            |found| found.phantom.push("w-999".into()),
            // 610 was sent while the service was down and certainly failed.
            |found| assert!(found.present.insert(610)),
        ];
        for break_it in break_it {
            let mut story = Story::recovered();
            story.found(break_it);
            assert_eq!(verdict_of(super::RULE, &story), Verdict::Fail);
        }
    }

    #[test]
    fn a_failback_after_which_nobody_read_the_writes_is_unknown() {
        let mut story = Story::failed_back();
        assert_eq!(verdict_of(super::RULE, &story), Verdict::Pass);
        story.entries.retain(|entry| {
            !matches!(entry.event, Event::WritesFound { when: When::AfterFailback, .. })
        });
        let unreadable = Event::WritesUnreadable {
            site: "primary".into(),
            when: When::AfterFailback,
            error: "500".into(),
        };
        story.add(11_100, unreadable);
        assert_eq!(verdict_of(super::RULE, &story), Verdict::Unknown);
        let record = crate::judge::judge(&story.entries).unwrap();
        assert_eq!((record.verdict, record.exit_code), (Verdict::Unknown, 11));
        let reason = &record.reasons[0];
        assert!(reason.contains("the writes were not read back after failback"), "{reason}");
        assert_eq!(record.services[0].rpo.as_ref().unwrap().failback_lost, None);
        assert_eq!(record.failback.unwrap().services[0].lost, None);
    }

    #[test]
    fn a_read_back_of_a_side_that_does_not_decide_is_none() {
        let mut story = Story::failed_back();
        for entry in &mut story.entries {
            if let Event::WritesFound { when: When::AfterFailback, authoritative, .. } =
                &mut entry.event
            {
                *authoritative = false;
            }
        }
        assert_eq!(verdict_of(super::RULE, &story), Verdict::Unknown);
    }

    #[test]
    fn writes_that_nobody_read_back_are_unknown() {
        let mut story = Story::recovered();
        story.without_read_back();
        assert_eq!(verdict_of(super::RULE, &story), Verdict::Unknown);
        let record = crate::judge::judge(&story.entries).unwrap();
        let rpo = record.services[0].rpo.clone().unwrap();
        assert_eq!((rpo.at_least_ms, rpo.verdict), (None, Verdict::Unknown));
    }
}
