//! One database: keys, what they hold, when they expire, who wrote them, and what they weigh.
//! Every change goes through here, so that none is forgotten by watchers, journal or accounts.

mod evict;
mod items;
mod walk;
mod watch;

use std::collections::{BTreeMap, BTreeSet};

use crate::dense::{Dense, Keyed, Seed};
use crate::error::{Error, WRONG_TYPE};
use crate::journal::{Change, Journal};
use crate::value::{Kind, Value, array_bytes, block};

pub use evict::Eviction;

/// The expiry of a key that does not expire.
pub(crate) const NEVER: i64 = i64::MAX;
/// The last expiry of a key that does expire.
pub(crate) const LAST: i64 = NEVER - 1;
/// A string that is appended to gets this part of its length to spare: it is moved seldom, and
/// wastes little.
const SPARE_DIVISOR: usize = 8;
/// Keys are in so many tables, so that growing one never takes long.
const SHARDS: usize = 64;

/// When something is done, and who does it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// Milliseconds since 1970.
    pub(crate) now: i64,
    /// The number of who does it.
    pub(crate) writer: u32,
}

/// A key and what it holds.
#[derive(Debug)]
pub(crate) struct Entry {
    key: Box<[u8]>,
    pub(crate) value: Value,
    /// Milliseconds since 1970, or [`NEVER`].
    pub(crate) expires: i64,
    /// When or how often it was used: `evict` knows.
    access: u32,
    /// Who wrote it last.
    pub(crate) writer: u32,
}

/// Where a key is, until something is put in or taken out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    shard: usize,
    at: usize,
}

/// A database.
#[derive(Debug)]
pub(crate) struct Db {
    shards: Box<[Dense<Entry>]>,
    pub(crate) seed: Seed,
    rng: fastrand::Rng,
    keys: usize,
    keys_expiring: usize,
    bytes: usize,
    /// Memory that keys may take, in bytes; at the limit `eviction` says what happens.
    pub(crate) bytes_max: usize,
    pub(crate) eviction: Eviction,
    /// Whether what happens now counts as a use of keys.
    pub(crate) notes_uses: bool,
    /// Changes for the disk, if this database is kept there.
    pub(crate) journal: Option<Journal>,
    /// The next collection's.
    next_id: u64,
    /// Who wants to know whether a key changes.
    watchers: BTreeMap<Box<[u8]>, Vec<u64>>,
    /// Whose watched keys did.
    disturbed: BTreeSet<u64>,
    /// Where the next sweep goes on.
    swept: Place,
    pub(crate) expired_total: u64,
    pub(crate) evicted_total: u64,
}

impl Keyed for Entry {
    fn key(&self) -> &[u8] {
        &self.key
    }
}

impl Entry {
    fn bytes(&self) -> usize {
        array_bytes::<Self>() + block(self.key.len()) + self.value.bytes()
    }

    fn is_expired(&self, now: i64) -> bool {
        now > self.expires
    }
}

impl Db {
    pub(crate) fn new(rng: &mut fastrand::Rng, bytes_max: usize, eviction: Eviction) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Dense::default()).collect(),
            seed: Seed::new(rng),
            rng: rng.fork(),
            keys: 0,
            keys_expiring: 0,
            bytes: 0,
            bytes_max,
            eviction,
            notes_uses: true,
            journal: None,
            next_id: 1,
            watchers: BTreeMap::new(),
            disturbed: BTreeSet::new(),
            swept: Place { shard: 0, at: 0 },
            expired_total: 0,
            evicted_total: 0,
        }
    }

    /// Keys, with those that have expired and were not noticed yet.
    pub(crate) fn len(&self) -> usize {
        self.keys
    }

    /// Keys that expire at some time.
    pub(crate) fn len_expiring(&self) -> usize {
        self.keys_expiring
    }

    /// What all keys weigh, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Where `key` is. One that has expired is removed, and not there.
    pub(crate) fn find(&mut self, key: &[u8], now: i64) -> Option<Place> {
        let hash = self.seed.hash(key);
        let shard = shard_of(hash);
        let at = self.shards[shard].find_hashed(hash, key)?;
        let place = Place { shard, at };
        if self.entry(place).is_expired(now) {
            self.expired_total += 1;
            self.remove_at(place);
            return None;
        }
        Some(place)
    }

    pub(crate) fn entry(&self, place: Place) -> &Entry {
        self.shards[place.shard].at(place.at)
    }

    fn entry_mut(&mut self, place: Place) -> &mut Entry {
        self.shards[place.shard].at_mut(place.at)
    }

    /// What `key` holds; noted as a use of it.
    pub(crate) fn get(&mut self, key: &[u8], now: i64) -> Option<&Entry> {
        let place = self.find(key, now)?;
        self.touch(place, now);
        Some(self.entry(place))
    }

    /// The string that `key` holds.
    pub(crate) fn string(&mut self, key: &[u8], now: i64) -> Result<Option<&[u8]>, Error> {
        match self.get(key, now).map(|entry| &entry.value) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(WRONG_TYPE),
        }
    }

    /// Makes `key` hold `value`, whatever it held before.
    pub(crate) fn set(&mut self, key: &[u8], value: Value, expires: i64, stamp: Stamp) {
        match self.find(key, stamp.now) {
            Some(place) => {
                self.leave(place);
                let expires_before = self.entry(place).expires;
                let entry = self.entry_mut(place);
                let before = entry.bytes();
                entry.value = value;
                entry.expires = expires;
                self.reweigh(place, before);
                self.count_expiry(expires_before, expires);
                self.changed(place, stamp);
            }
            None => {
                self.add(key, value, expires, stamp);
            }
        }
    }

    /// Makes `key` hold the string `text`, in the memory of the one before where that fits.
    pub(crate) fn set_string(&mut self, key: &[u8], text: &[u8], expires: i64, stamp: Stamp) {
        let Some(place) = self.find(key, stamp.now) else {
            self.add(key, Value::String(text.to_vec()), expires, stamp);
            return;
        };
        let entry = self.shards[place.shard].at_mut(place.at);
        let fits = |old: &Vec<u8>| text.len() <= old.capacity() && old.capacity() / 2 <= text.len();
        match &mut entry.value {
            Value::String(old) if fits(old) => {
                old.clear();
                old.extend_from_slice(text);
                let expires_before = entry.expires;
                entry.expires = expires;
                self.count_expiry(expires_before, expires);
                self.changed(place, stamp);
            }
            _ => self.set(key, Value::String(text.to_vec()), expires, stamp),
        }
    }

    /// How much more memory the string at `place` takes when so many bytes are appended.
    pub(crate) fn growth(&self, place: Place, appended: usize) -> usize {
        match &self.entry(place).value {
            Value::String(old) if appended > old.capacity() - old.len() => {
                block(with_spare(old.len() + appended)).saturating_sub(block(old.capacity()))
            }
            _ => 0,
        }
    }

    /// Appends to the string at `place`, which has to be one; gives its length.
    pub(crate) fn append(&mut self, place: Place, text: &[u8], stamp: Stamp) -> usize {
        let entry = self.entry_mut(place);
        let before = entry.bytes();
        let Value::String(old) = &mut entry.value else {
            return 0;
        };
        if text.len() > old.capacity() - old.len() {
            old.reserve_exact(with_spare(old.len() + text.len()) - old.len());
        }
        old.extend_from_slice(text);
        let length = old.len();
        self.reweigh(place, before);
        self.changed(place, stamp);
        length
    }

    /// Says when the key at `place` expires.
    pub(crate) fn expire(&mut self, place: Place, expires: i64, stamp: Stamp) {
        let entry = self.entry_mut(place);
        let before = std::mem::replace(&mut entry.expires, expires);
        self.count_expiry(before, expires);
        self.changed(place, stamp);
    }

    /// Takes out `key`; true if it was there.
    pub(crate) fn remove(&mut self, key: &[u8], now: i64) -> bool {
        self.find(key, now).map(|place| self.remove_at(place)).is_some()
    }

    /// Takes out what is at `place`.
    pub(crate) fn remove_at(&mut self, place: Place) {
        self.leave(place);
        let entry = self.take(place);
        if let Some(journal) = &mut self.journal {
            journal.note(Change::Gone { key: &entry.key });
        }
        self.disturb(&entry.key);
    }

    /// Makes `new` hold what is at `place`, which has another key.
    pub(crate) fn rename(&mut self, place: Place, new: &[u8], stamp: Stamp) {
        let old = self.take(place);
        if let Some(journal) = &mut self.journal {
            journal.note(Change::Gone { key: &old.key });
        }
        self.disturb(&old.key);
        self.remove(new, stamp.now);
        self.add(new, old.value, old.expires, stamp);
    }

    /// Takes out everything.
    pub(crate) fn clear(&mut self) {
        let watched: Vec<Box<[u8]>> = self.watchers.keys().cloned().collect();
        for key in watched {
            let hash = self.seed.hash(&key);
            if self.shards[shard_of(hash)].find_hashed(hash, &key).is_some() {
                self.disturb(&key);
            }
        }
        self.shards = (0..SHARDS).map(|_| Dense::default()).collect();
        (self.keys, self.keys_expiring, self.bytes) = (0, 0, 0);
        if let Some(journal) = &mut self.journal {
            journal.note(Change::Clear);
        }
    }

    /// Puts in what was on disk; no change of it is written back.
    pub(crate) fn load(&mut self, key: &[u8], value: Value, expires: i64, writer: u32) {
        let journal = self.journal.take();
        self.add(key, value, expires, Stamp { now: 0, writer });
        self.journal = journal;
    }

    /// Numbers of collections that are on disk are not given again.
    pub(crate) fn reserve_ids(&mut self, used: u64) {
        self.next_id = self.next_id.max(used + 1);
    }

    /// The number of a new collection.
    pub(crate) fn new_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id - 1
    }

    fn add(&mut self, key: &[u8], value: Value, expires: i64, stamp: Stamp) -> Place {
        let access = self.access_of_new(stamp.now);
        let entry = Entry { key: Box::from(key), value, expires, access, writer: stamp.writer };
        self.bytes += entry.bytes();
        self.keys += 1;
        self.count_expiry(NEVER, expires);
        let shard = shard_of(self.seed.hash(key));
        let at = self.shards[shard].push(self.seed, entry);
        let place = Place { shard, at };
        self.changed(place, stamp);
        place
    }

    /// Takes the entry out of its table and the accounts.
    fn take(&mut self, place: Place) -> Entry {
        let entry = self.shards[place.shard].remove(self.seed, place.at);
        self.bytes -= entry.bytes();
        self.keys -= 1;
        self.count_expiry(entry.expires, NEVER);
        entry
    }

    /// Notes that the value at `place` is about to be dropped.
    fn leave(&mut self, place: Place) {
        let Some(journal) = &mut self.journal else {
            return;
        };
        match &self.shards[place.shard].at(place.at).value {
            Value::String(_) => {}
            Value::Hash(hash) => journal.note(Change::CollectionGone { id: hash.id }),
            Value::Set(set) => journal.note(Change::CollectionGone { id: set.id }),
        }
    }

    /// Notes who changed the key at `place`, for the disk and for watchers.
    fn changed(&mut self, place: Place, stamp: Stamp) {
        self.touch(place, stamp.now);
        let entry = self.shards[place.shard].at_mut(place.at);
        entry.writer = stamp.writer;
        let Entry { key, expires, writer, value, .. } = entry;
        if let Some(journal) = &mut self.journal {
            let (expires, writer) = (*expires, *writer);
            journal.note(match value {
                Value::String(value) => Change::String { key, expires, writer, value },
                Value::Hash(hash) => {
                    Change::Collection { key, expires, writer, kind: Kind::Hash, id: hash.id }
                }
                Value::Set(set) => {
                    Change::Collection { key, expires, writer, kind: Kind::Set, id: set.id }
                }
            });
        }
        if !self.watchers.is_empty()
            && let Some(watchers) = self.watchers.get(&**key)
        {
            self.disturbed.extend(watchers);
        }
    }

    fn reweigh(&mut self, place: Place, before: usize) {
        self.bytes = self.bytes - before + self.entry(place).bytes();
    }

    fn count_expiry(&mut self, before: i64, after: i64) {
        self.keys_expiring += usize::from(after != NEVER);
        self.keys_expiring -= usize::from(before != NEVER);
    }
}

/// What a string of `length` bytes that grows is given.
fn with_spare(length: usize) -> usize {
    length + length / SPARE_DIVISOR
}

/// Which table a hash belongs to; by bits that the tables themselves do not look at.
fn shard_of(hash: u64) -> usize {
    usize::try_from(hash >> 40 & (SHARDS as u64 - 1)).unwrap_or_default()
}
