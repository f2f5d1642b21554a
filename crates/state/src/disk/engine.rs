//! The engine on disk, and what is read from it at the beginning.
//! Whoever calls it waits for the disk; the thread that may is in `disk`.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};

use crate::disk::DiskError;
use crate::disk::record;
use crate::journal::{Change, Changes, Journal};
use crate::store::{SESSIONS, Store};
use crate::value::{Collection, Kind, Value};

/// What was written and is not in a sorted file yet, in memory beside the store. The engine would
/// take 64 MiB; here it is only there to be written, for everything is read from the store.
const UNSORTED_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Blocks that were read; nothing is, once the store has begun.
const CACHE_BYTES: u64 = 4 * 1024 * 1024;
/// Records that are removed at once when a collection goes.
const REMOVED_AT_ONCE: usize = 10_000;
const KEYSPACE: &str = "sessions";

/// How sure a write has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sureness {
    /// It outlives this process.
    Written,
    /// It outlives the power.
    Synced,
}

pub(super) struct Engine {
    database: Database,
    records: Keyspace,
}

impl Engine {
    /// Opens what is in `dir`, or makes it. What was torn at the end is cut off.
    pub(super) fn open(dir: &Path) -> Result<Self, DiskError> {
        let database = Database::builder(dir).cache_size(CACHE_BYTES).worker_threads(1).open()?;
        let options = || KeyspaceCreateOptions::default().max_memtable_size(UNSORTED_BYTES_MAX);
        let records = database.keyspace(KEYSPACE, options)?;
        Ok(Self { database, records })
    }

    /// Writes all changes of a journal, or none of them.
    pub(super) fn apply(&self, journal: &[u8], sureness: Sureness) -> Result<(), DiskError> {
        let mut records: BTreeMap<Vec<u8>, Option<Vec<u8>>> = BTreeMap::new();
        let mut gone = Vec::new();
        for change in Changes::new(journal) {
            match (change, record::record(change)) {
                (_, Some((key, value))) => {
                    records.insert(key, value);
                }
                (Change::CollectionGone { id }, None) => gone.push(id),
                (_, None) => {
                    records.retain(|key, _| key.starts_with(b"w"));
                    gone.clear();
                    self.clear(&mut records)?;
                }
            }
        }
        // The last change of a record is the one that counts, so a batch has each record once.
        let mut batch = self.database.batch();
        for (key, value) in records {
            match value {
                Some(value) => batch.insert(&self.records, key, value),
                None => batch.remove(&self.records, key),
            }
        }
        batch.commit()?;
        for id in gone {
            self.remove_items(id)?;
        }
        self.persist(sureness)
    }

    pub(super) fn persist(&self, sureness: Sureness) -> Result<(), DiskError> {
        Ok(self.database.persist(match sureness {
            Sureness::Written => PersistMode::Buffer,
            Sureness::Synced => PersistMode::SyncData,
        })?)
    }

    /// Puts everything into `store`, and gives what is to be removed: what has expired meanwhile.
    pub(super) fn load(&self, store: &mut Store) -> Result<Vec<u8>, DiskError> {
        let now = store.now;
        let mut garbage = Journal::default();
        let mut collections = HashMap::new();
        for prefix in [b"w", b"k", b"K"] {
            for found in self.records.prefix(prefix) {
                let (key, value) = found.into_inner()?;
                match record::change(&key, &value).ok_or(DiskError::Foreign)? {
                    Change::Writer { number, name } => store.writers.set(number, name),
                    Change::String { key, expires, .. } if expires < now => {
                        garbage.note(Change::Gone { key });
                    }
                    Change::String { key, expires, writer, value } => {
                        let value = Value::String(value.to_vec());
                        store.dbs[SESSIONS].load(key, value, expires, writer);
                    }
                    Change::Collection { key, expires, id, .. } if expires < now => {
                        garbage.note(Change::Gone { key });
                        garbage.note(Change::CollectionGone { id });
                    }
                    Change::Collection { key, expires, writer, kind, id } => {
                        let value = match kind {
                            Kind::Set => Value::Set(Box::new(Collection::new(id))),
                            _ => Value::Hash(Box::new(Collection::new(id))),
                        };
                        store.dbs[SESSIONS].load(key, value, expires, writer);
                        store.dbs[SESSIONS].reserve_ids(id);
                        collections.insert(id, Box::<[u8]>::from(key));
                    }
                    _ => return Err(DiskError::Foreign),
                }
            }
        }
        self.load_items(store, &collections, &mut garbage)?;
        Ok(garbage.take())
    }

    fn load_items(
        &self,
        store: &mut Store,
        collections: &HashMap<u64, Box<[u8]>>,
        garbage: &mut Journal,
    ) -> Result<(), DiskError> {
        let (db, now) = (&mut store.dbs[SESSIONS], store.now);
        let mut orphaned = None;
        for prefix in [b"i", b"I"] {
            for found in self.records.prefix(prefix) {
                let (key, value) = found.into_inner()?;
                let Some(Change::Item { id, name, value }) = record::change(&key, &value) else {
                    return Err(DiskError::Foreign);
                };
                match collections.get(&id).and_then(|key| db.find(key, now)) {
                    Some(place) => db.load_item(place, name, value),
                    // Its collection went, and the process before it had removed all items.
                    None if orphaned != Some(id) => {
                        garbage.note(Change::CollectionGone { id });
                        db.reserve_ids(id);
                        orphaned = Some(id);
                    }
                    None => {}
                }
            }
        }
        for key in collections.values() {
            if let Some(place) = db.find(key, now) {
                db.remove_if_empty(place);
            }
        }
        Ok(())
    }

    fn remove_items(&self, id: u64) -> Result<(), DiskError> {
        for prefix in record::items_of(id) {
            let mut batch = self.database.batch();
            for found in self.records.prefix(prefix) {
                batch.remove(&self.records, found.key()?);
                if batch.len() == REMOVED_AT_ONCE {
                    batch.commit()?;
                    batch = self.database.batch();
                }
            }
            batch.commit()?;
        }
        Ok(())
    }

    /// Notes that everything goes but for the names of writers, which sessions of later refer to.
    fn clear(&self, records: &mut BTreeMap<Vec<u8>, Option<Vec<u8>>>) -> Result<(), DiskError> {
        for prefix in [b"k", b"K", b"i", b"I"] {
            for found in self.records.prefix(prefix) {
                records.insert(found.key()?.to_vec(), None);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Options;

    fn written(changes: &[Change<'_>]) -> Vec<u8> {
        let mut journal = Journal::default();
        for &change in changes {
            journal.note(change);
        }
        journal.take()
    }

    #[test]
    fn clearing_takes_what_was_before_it_and_no_writers() {
        let dir = tempfile::tempdir().unwrap();
        let engine = Engine::open(dir.path()).unwrap();
        let string = |key, writer| Change::String { key, expires: i64::MAX, writer, value: b"x" };
        let before = written(&[string(b"a", 0), string(b"b", 0)]);
        engine.apply(&before, Sureness::Written).unwrap();
        let later = written(&[
            Change::Writer { number: 7, name: b"shop-7" },
            string(b"c", 7),
            Change::Clear,
            string(b"b", 7),
        ]);
        engine.apply(&later, Sureness::Written).unwrap();

        let mut store = Store::new(Options::unbounded(), fastrand::Rng::with_seed(1), 0);
        engine.load(&mut store).unwrap();
        assert_eq!(store.keys(), 1);
        let place = store.dbs[SESSIONS].find(b"b", 0).unwrap();
        assert_eq!(store.dbs[SESSIONS].entry(place).writer, 7);
        assert_eq!(store.writers.name(7), b"shop-7");
    }
}
