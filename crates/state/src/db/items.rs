//! Hashes and sets of a database: their items come and go here, with their key when need be.
//! A collection that has become empty is no longer there, as in Redis.

use crate::db::{Db, NEVER, Place, Stamp};
use crate::dense::Keyed as _;
use crate::error::{Error, WRONG_TYPE};
use crate::journal::Change;
use crate::value::{Collection, Field, Member, Value};

impl Db {
    /// The hash that `key` holds.
    pub(crate) fn hash(
        &mut self,
        key: &[u8],
        now: i64,
    ) -> Result<Option<&Collection<Field>>, Error> {
        match self.get(key, now).map(|entry| &entry.value) {
            None => Ok(None),
            Some(Value::Hash(hash)) => Ok(Some(hash)),
            Some(_) => Err(WRONG_TYPE),
        }
    }

    /// The set that `key` holds.
    pub(crate) fn members(
        &mut self,
        key: &[u8],
        now: i64,
    ) -> Result<Option<&Collection<Member>>, Error> {
        match self.get(key, now).map(|entry| &entry.value) {
            None => Ok(None),
            Some(Value::Set(set)) => Ok(Some(set)),
            Some(_) => Err(WRONG_TYPE),
        }
    }

    /// Gives the hash of `key`, which is made if need be, these fields; says how many are new.
    pub(crate) fn put_fields<'a>(
        &mut self,
        key: &[u8],
        fields: impl Iterator<Item = (&'a [u8], &'a [u8])>,
        stamp: Stamp,
    ) -> Result<usize, Error> {
        let make = |id| Value::Hash(Box::new(Collection::new(id)));
        let place = self.find_or_make(key, make, stamp);
        let (seed, mut new) = (self.seed, 0);
        let entry = self.shards[place.shard].at_mut(place.at);
        let before = entry.bytes();
        let Value::Hash(hash) = &mut entry.value else {
            return Err(WRONG_TYPE);
        };
        for (name, value) in fields {
            if let Some(journal) = &mut self.journal {
                journal.note(Change::Item { id: hash.id, name, value });
            }
            let field = Field { name: Box::from(name), value: Box::from(value) };
            new += usize::from(hash.put(seed, field));
        }
        self.reweigh(place, before);
        self.changed(place, stamp);
        Ok(new)
    }

    /// Gives the set of `key`, which is made if need be, these members; says how many are new.
    pub(crate) fn put_members<'a>(
        &mut self,
        key: &[u8],
        members: impl Iterator<Item = &'a [u8]>,
        stamp: Stamp,
    ) -> Result<usize, Error> {
        let make = |id| Value::Set(Box::new(Collection::new(id)));
        let place = self.find_or_make(key, make, stamp);
        let (seed, mut new) = (self.seed, 0);
        let entry = self.shards[place.shard].at_mut(place.at);
        let before = entry.bytes();
        let Value::Set(set) = &mut entry.value else {
            return Err(WRONG_TYPE);
        };
        for name in members {
            if set.get(seed, name).is_some() {
                continue;
            }
            if let Some(journal) = &mut self.journal {
                journal.note(Change::Item { id: set.id, name, value: b"" });
            }
            set.put(seed, Member(Box::from(name)));
            new += 1;
        }
        self.reweigh(place, before);
        // One that adds nothing is no change to those who watch.
        if new > 0 {
            self.changed(place, stamp);
        }
        Ok(new)
    }

    /// Takes these items from the hash or set at `place`; says how many there were.
    pub(crate) fn remove_items<'a>(
        &mut self,
        place: Place,
        names: impl Iterator<Item = &'a [u8]>,
        stamp: Stamp,
    ) -> usize {
        let (seed, mut gone) = (self.seed, 0);
        let entry = self.shards[place.shard].at_mut(place.at);
        let before = entry.bytes();
        for name in names {
            let (was_there, id) = match &mut entry.value {
                Value::String(_) => return 0,
                Value::Hash(hash) => (hash.remove(seed, name), hash.id),
                Value::Set(set) => (set.remove(seed, name), set.id),
            };
            if !was_there {
                continue;
            }
            gone += 1;
            if let Some(journal) = &mut self.journal {
                journal.note(Change::ItemGone { id, name });
            }
        }
        let is_empty = match &entry.value {
            Value::String(_) => false,
            Value::Hash(hash) => hash.len() == 0,
            Value::Set(set) => set.len() == 0,
        };
        self.reweigh(place, before);
        if is_empty {
            self.remove_at(place);
        } else if gone > 0 {
            self.changed(place, stamp);
        }
        gone
    }

    /// Puts back an item that was on disk; the key that holds its collection has to be there.
    pub(crate) fn load_item(&mut self, place: Place, name: &[u8], value: &[u8]) {
        let seed = self.seed;
        let entry = self.shards[place.shard].at_mut(place.at);
        let before = entry.bytes();
        match &mut entry.value {
            Value::String(_) => {}
            Value::Hash(hash) => {
                hash.put(seed, Field { name: Box::from(name), value: Box::from(value) });
            }
            Value::Set(set) => {
                set.put(seed, Member(Box::from(name)));
            }
        }
        self.reweigh(place, before);
    }

    /// Takes out the keys of collections that turned out to have no items.
    pub(crate) fn remove_if_empty(&mut self, place: Place) {
        let is_empty = match &self.entry(place).value {
            Value::String(_) => false,
            Value::Hash(hash) => hash.items().is_empty(),
            Value::Set(set) => set.items().is_empty(),
        };
        if is_empty {
            self.remove_at(place);
        }
    }

    fn find_or_make(&mut self, key: &[u8], make: impl FnOnce(u64) -> Value, stamp: Stamp) -> Place {
        if let Some(place) = self.find(key, stamp.now) {
            return place;
        }
        let id = self.new_id();
        self.add(key, make(id), NEVER, stamp)
    }
}

impl crate::db::Entry {
    /// Its key.
    pub(crate) fn name(&self) -> &[u8] {
        self.key()
    }

    /// What it weighs, in bytes.
    pub(crate) fn weight(&self) -> usize {
        self.bytes()
    }
}
