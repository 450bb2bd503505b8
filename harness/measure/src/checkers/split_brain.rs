//! Two sides that decide at the same time.

use drdrill_core::checker::Finding;

use super::{Rule, critical, fine, unknown};
use crate::judge::case::Case;

const NAME: &str = "split_brain";

/// No write that was sent after the fault was in effect was acknowledged and then lost.
pub(super) const RULE: Rule = Rule::new(NAME, look);

fn look(case: &Case<'_>) -> Vec<Finding> {
    let stories = case.services.iter().filter_map(|service| service.rpo.as_ref());
    let mut found = Vec::new();
    for story in stories {
        if let Some(brain) = &story.split_brain {
            found.push(critical(NAME, brain.detail.clone()));
        } else if story.rpo.at_least_ms.is_none() && case.has_faults() {
            found
                .push(unknown(NAME, "the recovery point was not measured, so nothing can be told"));
        }
    }
    if found.is_empty() {
        found.push(fine(NAME, "no write acknowledged after the fault is missing"));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Story, verdict_of};
    use drdrill_core::verdict::Verdict;

    #[test]
    fn a_clean_recovery_passes() {
        assert_eq!(verdict_of(super::RULE, &Story::recovered()), Verdict::Pass);
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
    fn nothing_read_back_is_unknown() {
        let mut story = Story::recovered();
        story.without_read_back();
        assert_eq!(verdict_of(super::RULE, &story), Verdict::Unknown);
    }
}
