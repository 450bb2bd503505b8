use drdrill_core::time::At;
use drdrill_core::verdict::Verdict;

use super::{Reason, Registers, Trouble};
use crate::operation::{Access, Operation, Outcome};

fn operation(access: Access, sent: u64, done: u64) -> Operation {
    Operation { process: 0, key: 0, access, sent: At(sent), done: At(done), outcome: Outcome::Ok }
}

fn write(value: u64, sent: u64, done: u64) -> Operation {
    operation(Access::Write(value), sent, done)
}

fn read(value: u64, sent: u64, done: u64) -> Operation {
    operation(Access::Read(Some(value)), sent, done)
}

fn read_nothing(sent: u64, done: u64) -> Operation {
    operation(Access::Read(None), sent, done)
}

fn maybe(operation: Operation) -> Operation {
    Operation { outcome: Outcome::Indeterminate, ..operation }
}

fn failed(operation: Operation) -> Operation {
    Operation { outcome: Outcome::Failed, ..operation }
}

#[track_caller]
fn verdict(history: &[Operation]) -> Verdict {
    Registers::judge(history).verdict()
}

#[track_caller]
fn reason(history: &[Operation]) -> Reason {
    let found = Registers::judge(history);
    assert_eq!(found.verdict(), Verdict::Fail, "{found:?}");
    found.violations[0].reason
}

#[test]
fn reads_that_follow_the_writes_pass() {
    let history =
        [read_nothing(0, 1), write(1, 2, 5), read(1, 6, 7), write(2, 8, 9), read(2, 10, 11)];
    assert_eq!(verdict(&history), Verdict::Pass);
}

#[test]
fn a_stale_read_fails_and_names_the_operations_that_conflict() {
    let history = [write(1, 0, 1), write(2, 2, 3), read(1, 4, 5)];
    let found = Registers::judge(&history);
    assert_eq!((found.verdict(), found.failing_keys), (Verdict::Fail, 1));
    assert_eq!(
        found.violations[0].to_string(),
        "key 0: 1 came before 2 (process 0 wrote 1 from 0.000000 to 0.000001 ms, then process 0 wrote 2 from \
         0.000002 to 0.000003 ms) and 2 came before 1 (process 0 wrote 2 from 0.000002 to 0.000003 ms, then \
         process 0 read 1 from 0.000004 to 0.000005 ms)"
    );
}

#[test]
fn nothing_read_is_unknown() {
    assert_eq!(verdict(&[]), Verdict::Unknown);
    assert_eq!(verdict(&[write(1, 0, 1)]), Verdict::Unknown);
    assert_eq!(verdict(&[write(1, 0, 1), maybe(read(1, 2, 3))]), Verdict::Unknown);
}

#[test]
fn a_value_written_twice_makes_its_key_unknown_and_no_other() {
    let twice = [write(1, 0, 1), write(1, 2, 3), read(1, 4, 5)];
    let found = Registers::judge(&twice);
    assert_eq!(found.verdict(), Verdict::Unknown);
    assert_eq!(found.troubles, [(0, Trouble::Repeated { value: 1 })]);
    let elsewhere = twice.map(|one| Operation { key: 7, ..one });
    let stale = [write(1, 0, 1), write(2, 2, 3), read(1, 4, 5)];
    let found = Registers::judge(&[elsewhere, stale].concat());
    assert_eq!((found.verdict(), found.failing_keys, found.unjudged_keys), (Verdict::Fail, 1, 1));
}

#[test]
fn an_operation_that_ends_before_it_begins_is_unknown() {
    let odd = read(1, 9, 8);
    let found = Registers::judge(&[write(1, 0, 1), odd]);
    assert_eq!(found.verdict(), Verdict::Unknown);
    assert_eq!(found.troubles, [(0, Trouble::Backwards(odd))]);
}

#[test]
fn what_a_timed_out_write_may_explain_is_no_violation() {
    // It took effect long after its client gave up.
    let late = [write(1, 0, 1), maybe(write(2, 2, 3)), read(1, 4, 5), read(2, 6, 7)];
    assert_eq!(verdict(&late), Verdict::Pass);
    // But it cannot have taken effect and be undone again.
    let undone = [write(1, 0, 1), maybe(write(2, 2, 3)), read(2, 4, 5), read(1, 6, 7)];
    assert!(matches!(reason(&undone), Reason::Crossed { .. }));
    // Nobody saw it: it may never have happened.
    let unseen = [write(1, 0, 1), maybe(write(2, 2, 3)), read(1, 4, 5)];
    assert_eq!(verdict(&unseen), Verdict::Pass);
}

#[test]
fn a_read_of_what_nobody_wrote_fails() {
    let phantom = [write(1, 0, 1), read(9, 2, 3)];
    assert_eq!(reason(&phantom), Reason::NeverWritten { read: read(9, 2, 3) });
    let refused = failed(write(9, 0, 1));
    assert_eq!(
        reason(&[refused, read(9, 2, 3)]),
        Reason::WriteFailed { read: read(9, 2, 3), write: refused }
    );
}

#[test]
fn a_read_from_the_future_fails() {
    let history = [read(1, 0, 1), write(1, 2, 3)];
    assert_eq!(
        reason(&history),
        Reason::BeforeItsWrite { read: read(1, 0, 1), write: write(1, 2, 3) }
    );
}

#[test]
fn nothing_read_after_a_write_was_acknowledged_fails() {
    let history = [write(1, 0, 1), read_nothing(2, 3)];
    assert!(matches!(reason(&history), Reason::Crossed { early: None, .. }));
    let shown = Registers::judge(&history).violations[0].to_string();
    assert!(
        shown.starts_with("key 0: nothing came before 1 (it was there before the first write"),
        "{shown}"
    );
}

#[test]
fn operations_that_touch_are_not_in_order() {
    assert_eq!(verdict(&[write(1, 0, 5), read_nothing(5, 6)]), Verdict::Pass);
    assert_eq!(verdict(&[write(1, 0, 5), read_nothing(6, 7)]), Verdict::Fail);
}

#[test]
fn two_values_that_readers_see_in_both_orders_fail() {
    let history =
        [write(1, 0, 100), write(2, 0, 100), read(1, 10, 11), read(2, 20, 21), read(1, 30, 31)];
    assert!(matches!(reason(&history), Reason::Crossed { .. }));
}
