//! Keeps sessions on disk, behind the store: a thread that writes what it is handed.
//! The store never reads from here once it has begun, and never waits but where it is asked to.

mod engine;
mod record;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use thiserror::Error;

use crate::disk::engine::{Engine, Sureness};
use crate::store::Store;

/// Journals that may wait for the thread. When there are more, they wait in the store.
const WAITING_MAX: usize = 16;
/// How often written journals are synced, if not at once.
const SYNC_INTERVAL: Duration = Duration::from_secs(1);
/// How long after a failure it is tried again.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// When a write is on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Before it is answered: nothing that was answered is lost.
    Always,
    /// A second later at most.
    EverySecond,
    /// Never: nothing is written down.
    None,
}

/// Why sessions cannot be kept on disk.
#[derive(Debug, Error)]
pub enum DiskError {
    /// The disk refuses.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The engine refuses.
    #[error("{0}")]
    Engine(fjall::Error),
    /// Another process has the directory open.
    #[error("another store has it open")]
    Taken,
    /// There is something in it that this version did not write.
    #[error("what is in there was not written by this version of Herder")]
    Foreign,
}

/// The disk, as the store sees it.
#[derive(Debug)]
pub struct Disk {
    orders: SyncSender<Order>,
    /// Why the last write failed; nothing once it was made good.
    error: Arc<Mutex<Option<String>>>,
    thread: JoinHandle<()>,
}

enum Order {
    /// Write this, soon.
    Keep(Vec<u8>),
    /// Write and sync this, and say how it went.
    Commit(Vec<u8>, SyncSender<Result<(), String>>),
    End,
}

/// What the thread works with.
struct Keeper {
    dir: PathBuf,
    /// Nothing after a failure, until it could be opened again.
    engine: Option<Engine>,
    /// What was not written when that failed, in its order.
    unwritten: Vec<u8>,
    is_unsynced: bool,
    error: Arc<Mutex<Option<String>>>,
}

impl From<fjall::Error> for DiskError {
    fn from(error: fjall::Error) -> Self {
        match error {
            fjall::Error::Io(error) => Self::Io(error),
            fjall::Error::Storage(lsm) => match io_cause(&lsm) {
                Some(error) => Self::Io(error),
                None => Self::Engine(fjall::Error::Storage(lsm)),
            },
            fjall::Error::Locked => Self::Taken,
            other => Self::Engine(other),
        }
    }
}

/// The error of the system below one of the engine.
fn io_cause(error: &dyn std::error::Error) -> Option<io::Error> {
    let cause = error.source()?.downcast_ref::<io::Error>()?;
    cause.raw_os_error().map(io::Error::from_raw_os_error)
}

impl Disk {
    /// Opens `dir`, puts what is there into `store`, and begins to write.
    ///
    /// # Errors
    /// When the directory cannot be used, or what is in it cannot be read.
    pub fn open(dir: &Path, store: &mut Store) -> Result<Self, DiskError> {
        let engine = Engine::open(dir)?;
        let garbage = engine.load(store)?;
        engine.apply(&garbage, Sureness::Written)?;
        let error = Arc::new(Mutex::new(None));
        let mut keeper = Keeper {
            dir: dir.to_owned(),
            engine: Some(engine),
            unwritten: Vec::new(),
            is_unsynced: false,
            error: Arc::clone(&error),
        };
        let (orders, received) = sync_channel(WAITING_MAX);
        let thread = Builder::new().name("disk".to_owned()).spawn(move || keeper.run(&received))?;
        Ok(Self { orders, error, thread })
    }

    /// Has `journal` written soon; gives it back when too much is waiting.
    pub fn keep(&self, journal: Vec<u8>) -> Result<(), Vec<u8>> {
        match self.orders.try_send(Order::Keep(journal)) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(order) | TrySendError::Disconnected(order)) => match order {
                Order::Keep(journal) | Order::Commit(journal, _) => Err(journal),
                Order::End => Err(Vec::new()),
            },
        }
    }

    /// Has `journal` written and synced, and waits for that.
    ///
    /// # Errors
    /// Why that failed; it is tried again all the same.
    pub fn commit(&self, journal: Vec<u8>) -> Result<(), String> {
        let (answer, answered) = sync_channel(1);
        let gone = || "the thread that writes has ended".to_owned();
        self.orders.send(Order::Commit(journal, answer)).map_err(|_| gone())?;
        answered.recv().unwrap_or_else(|_| Err(gone()))
    }

    /// Why the last write failed, as long as it was not made good.
    pub fn error(&self) -> Option<String> {
        self.error.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Writes what is left, and ends.
    pub fn close(self) {
        if self.orders.send(Order::End).is_err() || self.thread.join().is_err() {
            tracing::error!("the thread that writes sessions to disk had ended already");
        }
    }
}

impl Keeper {
    fn run(&mut self, orders: &Receiver<Order>) {
        let mut synced = Instant::now();
        loop {
            let wait = if self.engine.is_none() { RETRY_INTERVAL } else { SYNC_INTERVAL };
            match orders.recv_timeout(wait) {
                Ok(Order::Keep(journal)) => {
                    self.unwritten.extend(journal);
                    self.write(Sureness::Written);
                }
                Ok(Order::Commit(journal, answer)) => {
                    self.unwritten.extend(journal);
                    let outcome = self.write(Sureness::Synced).map_or(Ok(()), Err);
                    if answer.send(outcome).is_err() {
                        tracing::warn!("nobody waits for a commit any more");
                    }
                }
                Err(RecvTimeoutError::Timeout) if self.engine.is_none() => {
                    self.write(Sureness::Synced);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Ok(Order::End) | Err(RecvTimeoutError::Disconnected) => break,
            }
            if self.is_unsynced && synced.elapsed() >= SYNC_INTERVAL {
                self.write(Sureness::Synced);
                synced = Instant::now();
            }
        }
        if let Some(error) = self.write(Sureness::Synced) {
            let bytes = self.unwritten.len();
            tracing::error!(%error, bytes, "the last changes of sessions were not written");
        }
    }

    /// Writes what is unwritten; gives why that failed.
    fn write(&mut self, sureness: Sureness) -> Option<String> {
        let outcome = self.try_write(sureness);
        if outcome.is_err() {
            // The engine takes no more after a failure: it has to look at its files again.
            self.engine = None;
        }
        let error = outcome.err().map(|error| error.to_string());
        let mut told = self.error.lock().unwrap_or_else(PoisonError::into_inner);
        match (&*told, &error) {
            (None, Some(error)) => {
                tracing::error!(%error, "sessions are not written to disk; writers are refused");
            }
            (Some(_), None) => tracing::info!("sessions are written to disk again"),
            _ => {}
        }
        told.clone_from(&error);
        error
    }

    fn try_write(&mut self, sureness: Sureness) -> Result<(), DiskError> {
        let engine = match self.engine.take() {
            Some(engine) => engine,
            None => Engine::open(&self.dir)?,
        };
        let engine = self.engine.insert(engine);
        if self.unwritten.is_empty() {
            engine.persist(sureness)?;
        } else {
            engine.apply(&self.unwritten, sureness)?;
            self.unwritten.clear();
        }
        self.is_unsynced = sureness == Sureness::Written;
        Ok(())
    }
}
