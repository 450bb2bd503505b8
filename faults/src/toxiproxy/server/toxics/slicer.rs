//! `slicer`: data is cut into pieces of about `average_size` bytes, `delay` microseconds apart.

use std::collections::VecDeque;

use rand::RngExt;
use rand::rngs::StdRng;

use super::{Moment, Schema, Stage};
use crate::toxiproxy::server::plane::{Item, Queue};

pub(super) const SCHEMA: Schema = Schema {
    kind: "slicer",
    go_struct: "SlicerToxic",
    go_integer: "int",
    fields: &["average_size", "size_variation", "delay"],
    stage: |values| {
        let mut stage = Slicer::default();
        stage.retune(values);
        Box::new(stage)
    },
};

#[derive(Default)]
struct Slicer {
    average_bytes: usize,
    variation_bytes: usize,
    delay_nanos: u64,
    /// Sizes of the pieces still to come of the first waiting data.
    pieces: VecDeque<usize>,
    next_at: u64,
}

impl Slicer {
    /// Halves `length`, a little off the middle, until each part is small enough: no tendency to a
    /// large or small piece at either end.
    fn plan(&mut self, length: usize, random: &mut StdRng) {
        let small_enough = self.average_bytes.saturating_add(self.variation_bytes).max(1);
        let mut parts = vec![length];
        while let Some(part) = parts.pop() {
            if part <= small_enough {
                self.pieces.push_back(part);
                continue;
            }
            let mut left = part / 2;
            if self.variation_bytes > 0 {
                let shift = random.random_range(0..self.variation_bytes.saturating_mul(2));
                left = (left + shift).saturating_sub(self.variation_bytes);
            }
            let left = left.clamp(1, part - 1);
            parts.push(part - left);
            parts.push(left);
        }
    }
}

impl Stage for Slicer {
    fn advance(
        &mut self,
        moment: &mut Moment<'_>,
        input: &mut Queue,
        output: &mut Queue,
    ) -> Option<u64> {
        while output.has_room() {
            let item = input.front()?;
            if self.next_at > moment.now {
                return Some(self.next_at);
            }
            match item {
                Item::Data(chunk) => {
                    if self.pieces.is_empty() {
                        self.plan(chunk.data.len(), moment.random);
                    }
                    let piece = self.pieces.pop_front().unwrap_or(usize::MAX);
                    input.pass_bytes(piece, moment.now, output);
                    self.next_at = moment.now.saturating_add(self.delay_nanos);
                }
                Item::End(_) => input.pass_front(moment.now, output),
            }
        }
        None
    }

    fn retune(&mut self, values: &[i64]) {
        if let [average, variation, delay] = *values {
            self.average_bytes = usize::try_from(average).unwrap_or(0);
            self.variation_bytes = usize::try_from(variation).unwrap_or(0);
            self.delay_nanos = u64::try_from(delay).unwrap_or(0).saturating_mul(1_000);
            self.pieces.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testkit::Bench;
    use proptest::prelude::*;

    #[test]
    fn pieces_are_a_delay_apart() {
        let mut bench = Bench::new("slicer", &[2, 0, 10]);
        bench.arrive(0, b"abcdef");
        assert_eq!(bench.advance(0), Some(10_000));
        assert_eq!(bench.advance(5_000), Some(10_000));
        assert_eq!(bench.advance(10_000), Some(20_000));
        assert_eq!(bench.passed().len(), 2);
    }

    proptest! {
        #[test]
        fn the_pieces_make_up_the_whole(
            length in 1..20_000_usize, average in 0..3_000_i64, variation in 0..3_000_i64, seed: u64,
        ) {
            let mut bench = Bench::seeded(seed, "slicer", &[average, variation, 0]);
            let data: Vec<u8> = (0..=u8::MAX).cycle().take(length).collect();
            bench.arrive(0, &data);
            prop_assert_eq!(bench.advance(0), None);
            let passed = bench.passed();
            let largest = usize::try_from(average + variation).unwrap().max(1);
            prop_assert!(passed.iter().all(|piece| (1..=largest).contains(&piece.len())));
            prop_assert_eq!(passed.concat(), data);
        }
    }
}
