use super::*;
use crate::testkit::{Case, Fixture};
use std::sync::Arc;

const RETEST: Every = Every { days: 30 };

fn day(text: &str) -> Date {
    text.parse().unwrap()
}

/// A run on a day of November, with these problems.
fn run(id: &str, of_november: u32, verdict: Verdict, keys: &[&str]) -> RunRow {
    let record = Fixture::build(Case::Passed).record;
    let problem = |key: &&str| Problem {
        key: (*key).to_owned(),
        severity: Severity::Critical,
        verdict: Verdict::Fail,
        seen: vec![format!("{key} in {id}")],
        owner: None,
        due: None,
    };
    RunRow {
        run_id: id.to_owned(),
        started: format!("2026-11-{of_november:02}T12:00:00Z").parse().unwrap(),
        verdict,
        problems: keys.iter().map(problem).collect(),
        ..RunRow::of(&record).unwrap()
    }
}

fn at_end(rows: &[RunRow], words: &[Line]) -> Vec<Finding> {
    findings(rows, words, day("2026-11-30"), RETEST).all
}

fn word(finding: &str, of_november: u32, say: Say) -> Line {
    Line {
        at: format!("2026-11-{of_november:02}T15:00:00Z").parse().unwrap(),
        by: "ada".to_owned(),
        finding: finding.to_owned(),
        about: String::new(),
        say,
    }
}

#[test]
fn it_stays_open_until_a_later_drill_of_the_same_kind_passes() {
    let failed = run("a", 1, Verdict::Fail, &["rto"]);
    let again = run("b", 2, Verdict::Fail, &["rto"]);
    let open = at_end(&[failed.clone(), again.clone()], &[]);
    assert_eq!((open.len(), open[0].status), (1, Status::Open));
    assert_eq!(open[0].runs, ["a", "b"]);
    assert_eq!(open[0].seen, ["rto in b"]);
    assert_eq!(open[0].retest_due, Some(day("2026-12-02")));
    // A drill that fails for another reason shows nothing about this one.
    let other = run("c", 3, Verdict::Fail, &["rpo"]);
    let both = at_end(&[failed.clone(), again.clone(), other.clone()], &[]);
    assert_eq!(both.iter().map(|one| one.status).collect::<Vec<_>>(), [Status::Open, Status::Open]);
    // Nor does one on another environment, of another scenario, or an exercise.
    let passed = run("d", 4, Verdict::Pass, &[]);
    let mut elsewhere = passed.clone();
    Arc::make_mut(&mut elsewhere.environment).name = "other".to_owned();
    let mut different = passed.clone();
    Arc::make_mut(&mut different.scenario).name = "other".to_owned();
    let exercise = RunRow { kind: Kind::Tabletop, ..passed.clone() };
    for row in [elsewhere, different, exercise] {
        assert_eq!(at_end(&[failed.clone(), row], &[])[0].status, Status::Open);
    }
    let closed = at_end(&[failed, again, other, passed.clone()], &[]);
    for finding in closed {
        assert_eq!(finding.status, Status::Closed);
        let by = Closed { run_id: Some("d".to_owned()), said: None, at: passed.started };
        assert_eq!((finding.closed, finding.retest_due), (Some(by), None));
    }
}

#[test]
fn the_order_of_the_rows_is_none_and_later_ones_have_not_happened_yet() {
    let rows = [run("b", 20, Verdict::Pass, &[]), run("a", 1, Verdict::Fail, &["rto"])];
    assert_eq!(at_end(&rows, &[])[0].status, Status::Closed);
    let before = findings(&rows, &[], day("2026-11-10"), RETEST).all;
    assert_eq!(before[0].status, Status::Open);
}

#[test]
fn one_that_comes_back_is_a_new_one_and_names_the_old() {
    let rows = [
        run("a", 1, Verdict::Fail, &["rto"]),
        run("b", 2, Verdict::Pass, &[]),
        run("c", 3, Verdict::Fail, &["rto"]),
    ];
    let all = at_end(&rows, &[]);
    assert_eq!((all[0].status, all[1].status), (Status::Open, Status::Closed));
    assert_eq!(all[0].repeats.as_ref(), Some(&all[1].id));
    assert_ne!(all[0].id, all[1].id);
}

#[test]
fn a_warning_of_a_drill_that_passed_is_closed_by_one_that_passes_without_it() {
    let warned = run("a", 1, Verdict::Pass, &["blip"]);
    let again = run("b", 2, Verdict::Pass, &["blip"]);
    let all = at_end(&[warned.clone(), again.clone()], &[]);
    assert_eq!((all.len(), all[0].status), (1, Status::Open));
    let clean = run("c", 3, Verdict::Pass, &[]);
    assert_eq!(at_end(&[warned, again, clean], &[])[0].status, Status::Closed);
}

#[test]
fn what_must_fail_and_what_is_an_experiment_opens_and_closes_none() {
    let failed = run("a", 1, Verdict::Fail, &["rto"]);
    let mut twin = run("b", 2, Verdict::Fail, &["rto"]);
    Arc::make_mut(&mut twin.scenario).must_fail = true;
    let mut tried = run("c", 2, Verdict::Fail, &["rto"]);
    Arc::make_mut(&mut tried.scenario).settings = vec!["failover=none".to_owned()];
    assert_eq!(at_end(&[twin, tried.clone()], &[]), []);
    // An objective that was laid lower for one run was not met.
    let lax = RunRow { verdict: Verdict::Pass, problems: Vec::new(), ..tried };
    assert_eq!(at_end(&[failed, lax], &[])[0].status, Status::Open);
}

#[test]
fn words_are_heard_and_the_later_one_counts() {
    let rows = [run("a", 1, Verdict::Fail, &["rto"])];
    let id = at_end(&rows, &[])[0].id.clone();
    let words = [
        word(&id, 2, Say::Assign { to: "bob".to_owned() }),
        word(&id, 3, Say::Assign { to: "eve".to_owned() }),
        word(&id, 3, Say::Due { on: day("2026-11-20") }),
        word(&id, 4, Say::Cause { text: "cold caches".to_owned() }),
        word(&id, 4, Say::Note { text: "seen before".to_owned() }),
        word("F-gone", 5, Say::Note { text: "of a run that was removed".to_owned() }),
    ];
    let found = findings(&rows, &words, day("2026-11-30"), RETEST);
    let one = &found.all[0];
    assert_eq!(
        (one.owner.as_deref(), one.due, one.overdue),
        (Some("eve"), Some(day("2026-11-20")), true)
    );
    assert_eq!((one.root_cause.as_deref(), one.notes.len()), (Some("cold caches"), 1));
    assert_eq!((found.orphans.len(), found.orphans[0].finding.as_str()), (1, "F-gone"));
    // On the day itself it is not late.
    assert!(!findings(&rows, &words, day("2026-11-20"), RETEST).all[0].overdue);
}

#[test]
fn a_risk_is_accepted_until_a_day_and_no_longer() {
    let rows = [run("a", 1, Verdict::Fail, &["rto"])];
    let id = at_end(&rows, &[])[0].id.clone();
    let accept = Say::Accept {
        by: "Head".to_owned(),
        until: day("2026-11-15"),
        because: "cheap".to_owned(),
    };
    let words = [word(&id, 5, accept)];
    let on = |text| findings(&rows, &words, day(text), RETEST).all[0].status;
    assert_eq!(on("2026-11-04"), Status::Open);
    assert_eq!(on("2026-11-15"), Status::Accepted);
    assert_eq!(on("2026-11-16"), Status::Open);
    let withdrawn = [words[0].clone(), word(&id, 6, Say::Withdraw { because: "lost".to_owned() })];
    let status = findings(&rows, &withdrawn, day("2026-11-10"), RETEST).all[0].status;
    assert_eq!(status, Status::Open);
    // A pass closes it, accepted or not.
    let rows = [rows[0].clone(), run("b", 7, Verdict::Pass, &[])];
    assert_eq!(findings(&rows, &words, day("2026-11-10"), RETEST).all[0].status, Status::Closed);
}

#[test]
fn what_an_exercise_asked_for_is_done_when_somebody_says_so() {
    let exercise = |id, day, keys: &[&str]| RunRow {
        kind: Kind::Tabletop,
        ..run(id, day, Verdict::Pass, keys)
    };
    let rows = [exercise("a", 1, &["action:second router"]), exercise("b", 3, &[])];
    let open = at_end(&rows, &[]);
    assert_eq!(open[0].status, Status::Open);
    let done = [word(&open[0].id, 4, Say::Done { because: "it is there".to_owned() })];
    let closed = &at_end(&rows, &done)[0];
    assert_eq!(closed.status, Status::Closed);
    assert_eq!(closed.closed.as_ref().unwrap().words(), "ada: it is there");
    // What is asked for again was not done.
    let again = [rows[0].clone(), exercise("c", 5, &["action:second router"])];
    assert_eq!(at_end(&again, &done)[0].status, Status::Open);
    // What a drill showed only a drill closes.
    let failed = [run("a", 1, Verdict::Fail, &["rto"])];
    let id = at_end(&failed, &[])[0].id.clone();
    let said = [word(&id, 4, Say::Done { because: "mended".to_owned() })];
    assert_eq!(at_end(&failed, &said)[0].status, Status::Open);
}

#[test]
fn a_drill_that_asks_nothing_of_a_service_closes_no_objective_of_it() {
    let failed = run("a", 1, Verdict::Fail, &["recovery_time:orders"]);
    let passed = run("b", 2, Verdict::Pass, &[]);
    let of = |row: &RunRow| at_end(&[failed.clone(), row.clone()], &[])[0].status;
    assert_eq!(of(&passed), Status::Closed);
    let mut without = passed.clone();
    without.services[0].rto.target_ms = None;
    assert_eq!(of(&without), Status::Open);
    without.services.clear();
    assert_eq!(of(&without), Status::Open);
}

#[test]
fn what_was_said_stays_said_when_an_earlier_run_comes_to_light() {
    let later = run("b", 2, Verdict::Fail, &["rto"]);
    let id = at_end(std::slice::from_ref(&later), &[])[0].id.clone();
    let words = [word(&id, 4, Say::Assign { to: "eve".to_owned() })];
    let found =
        findings(&[run("a", 1, Verdict::Fail, &["rto"]), later], &words, day("2026-11-30"), RETEST);
    assert_ne!(found.all[0].id, id);
    assert_eq!((found.all[0].owner.as_deref(), found.orphans.len()), (Some("eve"), 0));
}

#[test]
fn a_drill_that_does_not_try_a_function_or_judge_a_workload_closes_nothing_of_it() {
    for key in ["functions_work:login", "registers:orders", "bank:orders"] {
        let failed = run("a", 1, Verdict::Fail, &[key]);
        let mut passed = run("b", 2, Verdict::Pass, &[]);
        let of = |row: &RunRow| at_end(&[failed.clone(), row.clone()], &[])[0].status;
        assert_eq!(of(&passed), Status::Open, "{key}");
        passed.looked_at = Arc::new(vec![key.to_owned()]);
        assert_eq!(of(&passed), Status::Closed, "{key}");
    }
}
