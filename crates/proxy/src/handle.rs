//! The data plane as the rest of Herder sees it: start, publish, listen, drain, stop.
//! Preparing may fail and changes nothing; committing changes everything and cannot fail.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use arc_swap::ArcSwap;
use model::{InstanceId, Listener, Report, Table, Time};
use telemetry::{AccessLog, Registry};
use tokio::runtime::LocalOptions;
use tokio::sync::watch;

use crate::listen::{Acceptor, ListenError};
use crate::worker::{Orders, Parts, Stage, run};

/// Between two looks at whether all connections are gone.
const DRAIN_POLL: Duration = Duration::from_millis(10);

/// Takes what a worker has to say about an instance.
pub type Reporter = Arc<dyn Fn(&InstanceId, Report) + Send + Sync>;

/// What the data plane is started with.
pub struct Settings {
    /// Threads, each with listener sockets of its own; at least 1.
    pub workers: usize,
    /// Where requests are counted; made for as many workers.
    pub registry: Arc<Registry>,
    /// Where requests are logged, if they are.
    pub access: Option<Arc<AccessLog>>,
    /// One in so many of the requests that end well is logged, by chance. All others are.
    pub access_one_in: NonZeroU32,
    /// Told of an instance that should be looked at, and why. Must not block.
    pub report: Reporter,
}

/// The running data plane.
pub struct Proxy {
    published: Publisher,
    orders: watch::Sender<Arc<Orders>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    registry: Arc<Registry>,
    workers: usize,
    next_id: AtomicU64,
    /// Workers that may still accept a connection.
    accepting: Arc<AtomicUsize>,
}

/// Publishes tables to all workers.
#[derive(Clone)]
pub struct Publisher {
    table: Arc<ArcSwap<Table>>,
    changes: watch::Sender<u64>,
}

/// Listeners that were bound and not yet put into use. Dropping it unbinds the new ones.
pub struct Prepared {
    acceptors: Vec<(Arc<Acceptor>, Arc<Listener>)>,
}

/// Starts the worker threads. Nothing is listened on yet, and the table is empty.
///
/// # Errors
/// When a thread or its runtime cannot be made, mostly for want of file descriptors.
pub fn spawn(settings: &Settings) -> io::Result<Proxy> {
    let published = Publisher {
        table: Arc::new(ArcSwap::from_pointee(Table::default())),
        changes: watch::Sender::new(0),
    };
    let orders = watch::Sender::new(Arc::new(Orders::default()));
    let workers = settings.workers.max(1);
    let epoch = (wall_clock(), Instant::now());
    let accepting = Arc::new(AtomicUsize::new(workers));
    let mut threads = Vec::with_capacity(workers);
    for number in 0..workers {
        let parts = Parts {
            number,
            registry: Arc::clone(&settings.registry),
            published: Arc::clone(&published.table),
            changes: published.changes.subscribe(),
            access: settings.access.as_ref().map(|log| log.writer()),
            access_one_in: settings.access_one_in,
            report: Arc::clone(&settings.report),
            orders: orders.subscribe(),
            accepting: Arc::clone(&accepting),
            epoch,
        };
        threads.push(start(parts)?);
    }
    Ok(Proxy {
        published,
        orders,
        threads: Mutex::new(threads),
        registry: Arc::clone(&settings.registry),
        workers,
        next_id: AtomicU64::new(1),
        accepting,
    })
}

/// Starts one worker's thread, and says so only once its runtime stands.
fn start(parts: Parts) -> io::Result<JoinHandle<()>> {
    let (made, is_made) = std::sync::mpsc::sync_channel(1);
    let name = format!("worker-{}", parts.number);
    let thread = std::thread::Builder::new().name(name).spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build_local(LocalOptions::default());
        match runtime {
            Ok(runtime) => {
                if made.send(Ok(())).is_ok() {
                    runtime.block_on(run(parts));
                }
            }
            Err(error) => drop(made.send(Err(error))),
        }
    })?;
    is_made.recv().map_err(io::Error::other)??;
    Ok(thread)
}

impl Publisher {
    /// Makes the table the one that every request from now on sees.
    pub fn publish(&self, table: Arc<Table>) {
        let version = table.version;
        self.table.store(table);
        self.changes.send_replace(version);
    }
}

impl Proxy {
    /// Publishes tables; may be cloned and sent.
    pub fn publisher(&self) -> Publisher {
        self.published.clone()
    }

    /// Binds what is not bound yet. An address that is accepted on already stays as it is.
    ///
    /// # Errors
    /// [`ListenError`] for the first address that cannot be bound; nothing has changed then.
    pub fn prepare(
        &self,
        listeners: &BTreeMap<Box<str>, Arc<Listener>>,
    ) -> Result<Prepared, ListenError> {
        let now = Arc::clone(&self.orders.borrow());
        let mut acceptors = Vec::with_capacity(listeners.len());
        for listener in listeners.values() {
            let is_same = |a: &&Arc<Acceptor>| {
                a.bind == listener.bind
                    && (a.bind.port() != 0 || a.listener.load().name == listener.name)
            };
            let acceptor = match now.acceptors.iter().find(is_same) {
                Some(bound) => Arc::clone(bound),
                None => {
                    let id = self.next_id.fetch_add(1, Ordering::Relaxed);
                    Arc::new(Acceptor::bind(id, listener, self.workers)?)
                }
            };
            acceptors.push((acceptor, Arc::clone(listener)));
        }
        Ok(Prepared { acceptors })
    }

    /// Accepts on what was prepared and on nothing else. Open connections are kept; changed limits
    /// are for new ones.
    pub fn commit(&self, prepared: Prepared) {
        let stage = self.orders.borrow().stage;
        let mut acceptors = Vec::with_capacity(prepared.acceptors.len());
        for (acceptor, listener) in prepared.acceptors {
            acceptor.listener.store(listener);
            acceptors.push(acceptor);
        }
        self.orders.send_replace(Arc::new(Orders { acceptors, stage }));
    }

    /// Where it accepts, by the listener's name; a configured port 0 is resolved.
    pub fn addresses(&self) -> Vec<(Box<str>, SocketAddr)> {
        let orders = self.orders.borrow();
        orders.acceptors.iter().map(|a| (a.listener.load().name.clone(), a.local)).collect()
    }

    /// Stops accepting, closes idle connections, lets requests finish, and returns when no
    /// connection is left or the time is over. Says how many were left.
    pub async fn drain(&self, timeout: Duration) -> i64 {
        self.advance(Stage::Draining);
        let open = || self.registry.process().connections_open();
        let is_over = async {
            while self.accepting.load(Ordering::Acquire) > 0 || open() > 0 {
                tokio::time::sleep(DRAIN_POLL).await;
            }
        };
        match tokio::time::timeout(timeout, is_over).await {
            Ok(()) => 0,
            Err(_) => open(),
        }
    }

    /// Ends the workers now, with whatever they have open.
    pub fn stop(&self) {
        self.advance(Stage::Stopped);
        let threads =
            std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("a worker thread had panicked");
            }
        }
    }

    fn advance(&self, stage: Stage) {
        let acceptors = self.orders.borrow().acceptors.clone();
        self.orders.send_replace(Arc::new(Orders { acceptors, stage }));
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.stop();
    }
}

fn wall_clock() -> Time {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Time::from_ms(u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX))
}
