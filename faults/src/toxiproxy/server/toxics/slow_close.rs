//! `slow_close`: the end of a stream arrives `delay` milliseconds later.

use super::{Moment, Schema, Stage, millis};
use crate::toxiproxy::server::plane::{Item, Queue};

pub(super) const SCHEMA: Schema = Schema {
    kind: "slow_close",
    go_struct: "SlowCloseToxic",
    go_integer: "int64",
    fields: &["delay"],
    stage: |values| {
        let mut stage = SlowClose::default();
        stage.retune(values);
        Box::new(stage)
    },
};

#[derive(Default)]
struct SlowClose {
    delay_nanos: u64,
    /// When the end reached this stage.
    ended_at: Option<u64>,
}

impl Stage for SlowClose {
    fn advance(
        &mut self,
        moment: &mut Moment<'_>,
        input: &mut Queue,
        output: &mut Queue,
    ) -> Option<u64> {
        while output.has_room() {
            if let Item::End(_) = input.front()? {
                let ended_at = *self.ended_at.get_or_insert(moment.now);
                let due = ended_at.saturating_add(self.delay_nanos);
                if due > moment.now {
                    return Some(due);
                }
            }
            input.pass_front(moment.now, output);
        }
        None
    }

    fn retune(&mut self, values: &[i64]) {
        if let [delay] = *values {
            self.delay_nanos = millis(delay);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testkit::Bench;

    #[test]
    fn data_passes_at_once_and_the_end_waits() {
        let mut bench = Bench::new("slow_close", &[3]);
        bench.arrive(0, b"abc");
        bench.close();
        assert_eq!(bench.advance(10), Some(3_000_010));
        assert_eq!(bench.passed(), [b"abc".to_vec()]);
        assert!(bench.ending().is_none());
        assert_eq!(bench.advance(3_000_010), None);
        assert!(bench.ending().is_some());
    }
}
