//! Addresses: bound once for all workers, accepted on by each.
//! It knows nothing about connections but that there is room for one more.

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
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use crate::connection::{Accepted, begin};
use crate::crowd::Crowd;
use crate::socket::{bind_all, keep_alive};
use crate::worker::Worker;

/// Connections that a worker accepts in a row, when that many wait, before those that it has get
/// their turn.
const ACCEPTS_MAX: u32 = 64;

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
    /// Whose they are, if that is bounded.
    pub(crate) crowd: Crowd,
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
        let sockets = bind_all(listener.bind, workers, listener.keepalive).map_err(failed)?;
        let local = sockets.first().map_or(Ok(listener.bind), std::net::TcpListener::local_addr);
        Ok(Self {
            id,
            bind: listener.bind,
            local: local.map_err(failed)?,
            listener: ArcSwap::new(Arc::clone(listener)),
            open: AtomicU32::new(0),
            crowd: Crowd::default(),
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

    /// Gives up room that was taken.
    pub(crate) fn leave(&self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What one worker accepts on.
struct Accepting {
    worker: Rc<Worker>,
    acceptor: Arc<Acceptor>,
    socket: TcpListener,
    /// As the options of the socket are.
    listener: Arc<Listener>,
}

/// Accepts on one worker's socket until told to stop. What the kernel has completed by then is
/// still accepted: closing the socket would reset it.
pub(crate) async fn accept(worker: Rc<Worker>, acceptor: Arc<Acceptor>, stop: Rc<Notify>) {
    let listener = acceptor.listener.load_full();
    let taken = acceptor.take_socket(worker.number).and_then(|socket| {
        // A reload may have come in between.
        keep_alive(&socket, listener.keepalive).map(|()| socket)
    });
    let socket = match taken {
        Ok(socket) => socket,
        Err(error) => {
            tracing::error!(listener = %listener.name, %error, "a worker could not listen");
            return;
        }
    };
    let mut accepting = Accepting { worker, acceptor, socket, listener };
    let mut in_a_row = 0;
    loop {
        if in_a_row == ACCEPTS_MAX {
            in_a_row = 0;
            tokio::task::yield_now().await;
        }
        let accepted = tokio::select! {
            biased;
            () = stop.notified() => break,
            accepted = accepting.next() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                in_a_row += 1;
                accepting.begin(stream, peer);
            }
            Err(error) => {
                accepting.report(&error);
                // Mostly no file descriptors left: accepting again at once would spin.
                accepting.worker.ticked.notified().await;
            }
        }
    }
    accepting.finish();
}

impl Accepting {
    /// The next connection, with room taken for it once there is some. Looking for room and taking
    /// it are one step, so that two workers do not count on the same.
    async fn next(&self) -> io::Result<(TcpStream, SocketAddr)> {
        loop {
            let accepted = poll_fn(|cx| {
                if !self.acceptor.enter() {
                    return Poll::Ready(None);
                }
                let accepted = self.socket.poll_accept(cx);
                if !matches!(accepted, Poll::Ready(Ok(_))) {
                    self.acceptor.leave();
                }
                accepted.map(Some)
            });
            match accepted.await {
                Some(accepted) => return accepted,
                None => self.worker.ticked.notified().await,
            }
        }
    }

    /// Serves a connection for which room was taken.
    fn begin(&mut self, stream: TcpStream, peer: SocketAddr) {
        let now = self.acceptor.listener.load();
        if !Arc::ptr_eq(&now, &self.listener) {
            self.listener = Arc::clone(&now);
            // What was accepted already has inherited what was before.
            let keepalive = self.listener.keepalive;
            let kept = keep_alive(&self.socket, keepalive);
            if let Err(error) = kept.and_then(|()| keep_alive(&stream, keepalive)) {
                let listener = &self.listener.name;
                tracing::warn!(%listener, %error, "tcp_keepalive could not be set");
            }
        }
        let listener = Arc::clone(&self.listener);
        begin(&self.worker, &self.acceptor, Accepted { stream, peer, listener });
    }

    /// Accepts what the kernel has completed, asking the kernel itself: the runtime hears of it
    /// later. This may be more than the limit allows, but nobody else can take it any more.
    fn finish(self) {
        let Self { worker, acceptor, socket, listener } = self;
        let rest = || -> io::Result<()> {
            let socket = socket.into_std()?;
            loop {
                match socket.accept() {
                    Ok((stream, peer)) => {
                        stream.set_nonblocking(true)?;
                        let stream = TcpStream::from_std(stream)?;
                        acceptor.open.fetch_add(1, Ordering::Relaxed);
                        let listener = Arc::clone(&listener);
                        begin(&worker, &acceptor, Accepted { stream, peer, listener });
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                    Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                    Err(error) => return Err(error),
                }
            }
        };
        if let Err(error) = rest() {
            report(&worker, &listener.name, &error);
        }
    }

    fn report(&self, error: &io::Error) {
        report(&self.worker, &self.listener.name, error);
    }
}

fn report(worker: &Worker, listener: &str, error: &io::Error) {
    if worker.may_warn() {
        tracing::warn!(%listener, %error,
            "a connection could not be accepted; if too many files are open, raise `ulimit -n`");
    }
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
