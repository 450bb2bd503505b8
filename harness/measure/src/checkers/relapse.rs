//! A service that was restored must stay so until the drill takes its faults back.

use drdrill_core::checker::Finding;

use super::{Rule, critical, fine, warning};
use crate::judge::baseline::TOLERATED;
use crate::judge::case::Case;
use crate::judge::recovery::Recovery;
use crate::judge::shots::{Shot, ratio};
use crate::judge::text::percent;

const NAME: &str = "stays_restored";

/// Between the end of the sustained window of the service's last stream and the undo, not more than 1 % of the attempts
/// fail: as many as a healthy baseline may have. A stream that the fault did not touch may still be interrupted by the
/// failover that the others need.
pub(super) const RULE: Rule = Rule::new(NAME, look);

fn look(case: &Case<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    for service in &case.services {
        let ends = service.headline().into_iter().map(|story| last_window(&story.recoveries));
        // One that never was restored is the recovery time's business.
        let Some(window_end) =
            ends.collect::<Option<Vec<_>>>().and_then(|all| all.into_iter().max())
        else {
            continue;
        };
        for story in service.headline() {
            let name = &story.stream.facts.name;
            let after = story
                .stream
                .shots
                .iter()
                .copied()
                .filter(|shot| shot.sent > window_end && shot.sent <= case.waiting.until);
            let (failed, usable) = count(after);
            if failed == 0 {
                continue;
            }
            let text = format!(
                "{} ({name}): {failed} of {usable} attempts failed after the service had been restored and \
                 sustained",
                service.facts.name
            );
            found.push(if failed > 1 && ratio(failed, usable) > TOLERATED {
                critical(NAME, format!("{text}, more than {}", percent(TOLERATED)))
            } else {
                warning(NAME, text)
            });
        }
    }
    if found.is_empty() {
        found.push(fine(NAME, "nothing failed again after it was restored"));
    }
    found
}

fn last_window<T, U>(recoveries: &[(T, Recovery, U)]) -> Option<drdrill_core::time::At> {
    let ends = recoveries.iter().map(|(_, recovery, _)| match recovery {
        Recovery::Unharmed { window_end, .. } | Recovery::Restored { window_end, .. } => {
            Some(*window_end)
        }
        _ => None,
    });
    ends.collect::<Option<Vec<_>>>()?.into_iter().max()
}

fn count(shots: impl Iterator<Item = Shot>) -> (u64, u64) {
    shots.fold((0, 0), |(failed, usable), shot| {
        let failure = u64::from(shot.is_failure());
        (failed + failure, usable + failure + u64::from(shot.is_ok()))
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Story, facts, started, targets, verdict_of};
    use drdrill_core::probe::Purpose;
    use drdrill_core::sample::Outcome;
    use drdrill_core::time::At;
    use drdrill_core::verdict::Verdict;

    fn failing_again(from: u64, to: u64) -> Story {
        let mut story = Story::recovered();
        story.samples(|sample| {
            if sample.sent >= At::from_millis(from) && sample.sent < At::from_millis(to) {
                sample.outcome = Outcome::Failed("refused".into());
            }
        });
        story
    }

    #[test]
    fn a_service_that_stays_passes() {
        assert_eq!(verdict_of(super::RULE, &Story::recovered()), Verdict::Pass);
    }

    #[test]
    fn a_single_blip_in_the_soak_is_a_warning() {
        assert_eq!(verdict_of(super::RULE, &failing_again(9_000, 9_010)), Verdict::Pass);
    }

    /// Writes that were good after the fault until they had to wait for the repair of what is read.
    fn waits_for_the_repair(read_back_at: u64) -> Verdict {
        let mut story = Story::bare(true);
        let streams = vec![facts(0, "write", Purpose::Write), facts(1, "read", Purpose::Read)];
        story.entries[0].event = started(streams, targets(), true);
        story.stream(0, |ms| !(7_000..8_000).contains(&ms));
        story.stream(1, |ms| !(5_001..read_back_at).contains(&ms));
        story.fault();
        story.read_back();
        verdict_of(super::RULE, &story)
    }

    #[test]
    fn a_stream_that_waits_for_the_repair_of_another_has_not_relapsed() {
        assert_eq!(waits_for_the_repair(8_100), Verdict::Pass);
        // What is read was back before the writes went away.
        assert_eq!(waits_for_the_repair(5_500), Verdict::Fail);
    }

    #[test]
    fn a_stream_that_the_fault_spared_may_be_interrupted_until_the_others_are_back() {
        for (from, to, verdict) in [(6_500, 6_700, Verdict::Pass), (9_000, 9_500, Verdict::Fail)] {
            let mut story = Story::recovered();
            let streams = vec![facts(0, "write", Purpose::Write), facts(1, "read", Purpose::Read)];
            story.entries[0].event = started(streams, targets(), true);
            story.stream(1, |ms| !(from..to).contains(&ms));
            assert_eq!(verdict_of(super::RULE, &story), verdict, "from {from}");
        }
    }

    #[test]
    fn a_second_outage_in_the_soak_fails() {
        assert_eq!(verdict_of(super::RULE, &failing_again(9_000, 9_500)), Verdict::Fail);
    }
}
