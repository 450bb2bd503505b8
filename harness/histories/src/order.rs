//! Order per key: all clients see the values of a key in the same order, whatever the clock says.
//!
//! It is what replicas that lag must still keep: a client never goes back to an older value, and no two clients see
//! two values in opposite orders. Each value is written once, so that what a client saw first came first; what all
//! clients saw together must have no cycle.

use std::collections::BTreeMap;
use std::fmt;

use drdrill_core::verdict::Verdict;

use crate::operation::{ByKey, Operation, Outcome, Shown};
use crate::registers::EXAMPLES;

/// One client saw one value (read it, or wrote it and was acknowledged), and then another one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Seen {
    /// The operation on the first value; none when it is the state before the first write.
    pub first: Option<Operation>,
    /// The operation on the second value.
    pub then: Operation,
}

/// Orders that contradict each other: each value came before the next one, and the last before the first.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Cycle {
    /// The key.
    pub key: u32,
    /// Who saw what, around the cycle.
    pub seen: Vec<Seen>,
}

/// What is known of the order of values.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct KeyOrder {
    /// How often a client saw one value after another.
    pub steps: usize,
    /// Keys whose values were seen in orders that contradict each other.
    pub failing_keys: usize,
    /// A contradiction of each of the first of them.
    pub cycles: Vec<Cycle>,
}

impl KeyOrder {
    /// Looks through a history, each key on its own. The order in which the operations are given does not matter.
    #[must_use]
    pub fn judge(history: &[Operation]) -> Self {
        let mut found = Self::default();
        for (key, operations) in ByKey::new(history).iter() {
            let steps = steps(operations);
            found.steps += steps.len();
            let Some(seen) = Graph::new(&steps).cycle() else { continue };
            found.failing_keys += 1;
            if found.cycles.len() < EXAMPLES {
                found.cycles.push(Cycle { key, seen });
            }
        }
        found
    }

    /// Fails on a contradiction. When nobody saw one value after another, nothing was looked at.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        if self.failing_keys > 0 {
            Verdict::Fail
        } else if self.steps == 0 {
            Verdict::Unknown
        } else {
            Verdict::Pass
        }
    }
}

/// Each time that a client saw another value than just before. What timed out or failed was not seen, and of two
/// operations of a client at once nobody knows the order.
fn steps(operations: &[&Operation]) -> Vec<Seen> {
    let mut acknowledged: Vec<&Operation> =
        operations.iter().copied().filter(|one| one.outcome == Outcome::Ok).collect();
    acknowledged.sort_unstable_by_key(|one| (one.process, one.rank()));
    let mut steps = Vec::new();
    for own in acknowledged.chunk_by(|a, b| a.process == b.process) {
        let mut last: Option<&Operation> = None;
        for &next in own {
            match last {
                Some(before) if !before.precedes(next) => continue,
                Some(before) if before.value() != next.value() => {
                    steps.push(Seen { first: Some(*before), then: *next });
                }
                _ => {}
            }
            last = Some(next);
        }
    }
    steps
}

/// Values, and which came directly before which.
struct Graph(BTreeMap<Option<u64>, BTreeMap<Option<u64>, Seen>>);

impl Graph {
    fn new(steps: &[Seen]) -> Self {
        let mut graph = Self(BTreeMap::new());
        for step in steps {
            graph.add(step.first.and_then(|first| first.value()), step);
        }
        // What is seen before the first write came before everything.
        if graph.0.values().any(|later| later.contains_key(&None)) {
            let mut earliest: BTreeMap<u64, &Operation> = BTreeMap::new();
            for one in steps.iter().flat_map(|step| step.first.iter().chain([&step.then])) {
                let Some(value) = one.value() else { continue };
                let known = earliest.entry(value).or_insert(one);
                if one.rank() < known.rank() {
                    *known = one;
                }
            }
            for one in earliest.into_values() {
                graph.add(None, &Seen { first: None, then: *one });
            }
        }
        graph
    }

    /// Keeps the step that stands first in an order of their own.
    fn add(&mut self, from: Option<u64>, step: &Seen) {
        let rank = |seen: &Seen| {
            (seen.first.is_none(), seen.then.rank(), seen.first.map(|one| one.rank()))
        };
        let known = self.0.entry(from).or_default().entry(step.then.value()).or_insert(*step);
        if rank(step) < rank(known) {
            *known = *step;
        }
    }

    /// A shortest cycle through the smallest value that lies on one.
    fn cycle(mut self) -> Option<Vec<Seen>> {
        // Nothing comes after a value without later ones: it is on no cycle. Nor are those with only such later ones.
        let mut earlier: BTreeMap<Option<u64>, Vec<Option<u64>>> = BTreeMap::new();
        for (from, later) in &self.0 {
            for to in later.keys() {
                earlier.entry(*to).or_default().push(*from);
            }
        }
        let mut ends: Vec<Option<u64>> =
            earlier.keys().filter(|value| !self.0.contains_key(*value)).copied().collect();
        while let Some(end) = ends.pop() {
            for from in earlier.get(&end).into_iter().flatten() {
                let Some(later) = self.0.get_mut(from) else { continue };
                later.remove(&end);
                if later.is_empty() {
                    self.0.remove(from);
                    ends.push(*from);
                }
            }
        }
        self.0.keys().find_map(|start| self.back_to(*start))
    }

    /// The shortest way from a value to itself.
    fn back_to(&self, start: Option<u64>) -> Option<Vec<Seen>> {
        let mut reached: BTreeMap<Option<u64>, (Option<u64>, Seen)> = BTreeMap::new();
        let mut edge = vec![start];
        while !edge.is_empty() && !reached.contains_key(&start) {
            let mut next = Vec::new();
            for from in edge {
                for (to, seen) in self.0.get(&from).into_iter().flatten() {
                    reached.entry(*to).or_insert_with(|| {
                        next.push(*to);
                        (from, *seen)
                    });
                }
            }
            edge = next;
        }
        let mut way = Vec::new();
        let mut at = start;
        loop {
            let (from, seen) = reached.get(&at)?;
            way.push(*seen);
            at = *from;
            if at == start {
                way.reverse();
                return Some(way);
            }
        }
    }
}

impl fmt::Display for Cycle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "key {}: ", self.key)?;
        for (index, Seen { first, then }) in self.seen.iter().enumerate() {
            if index > 0 {
                f.write_str("; ")?;
            }
            let before = Shown(first.and_then(|first| first.value()));
            write!(f, "{before} came before {} (", Shown(then.value()))?;
            match first {
                Some(first) => write!(f, "{first}, then {then})")?,
                None => f.write_str("it was there before the first write)")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use drdrill_core::time::At;

    use super::*;
    use crate::operation::Access;

    fn one(process: u32, access: Access, sent: u64) -> Operation {
        let (sent, done) = (At(sent), At(sent + 1));
        Operation { process, key: 0, access, sent, done, outcome: Outcome::Ok }
    }

    fn read(process: u32, value: u64, sent: u64) -> Operation {
        one(process, Access::Read(Some(value)), sent)
    }

    fn write(process: u32, value: u64, sent: u64) -> Operation {
        one(process, Access::Write(value), sent)
    }

    #[test]
    fn clients_that_see_the_same_order_pass_however_late_they_are() {
        let history = [
            write(0, 1, 0),
            write(0, 2, 10),
            read(1, 1, 20),
            read(1, 2, 30),
            one(2, Access::Read(None), 40),
            read(2, 1, 50),
        ];
        assert_eq!(KeyOrder::judge(&history).verdict(), Verdict::Pass);
    }

    #[test]
    fn opposite_orders_fail_and_show_who_saw_what() {
        let history = [read(1, 1, 0), read(1, 2, 10), read(2, 2, 0), read(2, 1, 10)];
        let found = KeyOrder::judge(&history);
        assert_eq!((found.verdict(), found.failing_keys), (Verdict::Fail, 1));
        assert_eq!(
            found.cycles[0].to_string(),
            "key 0: 1 came before 2 (process 1 read 1 from 0.000000 to 0.000001 ms, then process 1 read 2 from \
             0.000010 to 0.000011 ms); 2 came before 1 (process 2 read 2 from 0.000000 to 0.000001 ms, then process \
             2 read 1 from 0.000010 to 0.000011 ms)"
        );
    }

    #[test]
    fn a_client_that_goes_back_fails() {
        let history = [read(1, 1, 0), read(1, 2, 10), read(1, 1, 20)];
        assert_eq!(KeyOrder::judge(&history).verdict(), Verdict::Fail);
        let own_write = [read(1, 1, 0), write(1, 2, 10), read(1, 1, 20)];
        assert_eq!(KeyOrder::judge(&own_write).verdict(), Verdict::Fail);
    }

    #[test]
    fn a_client_that_goes_back_to_nothing_fails() {
        let history = [read(1, 1, 0), one(1, Access::Read(None), 10)];
        let found = KeyOrder::judge(&history);
        assert_eq!(found.verdict(), Verdict::Fail);
        assert_eq!(found.cycles[0].seen.len(), 2);
    }

    #[test]
    fn one_operation_a_client_is_unknown() {
        assert_eq!(KeyOrder::judge(&[]).verdict(), Verdict::Unknown);
        assert_eq!(KeyOrder::judge(&[write(0, 1, 0), read(1, 1, 5)]).verdict(), Verdict::Unknown);
    }

    #[test]
    fn what_timed_out_orders_nothing() {
        let maybe = Operation { outcome: Outcome::Indeterminate, ..write(1, 1, 0) };
        let history = [maybe, write(1, 2, 10), read(1, 1, 20), read(2, 2, 0), read(2, 1, 10)];
        assert_eq!(KeyOrder::judge(&history).verdict(), Verdict::Pass);
    }

    #[test]
    fn operations_of_a_client_at_once_order_nothing() {
        let mut long = read(1, 1, 0);
        long.done = At(100);
        let history = [long, read(1, 2, 10), read(2, 2, 0), read(2, 1, 10)];
        assert_eq!(KeyOrder::judge(&history).verdict(), Verdict::Pass);
    }

    #[test]
    fn a_cycle_over_three_clients_is_found() {
        let history = [
            read(1, 1, 0),
            read(1, 2, 10),
            read(2, 2, 0),
            read(2, 3, 10),
            read(3, 3, 0),
            read(3, 1, 10),
        ];
        let found = KeyOrder::judge(&history);
        assert_eq!(found.cycles[0].seen.len(), 3);
    }
}
