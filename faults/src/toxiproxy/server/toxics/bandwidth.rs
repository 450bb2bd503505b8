//! `bandwidth`: data passes at `rate` kilobytes per second, a kilobyte being 1,000 bytes.
//!
//! Data passes when its last byte has: large pieces are cut so that something passes every 100 ms. A rate of 0
//! lets no data pass, as in the original.

use super::{Moment, Schema, Stage};
use crate::toxiproxy::server::plane::{Item, Queue};

pub(super) const SCHEMA: Schema = Schema {
    kind: "bandwidth",
    go_struct: "BandwidthToxic",
    go_integer: "int64",
    fields: &["rate"],
    stage: |values| {
        let mut stage = Bandwidth::default();
        stage.retune(values);
        Box::new(stage)
    },
};

/// Bytes that pass in 100 ms, for each kilobyte per second.
const BYTES_PER_PIECE: u64 = 100;

#[derive(Default)]
struct Bandwidth {
    kilobytes_per_second: u64,
    /// When the last byte so far had passed.
    free_at: u64,
}

impl Stage for Bandwidth {
    fn advance(
        &mut self,
        moment: &mut Moment<'_>,
        input: &mut Queue,
        output: &mut Queue,
    ) -> Option<u64> {
        while output.has_room() {
            match input.front()? {
                Item::Data(_) if self.kilobytes_per_second == 0 => return None,
                Item::Data(chunk) => {
                    let largest = self.kilobytes_per_second.saturating_mul(BYTES_PER_PIECE);
                    let length =
                        chunk.data.len().min(usize::try_from(largest).unwrap_or(usize::MAX));
                    let nanos =
                        (length as u64).saturating_mul(1_000_000) / self.kilobytes_per_second;
                    let due = self.free_at.max(chunk.at).saturating_add(nanos);
                    if due > moment.now {
                        return Some(due);
                    }
                    self.free_at = due;
                    input.pass_bytes(length, due, output);
                }
                Item::End(_) => input.pass_front(moment.now, output),
            }
        }
        None
    }

    fn retune(&mut self, values: &[i64]) {
        if let [rate] = *values {
            self.kilobytes_per_second = u64::try_from(rate).unwrap_or(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testkit::Bench;

    #[test]
    fn the_rate_is_kept_to_the_byte() {
        let mut bench = Bench::new("bandwidth", &[10]);
        bench.arrive(0, &[0; 5_000]);
        // 10 kB/s: five pieces of 1,000 bytes, 100 ms each.
        for piece in 1..=5_u64 {
            let due = bench.advance((piece - 1) * 100_000_000);
            assert_eq!(due, Some(piece * 100_000_000));
        }
        assert_eq!(bench.advance(500_000_000), None);
        let sizes: Vec<_> = bench.passed().iter().map(Vec::len).collect();
        assert_eq!(sizes, [1_000; 5]);
    }

    #[test]
    fn a_late_wake_up_does_not_lower_the_rate() {
        let mut bench = Bench::new("bandwidth", &[10]);
        bench.arrive(0, &[0; 3_000]);
        assert_eq!(bench.advance(290_000_000), Some(300_000_000));
        assert_eq!(bench.passed().len(), 2);
    }

    #[test]
    fn a_rate_of_zero_holds_data_until_it_is_changed() {
        let mut bench = Bench::new("bandwidth", &[0]);
        bench.arrive(0, b"abc");
        assert_eq!(bench.advance(1_000_000_000), None);
        assert!(bench.passed().is_empty());
        bench.retune(&[1_000_000]);
        assert_eq!(bench.advance(1_000_000_000), None);
        assert_eq!(bench.passed(), [b"abc".to_vec()]);
    }
}
