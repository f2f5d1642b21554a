//! An origin that reads strictly and writes down each request it got whole, and from whom.
//! It repairs nothing: what Herder should not have sent is written down as such.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use testkit::{Fields, Wire};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};

use crate::payloads::Request;

/// Requests for this path are answered and not written down.
pub(crate) const UNSEEN: &str = "/unseen";
/// Requests for paths that begin so are answered before their body is read.
const EARLY: &str = "/early";
/// Longer than any test lasts: a connection that Herder keeps is never given up here.
const PATIENCE: Duration = Duration::from_secs(3600);

/// The origin; dropping it breaks its connections off.
pub(crate) struct Recorder {
    /// Two, so that the ports towards one of them do not run out.
    pub(crate) addrs: [SocketAddr; 2],
    notes: Arc<Notes>,
    tasks: [AbortHandle; 2],
}

/// What was seen, each with its place in the order in which the heads came: a request that was
/// answered early may be whole only after the next one is.
#[derive(Default)]
struct Notes {
    heads: AtomicU64,
    seen: Mutex<Vec<(u64, Seen)>>,
}

/// A request that came whole.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// The client's address as Herder forwarded it; anything else was not sent by Herder on behalf
    /// of one client.
    pub(crate) tag: String,
    /// The request, or what is wrong with it.
    pub(crate) request: Result<Request, String>,
}

impl Seen {
    /// Whether it was answered before its body.
    pub(crate) fn is_early(&self) -> bool {
        self.request.as_ref().is_ok_and(|request| request.target.starts_with(EARLY.as_bytes()))
    }
}

impl Recorder {
    pub(crate) async fn start() -> Self {
        let notes = Arc::new(Notes::default());
        let [first, second] = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0"));
        let listeners = [first.await, second.await].map(|bound| bound.expect("ports are free"));
        let addrs = listeners.each_ref().map(|listener| listener.local_addr());
        let addrs = addrs.map(|addr| addr.expect("a bound socket has an address"));
        let tasks = listeners.map(|it| tokio::spawn(accept(it, Arc::clone(&notes))).abort_handle());
        Self { addrs, notes, tasks }
    }

    /// What was seen since the last call, in the order in which it began.
    pub(crate) fn take(&self) -> Vec<Seen> {
        let mut seen = std::mem::take(&mut *self.notes.seen.lock().expect("no holder panics"));
        seen.sort_by_key(|(place, _)| *place);
        seen.into_iter().map(|(_, seen)| seen).collect()
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

async fn accept(listener: TcpListener, notes: Arc<Notes>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        while connections.try_join_next().is_some() {}
        let notes = Arc::clone(&notes);
        connections.spawn(async move { serve(stream, &notes).await });
    }
}

/// Serves a connection until it ends, is broken off, or says what it may not say.
async fn serve(stream: TcpStream, notes: &Notes) {
    stream.set_nodelay(true).expect("a connected socket takes TCP_NODELAY");
    let mut wire = Wire::new(stream).patience(PATIENCE);
    loop {
        let head = wire.request_head().await;
        let place = notes.heads.fetch_add(1, Ordering::Relaxed);
        let note = |tag: &str, request| {
            let seen = Seen { tag: tag.to_owned(), request };
            notes.seen.lock().expect("no holder panics").push((place, seen));
        };
        let mut request = match head {
            Ok(Some(request)) => request,
            Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {
                return note("", Err(error.to_string()));
            }
            _ => return,
        };
        let tag = tag(&request.fields);
        let early = request.target.starts_with(EARLY);
        let expects = !request.fields.all("expect").is_empty();
        if early && !reply(&mut wire, &request.method, "early").await {
            return;
        }
        if expects && !early && !interim(&mut wire).await {
            return;
        }
        match wire.request_body(&mut request).await {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {
                return note(&tag, Err(error.to_string()));
            }
            Err(_) => return,
        }
        if request.target != UNSEEN {
            let (method, target) = (latin1(&request.method), latin1(&request.target));
            note(&tag, Ok(Request { method, target, body: request.body }));
        }
        if !early && !reply(&mut wire, &request.method, "yes").await {
            return;
        }
        if request.fields.all("connection").contains(&"close") {
            return;
        }
    }
}

async fn reply(wire: &mut Wire<TcpStream>, method: &str, seen: &str) -> bool {
    let head = format!("HTTP/1.1 200 OK\r\nX-Seen: {seen}\r\nContent-Length: 4\r\n\r\n");
    let body = if method == "HEAD" { "" } else { "seen" };
    wire.stream().write_all(format!("{head}{body}").as_bytes()).await.is_ok()
}

async fn interim(wire: &mut Wire<TcpStream>) -> bool {
    wire.stream().write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await.is_ok()
}

fn tag(fields: &Fields) -> String {
    fields.all("x-forwarded-for").join(", ")
}

/// The bytes behind text that was read as Latin-1.
fn latin1(text: &str) -> Vec<u8> {
    text.chars().map(|c| u8::try_from(c).expect("it was read as Latin-1")).collect()
}
