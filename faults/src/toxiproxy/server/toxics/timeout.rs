//! `timeout`: no data passes, and after `timeout` milliseconds without any the connection is closed.
//!
//! 0 never closes it. As in the original, the time starts again with each piece of data that arrives, and
//! taking the toxic away closes the connection, because data of it is lost.

use super::{Moment, Schema, Stage, millis};
use crate::toxiproxy::server::plane::{Ending, Item, Queue};

pub(super) const SCHEMA: Schema = Schema {
    kind: "timeout",
    go_struct: "TimeoutToxic",
    go_integer: "int64",
    fields: &["timeout"],
    stage: |values| {
        let mut stage = Timeout::default();
        stage.retune(values);
        Box::new(stage)
    },
};

#[derive(Default)]
struct Timeout {
    quiet_nanos: u64,
    quiet_since: Option<u64>,
    over: bool,
}

impl Stage for Timeout {
    fn advance(
        &mut self,
        moment: &mut Moment<'_>,
        input: &mut Queue,
        output: &mut Queue,
    ) -> Option<u64> {
        self.quiet_since.get_or_insert(moment.now);
        while let Some(item) = input.front() {
            if matches!(item, Item::Data(_)) || self.over {
                self.quiet_since = Some(moment.now);
                input.drop_front();
            } else {
                input.pass_front(moment.now, output);
                self.over = true;
            }
        }
        if self.over || self.quiet_nanos == 0 {
            return None;
        }
        let due = self.quiet_since.unwrap_or(moment.now).saturating_add(self.quiet_nanos);
        if due > moment.now {
            return Some(due);
        }
        self.over = true;
        output.push(Item::End(Ending::Cut));
        None
    }

    fn retune(&mut self, values: &[i64]) {
        if let [timeout] = *values {
            self.quiet_nanos = millis(timeout);
            self.quiet_since = None;
        }
    }

    fn ending_on_removal(&self) -> Option<Ending> {
        Some(Ending::Cut)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testkit::Bench;
    use crate::toxiproxy::server::plane::Ending;

    #[test]
    fn data_is_dropped_and_the_connection_cut() {
        let mut bench = Bench::new("timeout", &[5]);
        assert_eq!(bench.advance(0), Some(5_000_000));
        bench.arrive(1_000_000, b"abc");
        assert_eq!(bench.advance(1_000_000), Some(6_000_000));
        assert_eq!(bench.advance(6_000_000), None);
        assert!(bench.passed().is_empty());
        assert_eq!(bench.ending(), Some(Ending::Cut));
    }

    #[test]
    fn zero_never_closes() {
        let mut bench = Bench::new("timeout", &[0]);
        bench.arrive(0, b"abc");
        assert_eq!(bench.advance(u64::MAX), None);
        assert!(bench.passed().is_empty());
        assert!(bench.ending().is_none());
    }
}
