//! A hash table whose items lie in one array without gaps, with an index of hashes beside it.
//! It gives a random item in constant time and scans without forgetting any; it counts no memory.
//!
//! A scan goes down the array. To remove an item the last one takes its place, so an item only
//! ever moves down: what a scan has not reached yet stays ahead of it, and its cursor is a number.

use std::hash::Hasher as _;

use hashbrown::HashTable;
use siphasher::sip::SipHasher13;

/// Up to so many items are looked through one by one, and there is no index.
const UNINDEXED_MAX: usize = 8;
/// Grown by this part of what there is; doubling would waste a quarter of the memory on average.
const GROWTH_DIVISOR: usize = 8;
/// The least that it is grown by.
const GROWTH_MIN: usize = 4;

/// What the hashes of a store begin with: who does not know it cannot make keys collide.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seed {
    key: (u64, u64),
}

/// Something with a name of its own.
pub(crate) trait Keyed {
    fn key(&self) -> &[u8];
}

/// Items by their keys.
#[derive(Debug)]
pub(crate) struct Dense<T> {
    items: Vec<T>,
    /// Places in `items`; empty while there are few.
    index: HashTable<u32>,
}

impl Seed {
    pub(crate) fn new(rng: &mut fastrand::Rng) -> Self {
        Self { key: (rng.u64(..), rng.u64(..)) }
    }

    /// The hash of `key`; SipHash-1-3, as Redis has it.
    pub(crate) fn hash(self, key: &[u8]) -> u64 {
        let mut hasher = SipHasher13::new_with_keys(self.key.0, self.key.1);
        hasher.write(key);
        hasher.finish()
    }
}

impl<T> Default for Dense<T> {
    fn default() -> Self {
        Self { items: Vec::new(), index: HashTable::new() }
    }
}

impl<T: Keyed> Dense<T> {
    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }

    pub(crate) fn items(&self) -> &[T] {
        &self.items
    }

    pub(crate) fn at(&self, at: usize) -> &T {
        &self.items[at]
    }

    pub(crate) fn at_mut(&mut self, at: usize) -> &mut T {
        &mut self.items[at]
    }

    /// Where the item of `key` is.
    pub(crate) fn find(&self, seed: Seed, key: &[u8]) -> Option<usize> {
        if self.items.len() <= UNINDEXED_MAX {
            return self.items.iter().position(|item| item.key() == key);
        }
        self.find_hashed(seed.hash(key), key)
    }

    /// The same with a hash that is known.
    pub(crate) fn find_hashed(&self, hash: u64, key: &[u8]) -> Option<usize> {
        if self.items.len() <= UNINDEXED_MAX {
            return self.items.iter().position(|item| item.key() == key);
        }
        let found = self.index.find(hash, |&at| self.items[at as usize].key() == key);
        found.map(|&at| at as usize)
    }

    /// Puts in an item whose key is not there yet, and says where.
    pub(crate) fn push(&mut self, seed: Seed, item: T) -> usize {
        let at = self.items.len();
        if at == self.items.capacity() {
            self.items.reserve_exact((at / GROWTH_DIVISOR).max(GROWTH_MIN));
        }
        self.items.push(item);
        match self.items.len() {
            ..=UNINDEXED_MAX => {}
            len if len == UNINDEXED_MAX + 1 => {
                for place in 0..len {
                    self.note(seed, place);
                }
            }
            _ => self.note(seed, at),
        }
        at
    }

    /// Takes out the item at `at`; the last one takes its place, among few all behind it move up.
    pub(crate) fn remove(&mut self, seed: Seed, at: usize) -> T {
        let last = self.items.len() - 1;
        if last < UNINDEXED_MAX {
            return self.items.remove(at);
        }
        self.forget(seed, at, at);
        if last == UNINDEXED_MAX {
            self.index = HashTable::new();
            return self.items.remove(at);
        }
        if at != last {
            self.forget(seed, last, last);
        }
        let removed = self.items.swap_remove(at);
        if at != last {
            self.note(seed, at);
        }
        self.give_back(seed);
        removed
    }

    /// Shows `visit` about `count` items from `cursor` on, and says where to go on; a scan begins
    /// and ends at 0. What is there all the time is shown at least once.
    pub(crate) fn scan<'a>(
        &'a self,
        cursor: usize,
        count: usize,
        mut visit: impl FnMut(&'a T),
    ) -> usize {
        let end = if cursor == 0 { self.items.len() } else { cursor.min(self.items.len()) };
        let start = end.saturating_sub(count);
        for item in self.items[start..end].iter().rev() {
            visit(item);
        }
        start
    }

    /// Notes in the index where the item at `at` is.
    fn note(&mut self, seed: Seed, at: usize) {
        let Self { items, index } = self;
        let place = u32::try_from(at).expect("four thousand million items do not fit in memory");
        let rehash = |&at: &u32| seed.hash(items[at as usize].key());
        index.insert_unique(seed.hash(items[at].key()), place, rehash);
    }

    /// Takes out of the index that the item at `at` is at `noted`.
    fn forget(&mut self, seed: Seed, at: usize, noted: usize) {
        let hash = seed.hash(self.items[at].key());
        if let Ok(entry) = self.index.find_entry(hash, |&place| place as usize == noted) {
            entry.remove();
        }
    }

    /// Gives memory back when most of it is not used.
    fn give_back(&mut self, seed: Seed) {
        if self.items.len() < self.items.capacity() / 2 {
            self.items.shrink_to(self.items.len() + self.items.len() / GROWTH_DIVISOR);
            let Self { items, index } = self;
            index.shrink_to(items.len(), |&at| seed.hash(items[at as usize].key()));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;

    impl Keyed for Vec<u8> {
        fn key(&self) -> &[u8] {
            self
        }
    }

    fn key(number: u16) -> Vec<u8> {
        number.to_string().into_bytes()
    }

    proptest! {
        #[test]
        fn it_holds_what_a_map_holds(
            steps in prop::collection::vec((any::<bool>(), 0..60_u16), 0..300),
        ) {
            let seed = Seed::new(&mut fastrand::Rng::with_seed(1));
            let (mut dense, mut map) = (Dense::<Vec<u8>>::default(), BTreeMap::new());
            for (add, number) in steps {
                let key = key(number);
                let there = dense.find(seed, &key);
                prop_assert_eq!(there.is_some(), map.contains_key(&number));
                match (add, there) {
                    (true, None) => {
                        dense.push(seed, key);
                        map.insert(number, ());
                    }
                    (false, Some(at)) => {
                        prop_assert_eq!(dense.remove(seed, at), key);
                        map.remove(&number);
                    }
                    _ => {}
                }
                prop_assert_eq!(dense.len(), map.len());
            }
        }

        /// Whatever comes and goes meanwhile, what stays is seen.
        #[test]
        fn a_scan_shows_all_that_stays(
            stays in prop::collection::btree_set(0..200_u16, 0..100),
            churn in prop::collection::vec((any::<bool>(), 200..400_u16), 0..400),
            count in 1..20_usize,
        ) {
            let seed = Seed::new(&mut fastrand::Rng::with_seed(2));
            let mut dense = Dense::<Vec<u8>>::default();
            for pair in stays.iter().zip(200..) {
                dense.push(seed, key(*pair.0));
                dense.push(seed, key(pair.1));
            }
            let (mut seen, mut cursor) = (BTreeSet::new(), 0);
            let mut churn = churn.chunks(7);
            loop {
                cursor = dense.scan(cursor, count, |item| {
                    seen.insert(item.clone());
                });
                if cursor == 0 {
                    break;
                }
                for &(add, number) in churn.next().unwrap_or_default() {
                    match (add, dense.find(seed, &key(number))) {
                        (true, None) => {
                            dense.push(seed, key(number));
                        }
                        (false, Some(at)) => {
                            dense.remove(seed, at);
                        }
                        _ => {}
                    }
                }
            }
            for number in stays {
                prop_assert!(seen.contains(&key(number)), "{number} was not shown");
            }
        }
    }
}
