//! What a key can hold: a string, a hash or a set, and what each weighs in memory.
//! It knows no expiry and writes nothing down; `db` does.

use crate::dense::{Dense, Keyed, Seed};

/// The kind of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    String,
    Hash,
    Set,
}

/// A value.
#[derive(Debug)]
pub(crate) enum Value {
    String(Vec<u8>),
    Hash(Box<Collection<Field>>),
    Set(Box<Collection<Member>>),
}

/// The items of a hash or a set.
#[derive(Debug)]
pub(crate) struct Collection<T> {
    items: Dense<T>,
    /// What the items weigh, without the array that they are in.
    bytes: usize,
    /// What the items are found by on disk; never given twice.
    pub(crate) id: u64,
}

/// A field of a hash.
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) name: Box<[u8]>,
    pub(crate) value: Box<[u8]>,
}

/// A member of a set.
#[derive(Debug)]
pub(crate) struct Member(pub(crate) Box<[u8]>);

/// An item that can say what it weighs.
pub(crate) trait Weighed: Keyed {
    fn bytes(&self) -> usize;
}

impl Kind {
    /// As `TYPE` names it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::String => "string",
            Kind::Hash => "hash",
            Kind::Set => "set",
        }
    }
}

impl Value {
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Value::String(_) => Kind::String,
            Value::Hash(_) => Kind::Hash,
            Value::Set(_) => Kind::Set,
        }
    }

    /// Bytes of memory beyond those of the `Value` itself.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Value::String(text) => block(text.capacity()),
            Value::Hash(hash) => hash.total_bytes(),
            Value::Set(set) => set.total_bytes(),
        }
    }
}

impl Keyed for Field {
    fn key(&self) -> &[u8] {
        &self.name
    }
}

impl Weighed for Field {
    fn bytes(&self) -> usize {
        block(self.name.len()) + block(self.value.len())
    }
}

impl Keyed for Member {
    fn key(&self) -> &[u8] {
        &self.0
    }
}

impl Weighed for Member {
    fn bytes(&self) -> usize {
        block(self.0.len())
    }
}

impl<T: Weighed> Collection<T> {
    pub(crate) fn new(id: u64) -> Self {
        Self { items: Dense::default(), bytes: 0, id }
    }

    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }

    pub(crate) fn items(&self) -> &[T] {
        self.items.items()
    }

    pub(crate) fn get(&self, seed: Seed, key: &[u8]) -> Option<&T> {
        self.items.find(seed, key).map(|at| self.items.at(at))
    }

    /// Puts an item in the place of one with its key, or adds it; true if there was none.
    pub(crate) fn put(&mut self, seed: Seed, item: T) -> bool {
        self.bytes += item.bytes();
        match self.items.find(seed, item.key()) {
            Some(at) => {
                let there = self.items.at_mut(at);
                self.bytes -= there.bytes();
                *there = item;
                false
            }
            None => {
                self.items.push(seed, item);
                true
            }
        }
    }

    /// Takes out the item of `key`; true if there was one.
    pub(crate) fn remove(&mut self, seed: Seed, key: &[u8]) -> bool {
        let Some(at) = self.items.find(seed, key) else {
            return false;
        };
        let item = self.items.remove(seed, at);
        self.bytes -= item.bytes();
        true
    }

    /// As `Dense::scan`.
    pub(crate) fn scan<'a>(
        &'a self,
        cursor: usize,
        count: usize,
        visit: impl FnMut(&'a T),
    ) -> usize {
        self.items.scan(cursor, count, visit)
    }

    fn total_bytes(&self) -> usize {
        block(size_of::<Self>()) + self.bytes + self.items.len() * array_bytes::<T>()
    }
}

/// What an item costs in the array that it is in: the room that the array keeps for growth, and
/// two places in an index that is half full.
pub(crate) const fn array_bytes<T>() -> usize {
    size_of::<T>() + size_of::<T>() / 8 + 10
}

/// What an allocation of so many bytes takes: the size classes of jemalloc, four to a doubling.
pub(crate) fn block(bytes: usize) -> usize {
    match bytes {
        0 => 0,
        1..=8 => 8,
        9..=128 => bytes.next_multiple_of(16),
        _ => bytes.next_multiple_of(bytes.next_power_of_two() / 8),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_allocation_weighs_what_its_size_class_does() {
        for (bytes, class) in
            [(0, 0), (1, 8), (9, 16), (100, 112), (128, 128), (129, 160), (256, 256), (257, 320)]
        {
            assert_eq!(block(bytes), class, "{bytes}");
        }
    }

    #[test]
    fn a_collection_weighs_nothing_more_after_what_came_has_gone() {
        let seed = Seed::new(&mut fastrand::Rng::with_seed(1));
        let mut hash = Collection::<Field>::new(1);
        let empty = hash.total_bytes();
        let field = |name: u8, bytes: usize| Field {
            name: Box::from([name]),
            value: vec![0; bytes].into_boxed_slice(),
        };
        for name in 0..100 {
            assert!(hash.put(seed, field(name, 10)));
            assert!(!hash.put(seed, field(name, 1000)));
        }
        assert!(hash.total_bytes() > empty + 100 * 1000);
        for name in 0..100 {
            assert!(hash.remove(seed, &[name]));
            assert!(!hash.remove(seed, &[name]));
        }
        assert_eq!(hash.total_bytes(), empty);
    }
}
