//! A byte for each id: an array where ids are dense, a tree for the others.

use std::collections::BTreeMap;

/// Slots of the array for each id that is known: what a few far ids can make it grow to is bounded.
const SLOTS_PER_ID: u64 = 64;
/// Ids that are taken for known from the start.
const HEAD_START: u64 = 64;

/// A byte for each id; zero means that the id was never seen.
#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    dense: Vec<u8>,
    sparse: BTreeMap<u64, u8>,
    known: u64,
}

impl Table {
    /// The byte of an id, which is about to be set.
    #[inline]
    pub(super) fn slot(&mut self, id: u64) -> &mut u8 {
        let index = usize::try_from(id).unwrap_or(usize::MAX);
        if index >= self.dense.len() {
            return self.far(id, index);
        }
        let slot = &mut self.dense[index];
        self.known += u64::from(*slot == 0);
        slot
    }

    #[cold]
    fn far(&mut self, id: u64, index: usize) -> &mut u8 {
        let bound = SLOTS_PER_ID.saturating_mul(self.known.saturating_add(HEAD_START));
        if id < bound {
            let bound = usize::try_from(bound).unwrap_or(usize::MAX);
            let length = (2 * self.dense.len()).clamp(index + 1, bound);
            self.grow(length);
        }
        let slot = match self.dense.get_mut(index) {
            Some(slot) => slot,
            None => self.sparse.entry(id).or_default(),
        };
        self.known += u64::from(*slot == 0);
        slot
    }

    fn grow(&mut self, length: usize) {
        self.dense.resize(length, 0);
        let rest = self.sparse.split_off(&u64::try_from(length).unwrap_or(u64::MAX));
        for (id, state) in std::mem::replace(&mut self.sparse, rest) {
            if let Some(slot) = usize::try_from(id).ok().and_then(|index| self.dense.get_mut(index))
            {
                *slot = state;
            }
        }
    }

    /// The byte of an id, zero when it is not known.
    pub(super) fn get(&self, id: u64) -> u8 {
        let dense = usize::try_from(id).ok().and_then(|index| self.dense.get(index));
        dense.or_else(|| self.sparse.get(&id)).copied().unwrap_or(0)
    }

    /// All ids that are known, ascending.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, u8)> {
        let dense = (0..).zip(self.dense.iter().copied());
        let sparse = self.sparse.iter().map(|(id, state)| (*id, *state));
        dense.filter(|(_, state)| *state != 0).chain(sparse)
    }

    /// All ids that are known, ascending, to be changed.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (u64, &mut u8)> {
        let dense = (0..).zip(self.dense.iter_mut());
        let sparse = self.sparse.iter_mut().map(|(id, state)| (*id, state));
        dense.filter(|(_, state)| **state != 0).chain(sparse)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn it_is_a_map_whatever_the_ids(ids in prop::collection::vec(
            prop_oneof![0_u64..10_000, 0_u64..1_000_000, any::<u64>()], 0..500,
        )) {
            let mut table = Table::default();
            let mut model: BTreeMap<u64, u8> = BTreeMap::new();
            for (number, id) in ids.iter().enumerate() {
                let state = u8::try_from(number % 255).unwrap() + 1;
                *table.slot(*id) = state;
                model.insert(*id, state);
                prop_assert_eq!(table.get(*id), state);
            }
            prop_assert_eq!(table.known, model.len() as u64);
            prop_assert_eq!(table.get(77), model.get(&77).copied().unwrap_or(0));
            let all: BTreeMap<u64, u8> = table.iter().collect();
            prop_assert_eq!(&all, &model);
            let changed: BTreeMap<u64, u8> = table.iter_mut().map(|(id, state)| (id, *state)).collect();
            prop_assert_eq!(&changed, &model);
        }
    }

    #[test]
    fn a_few_far_ids_take_little_memory() {
        let mut table = Table::default();
        for shift in 0..64 {
            *table.slot(1 << shift) = 1;
        }
        assert!(table.dense.len() < 20_000, "{}", table.dense.len());
        assert_eq!(table.iter().count(), 64);
    }

    #[test]
    fn ids_that_come_from_the_top_go_to_the_array_once_they_are_many() {
        let mut table = Table::default();
        for id in (0..100_000).rev() {
            *table.slot(id) = 1;
        }
        let bound = 100_000 / usize::try_from(SLOTS_PER_ID).unwrap();
        assert!(table.sparse.len() <= bound, "{}", table.sparse.len());
        assert_eq!(table.iter().count(), 100_000);
    }
}
