//! Two sides that decide at the same time.

use drdrill_core::checker::Finding;

use super::{Rule, critical, fine, unknown};
use crate::judge::case::{Case, ServiceStory};

const NAME: &str = "split_brain";

/// No two sites acknowledged writes at the same time, as far as they say in which epoch they did; and no write that was
/// sent after the fault was in effect was acknowledged and then lost.
pub(super) const RULE: Rule = Rule::new(NAME, look);

fn look(case: &Case<'_>) -> Vec<Finding> {
    case.services.iter().flat_map(|service| one(case, service)).collect()
}

fn one(case: &Case<'_>, service: &ServiceStory<'_>) -> Vec<Finding> {
    let name = &service.facts.name;
    let mut found = Vec::new();
    for conflict in service.reigns.iter().flat_map(|reigns| reigns.conflicts(name)) {
        found.push(critical(NAME, format!("split brain: {}", conflict.detail)));
    }
    if let Some(story) = &service.rpo {
        if let Some(lost) = &story.lost_after_fault {
            found.push(critical(NAME, lost.detail.clone()));
        } else if story.rpo.at_least_ms.is_none() && case.has_faults() && found.is_empty() {
            let text = "the recovery point was not measured, so nothing can be told";
            found.push(unknown(NAME, text));
        }
    }
    if found.is_empty() {
        found.push(fine(NAME, peace(service)));
    }
    found
}

fn peace(service: &ServiceStory<'_>) -> String {
    let name = &service.facts.name;
    let Some(reigns) = &service.reigns else {
        return format!("{name}: no write acknowledged after the fault is missing");
    };
    let untold = match reigns.untold {
        0 => String::new(),
        count => format!("; {count} acknowledgements did not say who decided"),
    };
    format!("{name}: one site decided at a time: {}{untold}", reigns.in_words())
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Story, verdict_of};
    use drdrill_core::sample::Decider;
    use drdrill_core::time::At;
    use drdrill_core::verdict::Verdict;

    /// Every second write from `from` to `to` is acknowledged by the old primary, and all others after 7 s by the DR site.
    fn decided(story: &mut Story, from: u64, to: u64) {
        story.samples(|sample| {
            let old = sample.sent < At::from_millis(7_000)
                || sample.sequence % 2 == 0
                    && (At::from_millis(from)..At::from_millis(to)).contains(&sample.sent);
            let (site, epoch) = if old { ("primary", 1) } else { ("dr", 2) };
            sample.decider = sample.outcome.is_ok().then(|| Decider { site: site.into(), epoch });
        });
    }

    #[test]
    fn a_clean_recovery_passes() {
        assert_eq!(verdict_of(super::RULE, &Story::recovered()), Verdict::Pass);
        let mut story = Story::recovered();
        decided(&mut story, 0, 0);
        assert_eq!(verdict_of(super::RULE, &story), Verdict::Pass);
        let record = crate::judge::judge(&story.entries).unwrap();
        assert_eq!(record.split_brain, []);
        let found = record.findings.iter().find(|found| found.checker == "split_brain").unwrap();
        assert_eq!(
            found.message,
            "app: one site decided at a time: primary in epoch 1 (501 writes), then dr in epoch 2 (400 writes)"
        );
    }

    #[test]
    fn two_sites_that_acknowledge_at_the_same_time_fail_with_the_interval() {
        let mut story = Story::recovered();
        decided(&mut story, 7_000, 8_000);
        assert_eq!(verdict_of(super::RULE, &story), Verdict::Fail);
        let record = crate::judge::judge(&story.entries).unwrap();
        assert_eq!(record.exit_code, 10);
        let [split] = &record.split_brain[..] else { panic!("{:?}", record.split_brain) };
        assert_eq!((split.from_ms, split.to_ms), (7_011.0, 7_980.0));
        assert!(
            split.detail.starts_with("app: primary (epoch 1) acknowledged 49 writes"),
            "{split:?}"
        );
        let reason = format!("split brain: {}", split.detail);
        assert!(record.reasons.contains(&reason), "{:?}", record.reasons);
    }

    #[test]
    fn a_write_acknowledged_after_the_fault_and_lost_is_evidence_and_never_counts_into_the_age() {
        let mut story = Story::recovered();
        story.lose(|sequence| (701..705).contains(&sequence));
        assert_eq!(verdict_of(super::RULE, &story), Verdict::Fail);
        let record = crate::judge::judge(&story.entries).unwrap();
        let rpo = record.services[0].rpo.clone().unwrap();
        assert_eq!((rpo.writes.lost, rpo.lost_after_fault), (4, 4));
        assert_eq!((rpo.at_least_ms, rpo.at_most_ms), (Some(0.0), Some(0.0)));
        assert_eq!(record.split_brain.len(), 1);
        assert_eq!(record.exit_code, 10);
    }

    #[test]
    fn where_one_site_decided_at_a_time_such_a_loss_fails_and_is_no_split_brain() {
        let mut story = Story::recovered();
        decided(&mut story, 0, 0);
        story.lose(|sequence| (701..705).contains(&sequence));
        assert_eq!(verdict_of(super::RULE, &story), Verdict::Fail);
        let record = crate::judge::judge(&story.entries).unwrap();
        assert_eq!((record.split_brain.len(), record.exit_code), (0, 10));
    }

    #[test]
    fn nothing_read_back_is_unknown() {
        let mut story = Story::recovered();
        story.without_read_back();
        assert_eq!(verdict_of(super::RULE, &story), Verdict::Unknown);
    }
}
