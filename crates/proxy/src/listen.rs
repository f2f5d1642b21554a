//! Addresses: bound once for all workers, accepted on by each.
//! It knows nothing about requests; a connection is handed to `serve` and counted until it ends.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;

use arc_swap::ArcSwap;
use model::Listener;
use rustix::io::Errno;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use crate::client::Client;
use crate::serve::serve;
use crate::worker::Worker;

/// Connections that the kernel completes and keeps until a worker accepts them; it may lower this
/// to `net.core.somaxconn`.
const BACKLOG: i32 = 4096;

/// One address that is accepted on, by one socket per worker.
#[derive(Debug)]
pub(crate) struct Acceptor {
    pub(crate) id: u64,
    /// As configured, possibly with port 0.
    pub(crate) bind: SocketAddr,
    /// As it is.
    pub(crate) local: SocketAddr,
    /// Its name and its limits, which a reload may change.
    pub(crate) listener: ArcSwap<Listener>,
    /// Connections open now, over all workers.
    open: AtomicU32,
    sockets: Vec<Mutex<Option<std::net::TcpListener>>>,
}

/// An address that cannot be accepted on.
#[derive(Debug, thiserror::Error)]
#[error("listener {listener}: {}", explain(*.addr, .source))]
pub struct ListenError {
    /// The name of the listener.
    pub listener: Box<str>,
    /// The address.
    pub addr: SocketAddr,
    /// What the kernel said.
    pub source: io::Error,
}

/// Counts a connection while it is open, and gives up the room that was taken for it.
struct Opened {
    acceptor: Arc<Acceptor>,
    worker: Rc<Worker>,
}

impl Acceptor {
    /// Binds one socket per worker.
    ///
    /// # Errors
    /// [`ListenError`] with what to do about it. Nothing stays bound then.
    pub(crate) fn bind(
        id: u64,
        listener: &Arc<Listener>,
        workers: usize,
    ) -> Result<Self, ListenError> {
        let failed =
            |source| ListenError { listener: listener.name.clone(), addr: listener.bind, source };
        let sockets = bind_all(listener.bind, workers).map_err(failed)?;
        let local = sockets.first().map_or(Ok(listener.bind), std::net::TcpListener::local_addr);
        Ok(Self {
            id,
            bind: listener.bind,
            local: local.map_err(failed)?,
            listener: ArcSwap::new(Arc::clone(listener)),
            open: AtomicU32::new(0),
            sockets: sockets.into_iter().map(|socket| Mutex::new(Some(socket))).collect(),
        })
    }

    fn take_socket(&self, worker: usize) -> io::Result<TcpListener> {
        let slot = self.sockets.get(worker).ok_or(io::ErrorKind::NotFound)?;
        let socket = slot.lock().unwrap_or_else(PoisonError::into_inner).take();
        TcpListener::from_std(socket.ok_or(io::ErrorKind::NotFound)?)
    }

    /// Takes room for one connection, unless none is left.
    fn enter(&self) -> bool {
        let is_room =
            self.open.fetch_add(1, Ordering::Relaxed) < self.listener.load().limits.connections_max;
        if !is_room {
            self.leave();
        }
        is_room
    }

    fn leave(&self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Accepts on one worker's socket until told to stop. What the kernel has completed by then is
/// still accepted: closing the socket would reset it.
pub(crate) async fn accept(worker: Rc<Worker>, acceptor: Arc<Acceptor>, stop: Rc<Notify>) {
    let listener = match acceptor.take_socket(worker.number) {
        Ok(listener) => listener,
        Err(error) => {
            let listener = &acceptor.listener.load().name;
            tracing::error!(%listener, %error, "a worker could not listen");
            return;
        }
    };
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.notified() => break,
            accepted = accept_one(&worker, &acceptor, &listener) => accepted,
        };
        match accepted {
            Ok((stream, peer)) => spawn(&worker, &acceptor, stream, peer),
            Err(error) => {
                report(&worker, &acceptor, &error);
                // Mostly no file descriptors left: accepting again at once would spin.
                worker.ticked.notified().await;
            }
        }
    }
    if let Err(error) = accept_rest(&worker, &acceptor, listener) {
        report(&worker, &acceptor, &error);
    }
}

/// The next connection, with room taken for it once there is some. Looking for room and taking it
/// are one step, so that two workers do not count on the same.
async fn accept_one(
    worker: &Worker,
    acceptor: &Acceptor,
    listener: &TcpListener,
) -> io::Result<(TcpStream, SocketAddr)> {
    loop {
        let accepted = poll_fn(|cx| {
            if !acceptor.enter() {
                return Poll::Ready(None);
            }
            let accepted = listener.poll_accept(cx);
            if !matches!(accepted, Poll::Ready(Ok(_))) {
                acceptor.leave();
            }
            accepted.map(Some)
        });
        match accepted.await {
            Some(accepted) => return accepted,
            None => worker.ticked.notified().await,
        }
    }
}

/// Accepts what the kernel has completed, asking the kernel itself: the runtime hears of it later.
/// This may be more than the limit allows, but nobody else can take it any more.
fn accept_rest(
    worker: &Rc<Worker>,
    acceptor: &Arc<Acceptor>,
    listener: TcpListener,
) -> io::Result<()> {
    let listener = listener.into_std()?;
    loop {
        match listener.accept() {
            Ok((stream, peer)) => {
                stream.set_nonblocking(true)?;
                let stream = TcpStream::from_std(stream)?;
                acceptor.open.fetch_add(1, Ordering::Relaxed);
                spawn(worker, acceptor, stream, peer);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => return Err(error),
        }
    }
}

fn report(worker: &Worker, acceptor: &Acceptor, error: &io::Error) {
    if worker.may_warn() {
        let listener = &acceptor.listener.load().name;
        tracing::warn!(%listener, %error,
            "a connection could not be accepted; if too many files are open, raise `ulimit -n`");
    }
}

/// Serves a connection for which room was taken.
fn spawn(worker: &Rc<Worker>, acceptor: &Arc<Acceptor>, stream: TcpStream, peer: SocketAddr) {
    let opened = Opened::new(acceptor, worker);
    let listener = acceptor.listener.load_full();
    tokio::task::spawn_local(async move {
        let deadline = opened.worker.timers.deadline();
        let mut client = Client::new(stream, peer, listener, deadline);
        serve(&mut client, &opened.worker).await;
    });
}

impl Opened {
    fn new(acceptor: &Arc<Acceptor>, worker: &Rc<Worker>) -> Self {
        worker.registry.process().worker(worker.number).connection_opened();
        Self { acceptor: Arc::clone(acceptor), worker: Rc::clone(worker) }
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.acceptor.leave();
        self.worker.registry.process().worker(self.worker.number).connection_closed();
    }
}

/// Binds `count` sockets to one address. `SO_REUSEPORT` lets any process of ours share a port, a
/// second Herder included, so a bind without it comes first and finds out whether it is free.
fn bind_all(addr: SocketAddr, count: usize) -> io::Result<Vec<std::net::TcpListener>> {
    drop(bind_socket(addr, Sharing::Alone)?);
    let mut sockets: Vec<std::net::TcpListener> = Vec::with_capacity(count);
    for _ in 0..count {
        let addr = sockets.first().map_or(Ok(addr), std::net::TcpListener::local_addr)?;
        let socket = bind_socket(addr, Sharing::Workers)?;
        socket.listen(BACKLOG)?;
        sockets.push(socket.into());
    }
    Ok(sockets)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sharing {
    Alone,
    Workers,
}

fn bind_socket(addr: SocketAddr, sharing: Sharing) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(sharing == Sharing::Workers)?;
    // Accepted sockets inherit it: no system call per connection.
    socket.set_tcp_nodelay(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    Ok(socket)
}

fn explain(addr: SocketAddr, error: &io::Error) -> String {
    let port = addr.port();
    match error.kind() {
        io::ErrorKind::AddrInUse => format!(
            "{addr} is already in use; stop what uses it (`ss -ltnp 'sport = :{port}'` shows it) \
             or bind another address"
        ),
        io::ErrorKind::PermissionDenied => format!(
            "{addr} may not be bound; ports below 1024 need root or CAP_NET_BIND_SERVICE, so \
             bind a higher port"
        ),
        io::ErrorKind::AddrNotAvailable => format!(
            "{addr} is not an address of this machine; bind 0.0.0.0 for all of them or 127.0.0.1 \
             for this machine alone"
        ),
        _ if error.raw_os_error() == Some(Errno::MFILE.raw_os_error()) => {
            format!("{addr} cannot be bound: {error}; raise the limit of open files (`ulimit -n`)")
        }
        _ => format!("{addr} cannot be bound: {error}"),
    }
}
