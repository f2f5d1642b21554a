//! The demo's load: a steady number of requests per second over a few kept connections, counted.
//! It repeats nothing: every request is sent once, and one that fails stays failed.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Request, header};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};

use crate::shop::INSTANCE_HEADER;

/// How long one request may take. Beyond: failed.
const TIMEOUT_REQUEST: Duration = Duration::from_secs(10);

/// Distinct reasons that are kept. Beyond: counted as `other`.
const REASONS_MAX: usize = 16;

/// What to send where.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// Where to.
    pub(crate) addr: SocketAddr,
    /// The path and query of every request.
    pub(crate) path: &'static str,
    /// Connections that are kept open.
    pub(crate) connections: u32,
    /// Requests per second, over all connections.
    pub(crate) rate: u32,
}

/// What was sent and what came back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Requests sent.
    pub(crate) sent: u64,
    /// Answered with 200 to 299, by instance.
    pub(crate) answered: BTreeMap<String, u64>,
    /// Not answered so, by reason.
    pub(crate) failed: BTreeMap<String, u64>,
}

/// A load under way, on a thread of its own.
#[derive(Debug)]
pub(crate) struct Load {
    tally: Arc<Mutex<Tally>>,
    end: watch::Sender<bool>,
    thread: JoinHandle<()>,
}

impl Tally {
    /// How many failed, for whatever reason.
    pub(crate) fn failures(&self) -> u64 {
        self.failed.values().sum()
    }

    /// Adds what became of others.
    pub(crate) fn add(&mut self, other: &Self) {
        self.sent += other.sent;
        for (all, more) in
            [(&mut self.answered, &other.answered), (&mut self.failed, &other.failed)]
        {
            for (name, count) in more {
                *all.entry(name.clone()).or_default() += count;
            }
        }
    }

    fn count(&mut self, outcome: Result<String, String>) {
        self.sent += 1;
        match outcome {
            Ok(instance) => *self.answered.entry(instance).or_default() += 1,
            Err(reason) => {
                let known = self.failed.len() < REASONS_MAX || self.failed.contains_key(&reason);
                let reason = if known { reason } else { "other".to_owned() };
                *self.failed.entry(reason).or_default() += 1;
            }
        }
    }
}

impl Load {
    /// Begins.
    ///
    /// # Errors
    /// When there is no thread or no runtime to be had.
    pub(crate) fn start(plan: Plan) -> std::io::Result<Self> {
        let tally = Arc::<Mutex<Tally>>::default();
        let (end, ended) = watch::channel(false);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let counted = Arc::clone(&tally);
        let thread = std::thread::Builder::new()
            .name("load".to_owned())
            .spawn(move || runtime.block_on(all(plan, counted, ended)))?;
        Ok(Self { tally, end, thread })
    }

    /// What there is so far.
    pub(crate) fn tally(&self) -> Tally {
        lock(&self.tally).clone()
    }

    /// Lets the requests that are under way finish, and says what there was.
    pub(crate) fn finish(self) -> Tally {
        self.end.send_replace(true);
        if self.thread.join().is_err() {
            lock(&self.tally).count(Err("the load itself broke; please report it".to_owned()));
        }
        lock(&self.tally).clone()
    }
}

/// Sends one request on a connection of its own and says which instance answered.
///
/// # Errors
/// Why it failed.
pub(crate) async fn ask(addr: SocketAddr, path: &str) -> Result<String, String> {
    Connection::new(addr).request(path).await
}

async fn all(plan: Plan, tally: Arc<Mutex<Tally>>, ended: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    let period = Duration::from_secs(1) * plan.connections / plan.rate;
    let start = Instant::now();
    for index in 0..plan.connections {
        // Spread over one period, so that the connections do not all send at the same moment.
        let first = start + period * index / plan.connections;
        let mut tick = tokio::time::interval_at(first, period);
        // What is late is sent at once, so that a stall shows as many slow requests and not as few.
        tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let (tally, mut ended) = (Arc::clone(&tally), ended.clone());
        connections.spawn(async move {
            let mut connection = Connection::new(plan.addr);
            loop {
                tokio::select! {
                    _ = ended.wait_for(|&ended| ended) => return,
                    _ = tick.tick() => {}
                }
                let outcome = connection.request(plan.path).await;
                lock(&tally).count(outcome);
            }
        });
    }
    while connections.join_next().await.is_some() {}
}

/// A connection that is opened when it is needed and kept for as long as the other side keeps it.
struct Connection {
    addr: SocketAddr,
    sender: Option<SendRequest<Empty<Bytes>>>,
    /// Drives the connection; ends with it, and is aborted when this is dropped.
    driver: JoinSet<()>,
}

impl Connection {
    fn new(addr: SocketAddr) -> Self {
        Self { addr, sender: None, driver: JoinSet::new() }
    }

    async fn request(&mut self, path: &str) -> Result<String, String> {
        match tokio::time::timeout(TIMEOUT_REQUEST, self.exchange(path)).await {
            Ok(Ok(instance)) => Ok(instance),
            Ok(Err(reason)) => {
                self.sender = None;
                Err(reason)
            }
            Err(_) => {
                self.sender = None;
                Err(format!("no answer within {} s", TIMEOUT_REQUEST.as_secs()))
            }
        }
    }

    async fn exchange(&mut self, path: &str) -> Result<String, String> {
        let request = Request::get(path).header(header::HOST, self.addr.to_string());
        let request = request.body(Empty::new()).map_err(|error| error.to_string())?;
        let sender = self.sender().await?;
        let answer = sender.send_request(request).await.map_err(|error| why(&error))?;
        let (head, body) = answer.into_parts();
        let body = body.collect().await.map_err(|error| why(&error))?.to_bytes();
        if !head.status.is_success() {
            let text = String::from_utf8_lossy(&body);
            return Err(format!("{}: {}", head.status, text.lines().next().unwrap_or("")));
        }
        let instance = head.headers.get(INSTANCE_HEADER).and_then(|value| value.to_str().ok());
        instance.map(str::to_owned).ok_or_else(|| "an answer from no instance".to_owned())
    }

    async fn sender(&mut self) -> Result<&mut SendRequest<Empty<Bytes>>, String> {
        let usable = match &mut self.sender {
            Some(sender) => sender.ready().await.is_ok(),
            None => false,
        };
        if !usable {
            let stream = TcpStream::connect(self.addr).await.map_err(|error| why(&error))?;
            stream.set_nodelay(true).map_err(|error| why(&error))?;
            let opened = handshake(TokioIo::new(stream)).await.map_err(|error| why(&error))?;
            let (sender, connection) = opened;
            self.driver.abort_all();
            self.driver.spawn(async move {
                // What goes wrong reaches the request that is under way.
                connection.await.ok();
            });
            self.sender = Some(sender);
        }
        Ok(self.sender.as_mut().expect("there is one now"))
    }
}

/// The error with its causes, as a reason that is the same for the same kind of failure.
fn why(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}

/// A panic while the lock was held left counts that are as good as any.
fn lock(tally: &Mutex<Tally>) -> MutexGuard<'_, Tally> {
    tally.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_bounded_and_nothing_is_lost() {
        let mut tally = Tally::default();
        tally.count(Ok("shop.1".to_owned()));
        for n in 0..100 {
            tally.count(Err(format!("reason {n}")));
        }
        tally.count(Err("reason 0".to_owned()));
        assert_eq!((tally.sent, tally.failures()), (102, 101));
        assert_eq!(tally.failed.len(), REASONS_MAX + 1);
        assert_eq!((tally.failed["reason 0"], tally.failed["other"]), (2, 84));
    }

    #[test]
    fn a_refused_connection_is_a_failure_with_a_reason() {
        let unused = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let reason = runtime.block_on(ask(unused, "/")).unwrap_err();
        assert!(reason.contains("refused"), "{reason}");
    }
}
