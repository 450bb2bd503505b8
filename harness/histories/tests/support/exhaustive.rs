//! Linearizability of one register by trying every order: the truth for small histories.
//!
//! As J. M. Wing and C. Gong, "Testing and Verifying Concurrent Objects", 1993, with G. Lowe's memory of what was
//! tried ("Testing for linearizability", 2017). It knows nothing of zones.

use std::collections::HashSet;

use drdrill_histories::{Access, Operation, Outcome};

/// Whether some order of the operations, each within its time, explains all answers. At most 64 operations, one key.
pub(crate) fn is_linearizable(history: &[Operation]) -> bool {
    let relevant = |one: &&Operation| {
        let writes = matches!(one.access, Access::Write(_));
        one.is_ok() || writes && one.outcome == Outcome::Indeterminate
    };
    let operations: Vec<Operation> = history.iter().filter(relevant).copied().collect();
    assert!(operations.len() <= 64, "this checker is for small histories");
    Search { operations: &operations, tried: HashSet::new() }.go(0, None)
}

struct Search<'a> {
    operations: &'a [Operation],
    tried: HashSet<(u64, Option<u64>)>,
}

impl Search<'_> {
    /// Whether the rest can follow, with the operations of `placed` done and `value` in the register.
    fn go(&mut self, placed: u64, value: Option<u64>) -> bool {
        let open = |index: usize| placed & (1 << index) == 0;
        let mut left = (0..self.operations.len()).filter(|index| open(*index));
        // What is indeterminate may never have happened.
        if left.all(|index| !self.operations[index].is_ok()) {
            return true;
        }
        if !self.tried.insert((placed, value)) {
            return false;
        }
        for (index, next) in self.operations.iter().enumerate().filter(|(index, _)| open(*index)) {
            // Nothing that is still open may have ended before this one began.
            let mut others = self.operations.iter().enumerate().filter(|(other, _)| open(*other));
            if others.any(|(_, other)| other.is_ok() && other.done < next.sent) {
                continue;
            }
            let after = match next.access {
                Access::Write(written) => Some(written),
                Access::Read(seen) if seen == value => value,
                Access::Read(_) => continue,
            };
            if self.go(placed | (1 << index), after) {
                return true;
            }
        }
        false
    }
}
