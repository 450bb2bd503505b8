use drdrill_core::verdict::Verdict;

use super::{Books, Class};
use crate::operation::Outcome;

fn written(acknowledged: impl IntoIterator<Item = u64>) -> Books {
    let mut books = Books::default();
    for id in acknowledged {
        books.write(id, Outcome::Ok);
    }
    books
}

fn read(books: &mut Books, present: impl IntoIterator<Item = u64>) -> Vec<u64> {
    let mut reading = books.reading();
    for id in present {
        reading.found(id, true);
    }
    reading.end();
    books.lost().to_vec()
}

fn class(ids: &[u64]) -> Class {
    Class { count: ids.len() as u64, first: ids.to_vec() }
}

#[test]
fn writes_that_are_all_there_pass() {
    let mut books = written(0..100);
    assert!(read(&mut books, 0..100).is_empty());
    let tally = books.tally();
    assert_eq!((tally.verdict(), tally.acknowledged), (Verdict::Pass, 100));
}

#[test]
fn each_kind_of_wrong_write_fails_and_is_named() {
    let mut books = written(0..100);
    books.write(100, Outcome::Failed);
    let mut reading = books.reading();
    for id in (0..102).filter(|id| *id != 7 && *id != 9) {
        reading.found(id, id != 30);
    }
    reading.found(20, true);
    reading.stray("w-abc");
    reading.end();
    assert_eq!(books.lost(), [7, 9]);
    let tally = books.tally();
    assert_eq!(tally.verdict(), Verdict::Fail);
    assert_eq!(tally.lost, class(&[7, 9]));
    assert_eq!(tally.duplicate, class(&[20]));
    assert_eq!(tally.corrupt, class(&[30]));
    assert_eq!((tally.refused.clone(), tally.unsent.clone()), (class(&[100]), class(&[101])));
    assert_eq!(tally.phantoms(), 3);
}

#[test]
fn nothing_read_back_or_nothing_acknowledged_is_unknown() {
    assert_eq!(written(0..5).tally().verdict(), Verdict::Unknown);
    let mut books = Books::default();
    books.write(1, Outcome::Indeterminate);
    read(&mut books, []);
    assert_eq!(books.tally().verdict(), Verdict::Unknown);
}

#[test]
fn a_write_of_unknown_outcome_may_be_there_or_not() {
    let mut books = written([0]);
    books.write(1, Outcome::Indeterminate);
    books.write(2, Outcome::Indeterminate);
    read(&mut books, [0, 1]);
    let tally = books.tally();
    assert_eq!((tally.verdict(), tally.recovered, tally.unresolved), (Verdict::Pass, 1, 1));
}

#[test]
fn what_is_missed_and_comes_back_is_resurrected() {
    let mut books = written(0..5);
    assert_eq!(read(&mut books, [0, 1, 2, 4]), [3]);
    assert_eq!(books.tally().lost, class(&[3]));
    assert!(read(&mut books, 0..5).is_empty());
    let tally = books.tally();
    assert_eq!((tally.verdict(), tally.resurrected.clone()), (Verdict::Fail, class(&[3])));
    assert_eq!(tally.lost, class(&[]));
}

#[test]
fn a_reading_says_nothing_of_what_was_acknowledged_after_it_began() {
    let mut books = written([0]);
    assert!(read(&mut books, [0, 1]).is_empty());
    // 1 was under way then; 2 was sent later.
    books.write(1, Outcome::Ok);
    books.write(2, Outcome::Ok);
    let tally = books.tally();
    assert_eq!((tally.verdict(), tally.acknowledged), (Verdict::Pass, 1));
    assert_eq!((tally.unsent.count, tally.lost.count), (0, 0));
}

#[test]
fn a_write_that_is_read_twice_is_no_duplicate() {
    let mut books = written(0..3);
    read(&mut books, 0..3);
    read(&mut books, 0..3);
    assert_eq!(books.tally().verdict(), Verdict::Pass);
}

#[test]
fn a_retry_counts_by_its_best_outcome() {
    let mut books = Books::default();
    for outcome in [Outcome::Indeterminate, Outcome::Ok, Outcome::Failed, Outcome::Ok] {
        books.write(1, outcome);
    }
    assert_eq!(read(&mut books, []), [1]);
    assert_eq!(books.tally().acknowledged, 1);
}

#[test]
fn ids_may_be_anything() {
    let mut books = written([u64::MAX, 1 << 40, 3]);
    assert_eq!(read(&mut books, [3, u64::MAX]), [1 << 40]);
    assert!(books.holds(u64::MAX) && !books.holds(1 << 40));
}
