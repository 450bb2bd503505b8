//! `limit_data`: after `bytes` bytes the connection is closed. The rest is lost.

use super::{Moment, Schema, Stage};
use crate::toxiproxy::server::plane::{Ending, Item, Queue};

pub(super) const SCHEMA: Schema = Schema {
    kind: "limit_data",
    go_struct: "LimitDataToxic",
    go_integer: "int64",
    fields: &["bytes"],
    stage: |values| {
        let mut stage = LimitData::default();
        stage.retune(values);
        Box::new(stage)
    },
};

#[derive(Default)]
struct LimitData {
    limit_bytes: usize,
    passed_bytes: usize,
    over: bool,
}

impl Stage for LimitData {
    fn advance(
        &mut self,
        moment: &mut Moment<'_>,
        input: &mut Queue,
        output: &mut Queue,
    ) -> Option<u64> {
        while output.has_room() || self.over {
            let length = match input.front()? {
                Item::Data(chunk) => chunk.data.len(),
                Item::End(_) => 0,
            };
            if self.over {
                input.drop_front();
            } else if length == 0 {
                input.pass_front(moment.now, output);
                self.over = true;
            } else {
                let passing = length.min(self.limit_bytes.saturating_sub(self.passed_bytes));
                input.pass_bytes(passing, moment.now, output);
                self.passed_bytes += passing;
                if self.passed_bytes >= self.limit_bytes {
                    output.push(Item::End(Ending::Cut));
                    self.over = true;
                }
            }
        }
        None
    }

    /// Bytes that passed before the change count.
    fn retune(&mut self, values: &[i64]) {
        if let [bytes] = *values {
            self.limit_bytes = usize::try_from(bytes).unwrap_or(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testkit::Bench;
    use crate::toxiproxy::server::plane::Ending;

    #[test]
    fn exactly_the_limit_passes_and_then_the_end() {
        let mut bench = Bench::new("limit_data", &[5]);
        bench.arrive(0, b"abc");
        bench.advance(0);
        assert!(bench.ending().is_none());
        bench.arrive(1, b"defgh");
        bench.advance(1);
        assert_eq!(bench.passed().concat(), b"abcde");
        assert_eq!(bench.ending(), Some(Ending::Cut));
    }

    #[test]
    fn a_limit_of_zero_ends_at_the_first_data() {
        let mut bench = Bench::new("limit_data", &[0]);
        bench.advance(0);
        assert!(bench.ending().is_none());
        bench.arrive(0, b"abc");
        bench.advance(0);
        assert!(bench.passed().is_empty());
        assert_eq!(bench.ending(), Some(Ending::Cut));
    }

    #[test]
    fn a_raised_limit_counts_what_has_passed() {
        let mut bench = Bench::new("limit_data", &[5]);
        bench.arrive(0, b"abc");
        bench.advance(0);
        bench.retune(&[7]);
        bench.arrive(1, b"defghijk");
        bench.advance(1);
        assert_eq!(bench.passed().concat(), b"abcdefg");
    }
}
