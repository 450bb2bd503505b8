use super::*;
use crate::testkit::{Case, Fixture};

/// A service that did not come back while it was watched for so long.
fn never(target_ms: f64, watched_ms: f64) -> String {
    let mut record = Fixture::build(Case::NeverRecovered).record;
    record.services[0].rto.target_ms = Some(target_ms);
    record.services[0].rto.at_least_ms = Some(watched_ms);
    summary(&record)
}

#[test]
fn a_target_that_was_not_watched_for_is_not_called_missed() {
    let text = never(15_000.0, 8_997.0);
    assert!(text.contains("orders was not restored within the 9 s that it was watched"), "{text}");
    assert!(!text.contains("target"), "{text}");
}

#[test]
fn a_target_that_was_watched_for_in_vain_is_missed() {
    let text = never(8_000.0, 8_997.0);
    assert!(text.contains("was not restored within the 9 s that it was watched"), "{text}");
    assert!(text.contains("missing the target of 8 s"), "{text}");
}

#[test]
fn a_service_that_came_back_and_was_not_watched_for_long_enough_is_not_said_to_be_lost() {
    let mut record = Fixture::build(Case::Passed).record;
    record.services[0].rto.at_most_ms = None;
    record.services[0].rto.verdict = Verdict::Unknown;
    let text = summary(&record);
    assert!(text.contains("orders was out for at least 3.47 s"), "{text}");
    assert!(text.contains("whether within the target of 1 h cannot be told"), "{text}");
    assert!(!text.contains("not restored within"), "{text}");
}

#[test]
fn a_service_that_did_not_fail_is_not_said_to_be_restored() {
    let mut record = Fixture::build(Case::Passed).record;
    record.services[0].outage = None;
    record.services[0].rto.at_least_ms = Some(0.0);
    record.services[0].rto.at_most_ms = Some(62.0);
    let text = summary(&record);
    assert!(
        text.contains("orders did not fail as clients see it, or for less than 62 ms;"),
        "{text}"
    );
    assert!(!text.contains("restored"), "{text}");
}
