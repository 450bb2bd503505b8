//! A drill that ended before its end, and a history that was cut off.

use drdrill_core::checker::Finding;

use super::{Rule, fine, unknown, warning};
use crate::judge::case::Case;

const NAME: &str = "complete";

/// The drill went its whole way on a clock that was not moved.
pub(super) const RULE: Rule = Rule::new(NAME, look);

fn look(case: &Case<'_>) -> Vec<Finding> {
    let digest = case.digest;
    let mut found = Vec::new();
    if let Some((_, _, reason)) = &digest.aborted {
        found.push(unknown(NAME, format!("the drill was aborted: {reason}")));
    } else if digest.finished.is_none() {
        found.push(unknown(NAME, "the history was cut off: the drill never finished"));
    } else {
        found.push(fine(NAME, "the drill went its whole way"));
    }
    for (at, by_ns) in &digest.clock_steps {
        found.push(warning(
            NAME,
            format!(
                "the wall clock moved by {} ms at {:.3} s; figures are of the monotonic clock and not touched by it",
                by_ns / 1_000_000,
                at.ms() / 1e3
            ),
        ));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Story, verdict_of};
    use drdrill_core::event::{AbortCause, Event};
    use drdrill_core::verdict::Verdict;

    #[test]
    fn a_whole_drill_passes_even_when_the_clock_was_stepped() {
        let mut story = Story::recovered();
        story.add(4_000, Event::ClockStepped { by_ns: -5_000_000 });
        assert_eq!(verdict_of(super::RULE, &story), Verdict::Pass);
    }

    #[test]
    fn a_history_that_was_cut_off_is_unknown() {
        let mut story = Story::recovered();
        story.entries.retain(|entry| !matches!(entry.event, Event::DrillFinished { .. }));
        assert_eq!(verdict_of(super::RULE, &story), Verdict::Unknown);
    }

    #[test]
    fn an_aborted_drill_has_its_own_exit_code() {
        for (cause, code) in [
            (AbortCause::StopCondition, 15),
            (AbortCause::Operator, 15),
            (AbortCause::Guard, 16),
            (AbortCause::Failure, 11),
        ] {
            let mut story = Story::recovered();
            story.add(9_000, Event::Aborted { cause, reason: "bystander below 99 %".into() });
            let record = crate::judge::judge(&story.entries).unwrap();
            assert_eq!((record.verdict, record.exit_code), (Verdict::Unknown, code), "{cause:?}");
        }
    }
}
