//! A stage on a bench: what arrives and what the clock reads is up to the test.

use bytes::Bytes;
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::{Attributes, Moment, Stage, find};
use crate::toxiproxy::server::plane::{Chunk, Ending, Item, Queue};

pub(super) struct Bench {
    stage: Box<dyn Stage>,
    random: StdRng,
    input: Queue,
    output: Queue,
}

impl Bench {
    pub(super) fn new(kind: &str, values: &[i64]) -> Self {
        Self::seeded(1, kind, values)
    }

    pub(super) fn seeded(seed: u64, kind: &str, values: &[i64]) -> Self {
        let mut attributes = Attributes::zero(find(kind).unwrap());
        attributes.values = values.to_vec();
        let stage = attributes.stage();
        let capacity = stage.capacity_bytes();
        Self {
            stage,
            random: StdRng::seed_from_u64(seed),
            input: Queue::new(capacity),
            output: Queue::new(usize::MAX),
        }
    }

    pub(super) fn arrive(&mut self, at: u64, data: &[u8]) {
        let data = Bytes::copy_from_slice(data);
        self.input.push(Item::Data(Chunk { data, at }));
    }

    pub(super) fn close(&mut self) {
        self.input.push(Item::End(Ending::Closed));
    }

    pub(super) fn retune(&mut self, values: &[i64]) {
        self.stage.retune(values);
    }

    pub(super) fn advance(&mut self, now: u64) -> Option<u64> {
        let random = &mut self.random;
        let mut moment = Moment { now, random };
        self.stage.advance(&mut moment, &mut self.input, &mut self.output)
    }

    /// The pieces that passed so far.
    pub(super) fn passed(&self) -> Vec<Vec<u8>> {
        let data = self.output.iter().filter_map(|item| match item {
            Item::Data(chunk) => Some(chunk.data.to_vec()),
            Item::End(_) => None,
        });
        data.collect()
    }

    /// The end, if it has passed.
    pub(super) fn ending(&self) -> Option<Ending> {
        self.output.iter().find_map(|item| match item {
            Item::End(ending) => Some(*ending),
            Item::Data(_) => None,
        })
    }
}
