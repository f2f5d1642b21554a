//! One worker: a thread with its own runtime, listener sockets, idle connections and counters.
//! It shares with other workers only the published table and what hangs on its endpoints.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::num::NonZeroU32;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use arc_swap::{ArcSwap, Cache};
use model::{
    Ask, InFlight, InstanceId, Mode, Notice, Outcome, Pool, Report, ServiceName, Table, Time,
};
use telemetry::{AccessWriter, Line, Registry};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use crate::client::Client;
use crate::handle::Reporter;
use crate::idle::Idle;
use crate::listen::{Acceptor, accept};
use crate::snapshot::{Place, Snapshot};
use crate::splice;
use crate::timers::{TICK, Timers};
use crate::wish::Wish;

/// Longest `X-Request-Id` of a client that is passed on; a longer one is replaced.
const REQUEST_ID_BYTES_MAX: usize = 128;

/// Between two warnings of one worker about connections that cannot be made.
const WARNING_INTERVAL_MS: u64 = 1000;

/// How long the connections of a worker that ends may take for their last words.
const END_MAX: Duration = Duration::from_millis(200);
/// Between two looks at whether they are gone.
const END_POLL: Duration = Duration::from_millis(1);

/// What all workers are to do: the whole of it each time, so that nothing can be missed.
#[derive(Debug, Default)]
pub(crate) struct Orders {
    pub(crate) acceptors: Vec<Arc<Acceptor>>,
    pub(crate) stage: Stage,
}

/// How far Herder is on its way out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Stage {
    #[default]
    Serving,
    /// Accept nothing, finish what runs, close what idles.
    Draining,
    /// End now.
    Stopped,
}

/// What a worker is made of; sent to its thread.
pub(crate) struct Parts {
    pub(crate) number: usize,
    pub(crate) registry: Arc<Registry>,
    pub(crate) published: Arc<ArcSwap<Table>>,
    pub(crate) changes: watch::Receiver<u64>,
    pub(crate) access: Option<AccessWriter>,
    /// One in so many requests that end well is logged.
    pub(crate) access_one_in: NonZeroU32,
    pub(crate) report: Reporter,
    pub(crate) orders: watch::Receiver<Arc<Orders>>,
    /// Workers that may still accept a connection; one less when this one is draining.
    pub(crate) accepting: Arc<AtomicUsize>,
    /// The wall clock and the monotonic clock at one moment.
    pub(crate) epoch: (Time, Instant),
}

/// What the connections of one worker share.
pub(crate) struct Worker {
    pub(crate) number: usize,
    pub(crate) registry: Arc<Registry>,
    pub(crate) idle: Idle,
    pub(crate) timers: Rc<Timers>,
    pub(crate) changes: watch::Receiver<u64>,
    /// Notified at every tick.
    pub(crate) ticked: Notify,
    warned_ms: Cell<u64>,
    /// Client connections so far.
    numbers: Cell<u64>,
    published: RefCell<Cache<Arc<ArcSwap<Table>>, Arc<Table>>>,
    snapshot: RefCell<Rc<Snapshot>>,
    rng: RefCell<fastrand::Rng>,
    access: RefCell<Option<AccessWriter>>,
    is_draining: Cell<bool>,
    has_access_log: bool,
    access_one_in: NonZeroU32,
    report: Reporter,
    epoch: (Time, Instant),
}

/// Runs a worker until it is told to stop.
pub(crate) async fn run(parts: Parts) {
    let mut orders = parts.orders.clone();
    let workers_accepting = Arc::clone(&parts.accepting);
    let worker = Rc::new(Worker::new(parts));
    let ticker = tokio::task::spawn_local(tick(Rc::clone(&worker)));
    let mut accepting: HashMap<u64, Accepting> = HashMap::new();
    loop {
        let now = Arc::clone(&orders.borrow_and_update());
        if now.stage == Stage::Stopped {
            break;
        }
        if !worker.is_draining() {
            accepting.retain(|&id, one| {
                let stays = now.acceptors.iter().any(|acceptor| acceptor.id == id);
                if !stays {
                    one.stop.notify_one();
                }
                stays
            });
            for acceptor in &now.acceptors {
                let begin = || Accepting::begin(&worker, acceptor);
                accepting.entry(acceptor.id).or_insert_with(begin);
            }
        }
        if now.stage == Stage::Draining && !worker.is_draining() {
            worker.is_draining.set(true);
            worker.timers.wake_all();
            for (_, one) in accepting.drain() {
                one.end().await;
            }
            workers_accepting.fetch_sub(1, Ordering::Release);
        }
        if orders.changed().await.is_err() {
            break;
        }
    }
    ticker.abort();
    worker.is_draining.set(true);
    worker.timers.end();
    let ended = async {
        while !worker.timers.is_empty() {
            tokio::time::sleep(END_POLL).await;
        }
    };
    if tokio::time::timeout(END_MAX, ended).await.is_err() {
        tracing::warn!("connections were cut off without a word in the access log");
    }
    worker.flush_log();
}

async fn tick(worker: Rc<Worker>) {
    let mut interval = tokio::time::interval(TICK);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        interval.tick().await;
        worker.timers.tick();
        worker.idle.prune(worker.timers.now_ms());
        splice::prune();
        worker.flush_log();
        worker.ticked.notify_waiters();
    }
}

/// The task that accepts at one address, and how it is told to stop.
struct Accepting {
    stop: Rc<Notify>,
    task: JoinHandle<()>,
}

impl Accepting {
    fn begin(worker: &Rc<Worker>, acceptor: &Arc<Acceptor>) -> Self {
        let stop = Rc::new(Notify::new());
        let accepting = accept(Rc::clone(worker), Arc::clone(acceptor), Rc::clone(&stop));
        Self { stop, task: tokio::task::spawn_local(accepting) }
    }

    /// Returns when what the kernel had completed is accepted and the socket is closed.
    async fn end(self) {
        self.stop.notify_one();
        if let Err(error) = self.task.await {
            tracing::error!(%error, "accepting connections had failed");
        }
    }
}

impl Worker {
    fn new(parts: Parts) -> Self {
        let mut published = Cache::new(parts.published);
        let snapshot = Snapshot::of(published.load(), &parts.registry);
        Self {
            number: parts.number,
            idle: Idle::default(),
            timers: Rc::new(Timers::new()),
            changes: parts.changes,
            ticked: Notify::new(),
            warned_ms: Cell::new(0),
            numbers: Cell::new(0),
            published: RefCell::new(published),
            snapshot: RefCell::new(Rc::new(snapshot)),
            rng: RefCell::new(fastrand::Rng::new()),
            has_access_log: parts.access.is_some(),
            access_one_in: parts.access_one_in,
            access: RefCell::new(parts.access),
            is_draining: Cell::new(false),
            registry: parts.registry,
            report: parts.report,
            epoch: parts.epoch,
        }
    }

    /// The newest table: one atomic load when it has not changed.
    pub(crate) fn snapshot(&self) -> Rc<Snapshot> {
        let mut published = self.published.borrow_mut();
        let table = published.load();
        let mut current = self.snapshot.borrow_mut();
        if !Arc::ptr_eq(&current.table, table) {
            *current = Rc::new(Snapshot::of(table, &self.registry));
        }
        Rc::clone(&current)
    }

    /// Where a service is in the newest table. Its slot alone would not do: once it is removed, the
    /// slot may be another's.
    pub(crate) fn place_of(&self, slot: usize, name: &ServiceName) -> Option<Place> {
        let snapshot = self.snapshot();
        let is_it = |pool: &Arc<Pool>| pool.slot == slot && pool.service.name == *name;
        let at = snapshot.table.pools.iter().position(is_it)?;
        Some(Place { snapshot, at })
    }

    /// Where a service in TCP mode is in the newest table.
    pub(crate) fn place_named(&self, name: &ServiceName) -> Option<Place> {
        let snapshot = self.snapshot();
        let is_it = |pool: &Arc<Pool>| pool.service.name == *name && pool.service.mode == Mode::Tcp;
        let at = snapshot.table.pools.iter().position(is_it)?;
        Some(Place { snapshot, at })
    }

    /// A number that no other connection of this worker has had; never 0.
    pub(crate) fn next_number(&self) -> u64 {
        self.numbers.set(self.numbers.get() + 1);
        self.numbers.get()
    }

    pub(crate) fn pick(&self, pool: &Pool, wish: Wish, tried: &[u64]) -> Option<InFlight> {
        wish.begin_at_home(pool, tried).or_else(|| {
            let ask = Ask { now: self.now(), hash: wish.hash, tried };
            pool.selector.pick(&ask, &mut self.rng.borrow_mut())
        })
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.is_draining.get()
    }

    /// Whether the client may send another request after the one it is at.
    pub(crate) fn keeps_alive<C>(&self, client: &Client<C>) -> bool {
        client.head.wants_keep_alive()
            && client.served < client.listener.limits.requests_per_connection_max
            && u64::from(client.pipelined) < client.listener.limits.pipelined_max
            && !self.is_draining()
    }

    /// Fills in the request id, the client's if it is a plain one.
    pub(crate) fn name_request<C>(&self, client: &mut Client<C>) {
        let buffer = client.input.unread();
        client.request_id.clear();
        match client.head.request_id().map(|id| id.of(buffer)).filter(|id| is_plain(id)) {
            Some(id) => client.request_id.extend_from_slice(id),
            None => write_hex(&mut client.request_id, self.rng.borrow_mut().u128(..)),
        }
    }

    pub(crate) fn report(&self, id: &InstanceId, report: Report) {
        (self.report)(id, report);
    }

    /// Takes note of what an instance made of an attempt, and tells control when it should look.
    pub(crate) fn observe(&self, begun: &InFlight, outcome: Outcome) {
        if begun.observe(outcome, self.now()) == Notice::Look {
            self.report(&begun.endpoint().id, Report::Look);
        }
    }

    /// Whether it is time for a warning again about what may happen thousands of times a second:
    /// one a second and worker.
    pub(crate) fn may_warn(&self) -> bool {
        let now_ms = self.now_ms();
        let is_time = now_ms >= self.warned_ms.get();
        if is_time {
            self.warned_ms.set(now_ms.saturating_add(WARNING_INTERVAL_MS));
        }
        is_time
    }

    pub(crate) fn now_ms(&self) -> u64 {
        self.timers.now_ms()
    }

    /// When about so much time has passed: a tenth sooner or later, so that what began together
    /// does not end together. In [`Worker::now_ms`].
    pub(crate) fn about(&self, time: Duration) -> u64 {
        let factor = self.rng.borrow_mut().f64().mul_add(0.2, 0.9);
        let ms = u64::try_from(time.mul_f64(factor).as_millis()).unwrap_or(u64::MAX);
        self.now_ms().saturating_add(ms)
    }

    /// A number from 0 to 1.
    pub(crate) fn chance(&self) -> f64 {
        self.rng.borrow_mut().f64()
    }

    /// Whether the next request has a line in the access log even if it ends well.
    pub(crate) fn samples(&self) -> bool {
        let one_in = self.access_one_in.get();
        one_in == 1 || self.rng.borrow_mut().u32(..one_in) == 0
    }

    pub(crate) fn has_access_log(&self) -> bool {
        self.has_access_log
    }

    pub(crate) fn log(&self, line: &Line<'_>) {
        if let Some(access) = &mut *self.access.borrow_mut() {
            access.line(line);
        }
    }

    fn flush_log(&self) {
        if let Some(access) = &mut *self.access.borrow_mut() {
            access.flush();
        }
    }

    /// Now, to within a tick.
    pub(crate) fn now(&self) -> Time {
        self.epoch.0 + Duration::from_millis(self.now_ms())
    }

    /// The date of an instant.
    pub(crate) fn wall(&self, at: Instant) -> Time {
        self.epoch.0 + at.saturating_duration_since(self.epoch.1)
    }
}

fn is_plain(id: &[u8]) -> bool {
    let plain = |b: &u8| b.is_ascii_alphanumeric() || b"-_.:/+=@".contains(b);
    (1..=REQUEST_ID_BYTES_MAX).contains(&id.len()) && id.iter().all(plain)
}

fn write_hex(out: &mut Vec<u8>, number: u128) {
    let mut digits = [0; 32];
    for (pair, byte) in digits.chunks_exact_mut(2).zip(number.to_be_bytes()) {
        pair.copy_from_slice(&HEX[usize::from(byte)]);
    }
    out.extend_from_slice(&digits);
}

/// The two digits of each byte.
const HEX: [[u8; 2]; 256] = {
    let digits = b"0123456789abcdef";
    let mut table = [[0; 2]; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = [digits[byte >> 4], digits[byte & 15]];
        byte += 1;
    }
    table
};
