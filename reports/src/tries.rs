//! Functionality checks that were tried again and again: the last try says what came of it.

use drdrill_core::record::{Functionality, Record};

/// The last try of each check at each moment, and how many there were of it.
pub(crate) fn last_tries(record: &Record) -> Vec<(&Functionality, usize)> {
    let mut last: Vec<(&Functionality, usize)> = Vec::new();
    for check in &record.functionality {
        let same = |(one, _): &&mut (&Functionality, usize)| {
            (&one.name, one.when) == (&check.name, check.when)
        };
        match last.iter_mut().find(same) {
            Some((one, tries)) => (*one, *tries) = (check, *tries + 1),
            None => last.push((check, 1)),
        }
    }
    last
}

#[cfg(test)]
mod tests {
    use drdrill_core::verdict::Verdict;

    use super::*;
    use crate::testkit::{Case, Fixture};

    #[test]
    fn what_failed_and_worked_later_works() {
        let mut record = Fixture::build(Case::Passed).record;
        let before = last_tries(&record).len();
        let mut again = record.functionality[0].clone();
        record.functionality[0].outcome = Verdict::Fail;
        again.detail = "works now".to_owned();
        record.functionality.push(again);
        let last = last_tries(&record);
        assert_eq!(last.len(), before);
        let (check, tries) = last[0];
        assert_eq!((check.outcome, check.detail.as_str(), tries), (Verdict::Pass, "works now", 2));
    }
}
