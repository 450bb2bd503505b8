//! `latency`: every piece of data arrives later, by `latency` ± `jitter` milliseconds.
//!
//! Data never overtakes data. As in the original, the end of a stream is not delayed beyond the data before it.

use rand::RngExt;

use super::{Moment, Schema, Stage};
use crate::toxiproxy::server::plane::{Item, Queue};

pub(super) const SCHEMA: Schema = Schema {
    kind: "latency",
    go_struct: "LatencyToxic",
    go_integer: "int64",
    fields: &["latency", "jitter"],
    stage: |values| {
        let mut stage = Latency::default();
        stage.retune(values);
        Box::new(stage)
    },
};

#[derive(Default)]
struct Latency {
    delay_millis: i64,
    jitter_millis: i64,
    /// When the first waiting piece may pass; drawn once for each piece.
    due: Option<u64>,
}

impl Latency {
    fn due(&self, arrived: u64, moment: &mut Moment<'_>) -> u64 {
        let mut delay_nanos = i128::from(self.delay_millis) * 1_000_000;
        if self.jitter_millis > 0 {
            let jitter_nanos = self.jitter_millis.saturating_mul(1_000_000);
            delay_nanos += i128::from(moment.random.random_range(-jitter_nanos..jitter_nanos));
        }
        let delay = u64::try_from(delay_nanos.max(0)).unwrap_or(u64::MAX);
        arrived.saturating_add(delay)
    }
}

impl Stage for Latency {
    fn advance(
        &mut self,
        moment: &mut Moment<'_>,
        input: &mut Queue,
        output: &mut Queue,
    ) -> Option<u64> {
        while output.has_room() {
            match input.front()? {
                Item::Data(chunk) => {
                    let arrived = chunk.at;
                    let due = match self.due {
                        Some(due) => due,
                        None => *self.due.insert(self.due(arrived, moment)),
                    };
                    if due > moment.now {
                        return Some(due);
                    }
                    self.due = None;
                    input.pass_front(due, output);
                }
                Item::End(_) => input.pass_front(moment.now, output),
            }
        }
        None
    }

    fn retune(&mut self, values: &[i64]) {
        if let [latency, jitter] = *values {
            self.delay_millis = latency;
            self.jitter_millis = jitter;
            self.due = None;
        }
    }

    /// What the original buffers: 1,024 pieces of 32 KiB. Less would turn latency into a rate limit.
    fn capacity_bytes(&self) -> usize {
        32 * 1024 * 1024
    }
}

#[cfg(test)]
mod tests {
    use super::super::testkit::Bench;

    #[test]
    fn data_waits_for_exactly_the_latency() {
        let mut bench = Bench::new("latency", &[5, 0]);
        bench.arrive(1_000, b"abc");
        assert_eq!(bench.advance(1_000), Some(5_001_000));
        assert_eq!(bench.advance(5_000_999), Some(5_001_000));
        assert!(bench.passed().is_empty());
        assert_eq!(bench.advance(5_001_000), None);
        assert_eq!(bench.passed(), [b"abc".to_vec()]);
    }

    #[test]
    fn jitter_stays_within_its_bounds_and_is_repeatable() {
        let delays = |seed| {
            let mut bench = Bench::seeded(seed, "latency", &[10, 4]);
            (0..200_u64)
                .map(|round| {
                    let at = round * 100_000_000;
                    bench.arrive(at, b"x");
                    let due = bench.advance(at).unwrap();
                    assert_eq!(bench.advance(due), None);
                    due - at
                })
                .collect::<Vec<_>>()
        };
        let drawn = delays(7);
        assert!(drawn.iter().all(|d| (6_000_000..14_000_000).contains(d)));
        assert!(drawn.iter().any(|d| *d < 8_000_000));
        assert!(drawn.iter().any(|d| *d > 12_000_000));
        assert_eq!(drawn, delays(7));
    }

    #[test]
    fn a_shorter_latency_applies_to_what_already_waits() {
        let mut bench = Bench::new("latency", &[1_000, 0]);
        bench.arrive(0, b"abc");
        assert_eq!(bench.advance(0), Some(1_000_000_000));
        bench.retune(&[2, 0]);
        assert_eq!(bench.advance(0), Some(2_000_000));
    }

    #[test]
    fn the_end_follows_the_data_without_a_delay_of_its_own() {
        let mut bench = Bench::new("latency", &[5, 0]);
        bench.arrive(0, b"abc");
        bench.close();
        assert_eq!(bench.advance(1), Some(5_000_000));
        assert!(bench.ending().is_none());
        assert_eq!(bench.advance(5_000_000), None);
        assert!(bench.ending().is_some());
    }
}
