//! A fault that was never seen in effect, or that ended by itself, proves nothing, whatever else is green.

use drdrill_core::checker::Finding;

use super::{Rule, fine, unknown};
use crate::judge::case::Case;

const NAME: &str = "fault_in_effect";

/// Every fault of the scenario was applied and seen in effect.
pub(super) const RULE: Rule = Rule::new(NAME, look);

fn look(case: &Case<'_>) -> Vec<Finding> {
    if !case.has_faults() {
        return vec![fine(NAME, "no fault was part of this drill")];
    }
    let faults = &case.digest.faults;
    let mut found = Vec::new();
    for (id, fault) in faults {
        if let Some(ended) = &fault.ended {
            found.push(unknown(
                NAME,
                format!(
                    "the drill is invalid: fault {id} ({} on {}) ended before it was taken back: {ended}",
                    fault.kind, fault.target
                ),
            ));
            continue;
        }
        if fault.in_effect.is_some() && fault.applying.is_some() {
            continue;
        }
        let why = fault.without_effect.as_ref().or(fault.failed.as_ref());
        let why = why.map_or_else(String::new, |why| format!(": {why}"));
        found.push(unknown(
            NAME,
            format!(
                "the drill is invalid: fault {id} ({} on {}) was never seen in effect{why}",
                fault.kind, fault.target
            ),
        ));
    }
    let asked = case.digest.start.scenario.faults.len();
    if faults.len() < asked {
        let missing = asked - faults.len();
        found.push(unknown(
            NAME,
            format!("the drill is invalid: {missing} of {asked} faults were never applied"),
        ));
    }
    if found.is_empty() {
        found.push(fine(NAME, format!("all {} faults were seen in effect", faults.len())));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Story, verdict_of};
    use drdrill_core::event::Event;
    use drdrill_core::verdict::Verdict;

    #[test]
    fn a_fault_that_was_seen_passes() {
        assert_eq!(verdict_of(super::RULE, &Story::recovered()), Verdict::Pass);
    }

    #[test]
    fn a_fault_that_ended_by_itself_makes_the_drill_unknown() {
        let mut story = Story::recovered();
        let at =
            story.entries.iter().position(|one| matches!(one.event, Event::FaultReverted { .. }));
        let mut entry = story.entries[at.unwrap()].clone();
        entry.event =
            Event::FaultEnded { id: 1, at: entry.at, detail: "packets pass again".to_owned() };
        story.entries.insert(at.unwrap(), entry);
        assert_eq!(verdict_of(super::RULE, &story), Verdict::Unknown);
        let record = crate::judge::judge(&story.entries).unwrap();
        assert_eq!((record.verdict, record.exit_code), (Verdict::Unknown, 11));
        assert!(record.reasons[0].contains("packets pass again"), "{:?}", record.reasons);
    }

    #[test]
    fn a_fault_that_was_never_seen_in_effect_makes_the_drill_unknown() {
        let mut story = Story::recovered();
        story.entries.retain(|entry| !matches!(entry.event, Event::FaultInEffect { .. }));
        assert_eq!(verdict_of(super::RULE, &story), Verdict::Unknown);
        let record = crate::judge::judge(&story.entries).unwrap();
        assert_eq!((record.verdict, record.exit_code), (Verdict::Unknown, 11));
        assert!(record.reasons[0].contains("the drill is invalid"), "{:?}", record.reasons);
    }
}
