//! The server around the store: sockets, rounds, and the disk. One thread does it all.
//! A round reads what has come, carries it out, has it kept, and then answers: never before.

mod accept;
mod client;
mod listen;
mod round;

use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::event::epoll;
use thiserror::Error;

use crate::disk::{Disk, DiskError, Durability};
use crate::serve::accept::Doors;
use crate::serve::client::Client;
use crate::serve::listen::Listener;
use crate::store::{Options, Store};

pub use listen::{Address, NotAnAddress};

/// The most clients, if nobody says otherwise: as Redis.
pub const CLIENTS_MAX: usize = 10_000;
/// Between two looks at what has expired, what is to be written, and what the disk says.
const TICK: Duration = Duration::from_millis(100);
/// Bytes that are read of one client in one round.
const READ_BYTES: usize = 64 * 1024;
/// Sockets that one round hears of.
const EVENTS_MAX: usize = 1024;
/// What epoll calls the end, and the first listener; clients come after the listeners.
const TOKEN_STOP: u64 = 0;
const TOKEN_LISTENER: u64 = 1;

/// Where and how a store is served.
#[derive(Debug)]
pub struct Settings {
    /// Where clients come.
    pub listen: Vec<Address>,
    /// When writes are on disk.
    pub durability: Durability,
    /// Where sessions are kept, unless [`Durability::None`].
    pub dir: PathBuf,
    /// The store.
    pub options: Options,
}

/// Why a store cannot be served.
#[derive(Debug, Error)]
pub enum ServeError {
    /// No socket there.
    #[error("cannot listen on {0}: {1}")]
    Listen(Address, #[source] io::Error),
    /// Sessions cannot be kept.
    #[error("cannot keep sessions in {dir}: {cause}")]
    Disk {
        /// Where.
        dir: String,
        /// Why not.
        cause: DiskError,
    },
    /// The system refuses what every server needs.
    #[error("the system refused: {0}")]
    System(#[from] io::Error),
}

impl From<rustix::io::Errno> for ServeError {
    fn from(error: rustix::io::Errno) -> Self {
        Self::System(error.into())
    }
}

/// A store and its sockets.
pub struct Server {
    store: Store,
    durability: Durability,
    disk: Option<Disk>,
    /// Why writers are refused, if the disk or the queue before it is the reason.
    refusing: Option<String>,
    epoll: OwnedFd,
    listeners: Vec<Listener>,
    doors: Doors,
    /// Whether the last client that came could not be taken; it is said once.
    is_exhausted: bool,
    clients: Vec<Option<Client>>,
    free: Vec<usize>,
    clients_max: usize,
    /// Those to whom this round has something to say.
    touched: Vec<usize>,
    /// Those who have sent more than they were read for.
    resumed: Vec<usize>,
    read_buffer: Vec<u8>,
    last_tick: Instant,
}

impl Server {
    /// Reads what was kept, and listens. Nobody is answered before [`Server::run`].
    ///
    /// # Errors
    /// When there is no socket to be had, or the directory cannot be used.
    pub fn bind(mut settings: Settings) -> Result<Self, ServeError> {
        settings.options.is_kept = settings.durability != Durability::None;
        settings.options.fsync = match settings.durability {
            Durability::Always => "always",
            Durability::EverySecond => "everysec",
            Durability::None => "no",
        };
        let clients_max = settings.options.clients_max;
        let mut store = Store::new(settings.options, fastrand::Rng::new(), 0);
        store.set_time(now_us());
        store.begin();
        let disk = match settings.durability {
            Durability::None => None,
            _ => {
                let dir = settings.dir.display().to_string();
                let failed = |cause| ServeError::Disk { dir: dir.clone(), cause };
                std::fs::create_dir_all(&settings.dir).map_err(|error| failed(error.into()))?;
                Some(Disk::open(&settings.dir, &mut store).map_err(failed)?)
            }
        };
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let mut listeners = Vec::new();
        for (address, token) in settings.listen.into_iter().zip(TOKEN_LISTENER..) {
            let refused = |error| ServeError::Listen(address.clone(), error);
            let listener = Listener::bind(&address).map_err(refused)?;
            let event = epoll::EventData::new_u64(token);
            epoll::add(&epoll, listener.socket(), event, epoll::EventFlags::IN)?;
            listeners.push(listener);
        }
        Ok(Self {
            store,
            durability: settings.durability,
            disk,
            refusing: None,
            epoll,
            listeners,
            doors: Doors::Open,
            is_exhausted: false,
            clients: Vec::new(),
            free: Vec::new(),
            clients_max,
            touched: Vec::new(),
            resumed: Vec::new(),
            read_buffer: vec![0; READ_BYTES],
            last_tick: Instant::now(),
        })
    }

    /// Where clients come, as it turned out: a port that was asked for as 0 is the one given.
    pub fn addresses(&self) -> Vec<String> {
        self.listeners.iter().map(|listener| listener.name().to_owned()).collect()
    }

    /// Keys that there are, in both databases.
    pub fn keys(&self) -> usize {
        self.store.keys()
    }

    /// Serves until there is something to read from `stop`, then writes what is left to disk.
    ///
    /// # Errors
    /// When the system refuses to say which sockets are ready.
    pub fn run(mut self, stop: &OwnedFd) -> Result<(), ServeError> {
        let event = epoll::EventData::new_u64(TOKEN_STOP);
        epoll::add(&self.epoll, stop, event, epoll::EventFlags::IN)?;
        let mut events = Vec::with_capacity(EVENTS_MAX);
        while self.round(&mut events)? == round::Next::Round {}
        if let Some(disk) = self.disk.take() {
            let journal = self.store.take_journal();
            if !journal.is_empty()
                && let Err(error) = disk.commit(journal)
            {
                tracing::error!(%error, "the last changes of sessions were not written");
            }
            disk.close();
        }
        Ok(())
    }

    fn client_token(&self, slot: usize) -> u64 {
        TOKEN_LISTENER + self.listeners.len() as u64 + slot as u64
    }
}

/// Microseconds since 1970.
fn now_us() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}
