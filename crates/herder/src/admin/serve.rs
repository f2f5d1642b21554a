//! Accepts on the admin socket and on the loopback port, within bounds, until told to stop.
//! What is asked and answered is in `routes`.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use crate::admin::{Herd, routes};

/// Connections open at once, per listener. Beyond: further ones wait in the kernel's backlog.
const CONNECTIONS_MAX: usize = 64;

/// From an open connection to a request head, on it and between requests. Beyond: closed.
const TIMEOUT_HEAD: Duration = Duration::from_secs(10);

/// How long answers that are under way may take once Herder ends.
const TIMEOUT_END: Duration = Duration::from_secs(2);

/// After a failed accept, as with no file descriptors left: not at once, which would spin.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// Where the admin API is reached.
#[derive(Debug)]
pub(crate) struct Listeners {
    /// With full rights.
    pub(crate) unix: std::os::unix::net::UnixListener,
    /// Read-only.
    pub(crate) tcp: Option<std::net::TcpListener>,
}

/// The admin API, being served. Dropping it closes everything at once.
#[derive(Debug)]
pub(crate) struct Admin {
    tasks: JoinSet<()>,
    end: watch::Sender<bool>,
    tcp: Option<SocketAddr>,
}

impl Admin {
    /// Serves on the current runtime.
    ///
    /// # Errors
    /// When a listener cannot be used.
    pub(crate) fn serve(listeners: Listeners, herd: &Arc<Herd>) -> io::Result<Self> {
        let (end, ended) = watch::channel(false);
        let mut tasks = JoinSet::new();
        let unix = UnixListener::from_std(listeners.unix)?;
        let router = routes::full(Arc::clone(herd));
        let until = ended.clone();
        tasks.spawn(accept(async move || Ok(unix.accept().await?.0), router, until));
        let mut bound = None;
        if let Some(tcp) = listeners.tcp {
            tcp.set_nonblocking(true)?;
            let addr = tcp.local_addr()?;
            bound = Some(addr);
            let tcp = TcpListener::from_std(tcp)?;
            let router = routes::read_only(Arc::clone(herd), addr.ip());
            tasks.spawn(accept(async move || Ok(tcp.accept().await?.0), router, ended));
        }
        Ok(Self { tasks, end, tcp: bound })
    }

    /// Where the read-only part listens.
    pub(crate) fn tcp(&self) -> Option<SocketAddr> {
        self.tcp
    }

    /// Stops accepting, finishes the answers that are under way, and closes.
    pub(crate) async fn end(mut self) {
        self.end.send_replace(true);
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(TIMEOUT_END, all).await.is_err() {
            tracing::warn!("admin connections were closed before their answers were complete");
        }
    }
}

/// Accepts until the end, and then waits for the connections it accepted.
async fn accept<S: AsyncRead + AsyncWrite + Send + Unpin + 'static>(
    next: impl AsyncFn() -> io::Result<S>,
    router: Router,
    mut ended: watch::Receiver<bool>,
) {
    let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    loop {
        let accepted = async {
            let permit = Arc::clone(&permits).acquire_owned().await;
            let permit = permit.expect("the semaphore is never closed");
            (next().await, permit)
        };
        let (stream, permit) = tokio::select! {
            accepted = accepted => accepted,
            () = over(&mut ended) => break,
            Some(_) = connections.join_next() => continue,
        };
        match stream {
            Ok(stream) => {
                let connection = connection(stream, router.clone(), ended.clone());
                connections.spawn(async move {
                    connection.await;
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "an admin connection was not accepted");
                tokio::time::sleep(ACCEPT_RETRY).await;
            }
        }
    }
    while connections.join_next().await.is_some() {}
}

async fn connection<S: AsyncRead + AsyncWrite + Send + Unpin + 'static>(
    stream: S,
    router: Router,
    mut ended: watch::Receiver<bool>,
) {
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(TIMEOUT_HEAD);
    let service = TowerToHyperService::new(router);
    let mut serving = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
    let served = tokio::select! {
        served = &mut serving => served,
        () = over(&mut ended) => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = served {
        tracing::debug!(%error, "an admin connection ended early");
    }
}

/// Comes true with the end, be it announced or dropped.
async fn over(ended: &mut watch::Receiver<bool>) {
    ended.wait_for(|&ended| ended).await.ok();
}
