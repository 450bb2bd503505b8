//! The toxics of one direction of one connection, in order.

use rand::RngExt;
use rand::rngs::StdRng;

use super::{Item, Queue};
use crate::toxiproxy::server::toxics::{Attributes, Moment, Stage};

/// Bytes that may wait to be written until the stage before is held up.
const OUTBOX_BYTES: usize = 64 * 1024;

/// A toxic as this connection has it, and what waits before it.
struct Link {
    stage: Box<dyn Stage>,
    /// Whether this connection is one of those the toxic strikes.
    struck: bool,
    input: Queue,
}

impl Link {
    fn is_transparent(&self) -> bool {
        (!self.struck || self.stage.is_transparent()) && self.input.is_empty()
    }
}

/// See the picture in [`super`].
pub(crate) struct Chain {
    links: Vec<Link>,
    outbox: Queue,
}

impl Chain {
    pub(crate) fn new() -> Self {
        Self { links: Vec::new(), outbox: Queue::new(OUTBOX_BYTES) }
    }

    /// Whether data can go straight from the source to the destination.
    pub(crate) fn is_transparent(&self) -> bool {
        self.links.iter().all(Link::is_transparent)
    }

    /// Whether the source may send more.
    pub(crate) fn has_room(&self) -> bool {
        match self.links.first() {
            Some(first) => first.input.has_room(),
            None => self.outbox.has_room(),
        }
    }

    pub(crate) fn push(&mut self, item: Item) {
        match self.links.first_mut() {
            Some(first) => first.input.push(item),
            None => self.outbox.push(item),
        }
    }

    /// What may be written now. Data that never entered the chain has to be written before it.
    pub(crate) fn outbox(&mut self) -> &mut Queue {
        &mut self.outbox
    }

    /// Adds a toxic at the end. What has passed the toxics before it is not touched by it.
    pub(crate) fn add(&mut self, attributes: &Attributes, toxicity: f32, random: &mut StdRng) {
        let stage = attributes.stage();
        self.links.push(Link {
            input: Queue::new(stage.capacity_bytes()),
            struck: strikes(toxicity, random),
            stage,
        });
    }

    pub(crate) fn update(
        &mut self,
        index: usize,
        attributes: &Attributes,
        toxicity: f32,
        random: &mut StdRng,
    ) {
        if let Some(link) = self.links.get_mut(index) {
            link.stage.retune(&attributes.values);
            link.struck = strikes(toxicity, random);
        }
    }

    /// Takes a toxic away. What waited for it flows on, in order.
    pub(crate) fn remove(&mut self, index: usize) {
        if index >= self.links.len() {
            return;
        }
        let mut removed = self.links.remove(index);
        let next = match self.links.get_mut(index) {
            Some(link) => &mut link.input,
            None => &mut self.outbox,
        };
        removed.input.empty_into(next);
        if let Some(ending) = removed.stage.ending_on_removal().filter(|_| removed.struck) {
            next.push(Item::End(ending));
        }
    }

    /// Lets every stage act once. Returns whether anything moved, and when time alone will move more.
    pub(crate) fn advance(&mut self, moment: &mut Moment<'_>) -> (bool, Option<u64>) {
        let mut wake: Option<u64> = None;
        let before = self.arrivals();
        for index in 0..self.links.len() {
            let (here, after) = self.links.split_at_mut(index + 1);
            let link = &mut here[index];
            let output = match after.first_mut() {
                Some(next) => &mut next.input,
                None => &mut self.outbox,
            };
            if link.struck {
                let due = link.stage.advance(moment, &mut link.input, output);
                wake = wake.into_iter().chain(due).min();
            } else {
                link.input.pour_into(output);
            }
        }
        (self.arrivals() != before, wake)
    }

    fn arrivals(&self) -> u64 {
        let waiting: u64 = self.links.iter().map(|link| link.input.arrivals()).sum();
        waiting + self.outbox.arrivals()
    }
}

/// Whether a toxic of this toxicity strikes one connection.
fn strikes(toxicity: f32, random: &mut StdRng) -> bool {
    random.random::<f32>() < toxicity
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;
    use rand::SeedableRng;

    use super::super::{Chunk, Ending};
    use super::*;
    use crate::toxiproxy::server::toxics::find;

    fn toxic(kind: &str, values: &[i64]) -> Attributes {
        let mut attributes = Attributes::zero(find(kind).unwrap());
        attributes.values = values.to_vec();
        attributes
    }

    fn data(at: u64, bytes: &[u8]) -> Item {
        let data = Bytes::copy_from_slice(bytes);
        Item::Data(Chunk { data, at })
    }

    fn take(chain: &mut Chain) -> (Vec<u8>, Option<Ending>) {
        let mut bytes = Vec::new();
        while let Some(item) = chain.outbox().drop_front() {
            match item {
                Item::Data(chunk) => bytes.extend_from_slice(&chunk.data),
                Item::End(ending) => return (bytes, Some(ending)),
            }
        }
        (bytes, None)
    }

    #[test]
    fn the_delays_of_two_toxics_add_up() {
        let random = &mut StdRng::seed_from_u64(1);
        let mut chain = Chain::new();
        chain.add(&toxic("latency", &[3, 0]), 1.0, random);
        chain.add(&toxic("latency", &[4, 0]), 1.0, random);
        chain.push(data(0, b"abc"));
        assert_eq!(chain.advance(&mut Moment { now: 0, random }).1, Some(3_000_000));
        assert_eq!(chain.advance(&mut Moment { now: 3_100_000, random }).1, Some(7_000_000));
        assert_eq!(chain.advance(&mut Moment { now: 7_000_000, random }).1, None);
        assert_eq!(take(&mut chain).0, b"abc");
    }

    #[test]
    fn a_toxicity_of_zero_strikes_nothing_and_one_strikes_all() {
        let random = &mut StdRng::seed_from_u64(1);
        assert!((0..1_000).all(|_| !strikes(0.0, random)));
        assert!((0..1_000).all(|_| strikes(1.0, random)));
        let struck = (0..10_000).filter(|_| strikes(0.3, random)).count();
        assert!((2_700..3_300).contains(&struck), "{struck} of 10,000");
    }

    #[test]
    fn removing_a_timeout_cuts_the_connection() {
        let random = &mut StdRng::seed_from_u64(1);
        let mut chain = Chain::new();
        chain.add(&toxic("timeout", &[0]), 1.0, random);
        chain.push(data(0, b"abc"));
        chain.advance(&mut Moment { now: 0, random });
        chain.remove(0);
        assert_eq!(take(&mut chain), (Vec::new(), Some(Ending::Cut)));
    }

    proptest! {
        /// Whatever is added and removed meanwhile, every byte comes out once and in order.
        #[test]
        fn no_data_is_lost_by_changes(
            steps in prop::collection::vec((0..8_u8, 0..4_usize, 1..400_u16), 1..200), seed: u64,
        ) {
            let random = &mut StdRng::seed_from_u64(seed);
            let mut chain = Chain::new();
            let mut count: u32 = 0;
            let (mut links, mut now, mut sent, mut got) = (0, 0, Vec::new(), Vec::new());
            for (step, index, amount) in steps {
                now += u64::from(amount) * 10_000;
                match step {
                    0 => { chain.add(&toxic("latency", &[2, 1]), 1.0, random); links += 1; }
                    1 => { chain.add(&toxic("bandwidth", &[i64::from(amount)]), 0.5, random); links += 1; }
                    2 => { chain.add(&toxic("slicer", &[7, 3, 50]), 1.0, random); links += 1; }
                    3 if links > 0 => { chain.remove(index % links); links -= 1; }
                    _ => {
                        let bytes: Vec<u8> = (0..amount).map(|_| {
                            count = count.wrapping_add(1);
                            count.wrapping_mul(2_654_435_761).to_le_bytes()[3]
                        }).collect();
                        sent.extend_from_slice(&bytes);
                        chain.push(data(now, &bytes));
                    }
                }
                while chain.advance(&mut Moment { now, random }).0 {}
                got.extend(take(&mut chain).0);
            }
            for _ in 0..links {
                chain.remove(0);
            }
            got.extend(take(&mut chain).0);
            prop_assert_eq!(got, sent);
        }
    }
}
