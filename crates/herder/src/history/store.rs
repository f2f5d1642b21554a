//! The file that the history is in: minutes by service, and what was desired last.
//! It knows no policy and no clock; what is too old, its caller says.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use model::ServiceName;
use redb::{Database, DatabaseError, ReadableDatabase, ReadableTable, TableDefinition};

use super::minute::{Minute, Row};

/// Minutes, by service and number since 1970.
const MINUTES: TableDefinition<'_, (&str, u64), Vec<Row>> = TableDefinition::new("minutes-1");
/// What each service had last: seconds since 1970, and the instances desired.
const LAST: TableDefinition<'_, &str, (u64, u32)> = TableDefinition::new("last-1");
/// What of the file is kept in memory.
const CACHE_BYTES_MAX: usize = 1 << 20;

/// Why the history cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Somebody has it.
    #[error("{} is in use by another Herder", .0.display())]
    InUse(PathBuf),
    /// It is not what it should be, or the disk fails.
    #[error("{}: {cause}", file.display())]
    File {
        /// Which.
        file: PathBuf,
        /// What its engine says.
        cause: String,
    },
    /// There is no thread for it.
    #[error("its thread could not be started: {0}")]
    Thread(String),
}

/// The file.
#[derive(Debug)]
pub(crate) struct Store {
    database: Database,
    file: PathBuf,
    lost: Lost,
}

/// What could not be kept, in messages.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lost(Arc<AtomicU64>);

/// What a service had last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Last {
    /// When, in seconds since 1970.
    pub(crate) at_s: u64,
    /// How many instances were desired.
    pub(crate) desired: u32,
}

impl Lost {
    /// One more.
    pub(crate) fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// How many since the last call.
    pub(crate) fn take(&self) -> u64 {
        self.0.swap(0, Ordering::Relaxed)
    }
}

impl Store {
    /// Opens the file, or makes it.
    pub(super) fn open(file: &Path) -> Result<Self, Error> {
        let opened = Database::builder().set_cache_size(CACHE_BYTES_MAX).create(file);
        let database = opened.map_err(|error| match error {
            DatabaseError::DatabaseAlreadyOpen => Error::InUse(file.to_owned()),
            error => Error::File { file: file.to_owned(), cause: error.to_string() },
        })?;
        let store = Self { database, file: file.to_owned(), lost: Lost::default() };
        store.write(&[], &[])?;
        Ok(store)
    }

    /// What could not be kept.
    pub(super) fn lost(&self) -> Lost {
        self.lost.clone()
    }

    /// What every service had last.
    pub(super) fn last(&self) -> Result<Vec<(ServiceName, Last)>, Error> {
        self.attempt(|| {
            let table = self.database.begin_read()?.open_table(LAST)?;
            let mut found = Vec::new();
            for entry in table.iter()? {
                let (name, last) = entry?;
                let (at_s, desired) = last.value();
                // A name that is none any more belongs to nobody.
                if let Ok(name) = name.value().parse() {
                    found.push((name, Last { at_s, desired }));
                }
            }
            Ok(found)
        })
    }

    /// The minutes of a service from one number to before another, in order.
    pub(super) fn minutes(
        &self,
        service: &ServiceName,
        from: u64,
        to: u64,
    ) -> Result<Vec<Minute>, Error> {
        let mut found = Vec::new();
        self.each(service, (from, to), |minute| found.push(minute))?;
        Ok(found)
    }

    /// Hands over the minutes of a service from one number to before another, in order.
    pub(super) fn each(
        &self,
        service: &ServiceName,
        (from, to): (u64, u64),
        mut take: impl FnMut(Minute),
    ) -> Result<(), Error> {
        self.attempt(|| {
            let table = self.database.begin_read()?.open_table(MINUTES)?;
            for entry in table.range((service.as_str(), from)..(service.as_str(), to.max(from)))? {
                let (key, rows) = entry?;
                take(Minute { number: key.value().1, rows: rows.value() });
            }
            Ok(())
        })
    }

    /// Keeps minutes, each over what was there of it, and what was desired last; it returns once
    /// they are on disk.
    pub(super) fn write(
        &self,
        minutes: &[(&ServiceName, &Minute)],
        last: &[(&ServiceName, Last)],
    ) -> Result<(), Error> {
        self.attempt(|| {
            let transaction = self.database.begin_write()?;
            {
                let mut table = transaction.open_table(MINUTES)?;
                for (name, minute) in minutes {
                    table.insert((name.as_str(), minute.number), &minute.rows)?;
                }
                let mut table = transaction.open_table(LAST)?;
                for (name, last) in last {
                    table.insert(name.as_str(), (last.at_s, last.desired))?;
                }
            }
            Ok(transaction.commit()?)
        })
    }

    /// Deletes what is from before a minute, and the services that nothing is known of then.
    pub(super) fn forget(&self, before: u64) -> Result<(), Error> {
        let last = self.last()?;
        self.attempt(|| {
            let transaction = self.database.begin_write()?;
            {
                let mut minutes = transaction.open_table(MINUTES)?;
                let mut table = transaction.open_table(LAST)?;
                for (name, last) in &last {
                    let name = name.as_str();
                    minutes.retain_in((name, 0)..(name, before), |_, _| false)?;
                    if last.at_s / 60 < before {
                        table.remove(name)?;
                    }
                }
            }
            Ok(transaction.commit()?)
        })
    }

    fn attempt<T>(&self, attempt: impl FnOnce() -> Result<T, redb::Error>) -> Result<T, Error> {
        let failed =
            |error: redb::Error| Error::File { file: self.file.clone(), cause: error.to_string() };
        attempt().map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> ServiceName {
        text.parse().unwrap()
    }

    fn minute(number: u64) -> Minute {
        Minute { number, rows: vec![(7, 100, 100, 50, 0, 2, 2)] }
    }

    fn numbers(store: &Store, service: &str) -> Vec<u64> {
        let found = store.minutes(&name(service), 0, 1_000_000).unwrap();
        found.iter().map(|minute| minute.number).collect()
    }

    #[test]
    fn what_was_written_is_there_after_opening_it_again() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("history");
        let (shop, other) = (name("shop"), name("shop-2"));
        let last = Last { at_s: 600, desired: 4 };
        {
            let store = Store::open(&file).unwrap();
            let minutes = [minute(10), minute(11)];
            store.write(&[(&shop, &minutes[0]), (&other, &minutes[1])], &[(&shop, last)]).unwrap();
        }
        let store = Store::open(&file).unwrap();
        assert_eq!(store.minutes(&shop, 0, 100).unwrap(), [minute(10)]);
        assert_eq!(store.minutes(&shop, 11, 100).unwrap(), []);
        assert_eq!(store.minutes(&shop, 12, 3).unwrap(), []);
        assert_eq!(store.minutes(&other, 11, 12).unwrap(), [minute(11)]);
        assert_eq!(store.last().unwrap(), [(shop, last)]);
    }

    #[test]
    fn what_is_too_old_goes_and_takes_its_service_along() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("history")).unwrap();
        let (shop, old) = (name("shop"), name("old"));
        for number in 0..5 {
            let last = Last { at_s: number * 60, desired: 1 };
            store.write(&[(&shop, &minute(number))], &[(&shop, last)]).unwrap();
        }
        store.write(&[(&old, &minute(1))], &[(&old, Last { at_s: 60, desired: 1 })]).unwrap();
        store.forget(3).unwrap();
        assert_eq!(numbers(&store, "shop"), [3, 4]);
        assert_eq!(numbers(&store, "old"), [0; 0]);
        let left: Vec<ServiceName> = store.last().unwrap().into_iter().map(|(n, _)| n).collect();
        assert_eq!(left, [shop]);
    }

    #[test]
    fn two_do_not_share_it_and_something_else_is_not_taken_for_it() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("history");
        let first = Store::open(&file).unwrap();
        let error = Store::open(&file).unwrap_err();
        assert!(matches!(error, Error::InUse(_)), "{error}");
        drop(first);
        std::fs::write(&file, "a diary, and not a history of requests".repeat(1000)).unwrap();
        let error = Store::open(&file).unwrap_err();
        assert!(matches!(error, Error::File { .. }), "{error}");
    }
}
