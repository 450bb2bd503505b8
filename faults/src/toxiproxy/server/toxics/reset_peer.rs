//! `reset_peer`: `timeout` milliseconds after the first data (or the end) arrives, both peers get a reset.
//!
//! Unlike the original, which prepares the sockets when the connection starts, this resets connections that
//! were there before the toxic, too. Data that waits for the reset flows on if the toxic is removed before.

use super::{Moment, Schema, Stage, millis};
use crate::toxiproxy::server::plane::{Ending, Item, Queue};

pub(super) const SCHEMA: Schema = Schema {
    kind: "reset_peer",
    go_struct: "ResetToxic",
    go_integer: "int64",
    fields: &["timeout"],
    stage: |values| {
        let mut stage = ResetPeer::default();
        stage.retune(values);
        Box::new(stage)
    },
};

#[derive(Default)]
struct ResetPeer {
    timeout_nanos: u64,
    triggered_at: Option<u64>,
    over: bool,
}

impl Stage for ResetPeer {
    fn advance(
        &mut self,
        moment: &mut Moment<'_>,
        input: &mut Queue,
        output: &mut Queue,
    ) -> Option<u64> {
        input.front()?;
        if self.over {
            return None;
        }
        let triggered_at = *self.triggered_at.get_or_insert(moment.now);
        let due = triggered_at.saturating_add(self.timeout_nanos);
        if due > moment.now {
            return Some(due);
        }
        self.over = true;
        output.push(Item::End(Ending::Reset));
        None
    }

    fn retune(&mut self, values: &[i64]) {
        if let [timeout] = *values {
            self.timeout_nanos = millis(timeout);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testkit::Bench;
    use crate::toxiproxy::server::plane::Ending;

    #[test]
    fn nothing_happens_before_the_first_data() {
        let mut bench = Bench::new("reset_peer", &[2]);
        assert_eq!(bench.advance(u64::MAX / 2), None);
        assert!(bench.ending().is_none());
    }

    #[test]
    fn the_reset_comes_a_timeout_after_the_first_data() {
        let mut bench = Bench::new("reset_peer", &[2]);
        bench.arrive(0, b"abc");
        assert_eq!(bench.advance(10), Some(2_000_010));
        assert_eq!(bench.advance(2_000_010), None);
        assert!(bench.passed().is_empty());
        assert_eq!(bench.ending(), Some(Ending::Reset));
    }
}
