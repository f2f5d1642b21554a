//! An origin that reads strictly and writes down each request it got whole, and from whom.
//! It repairs nothing: what Herder should not have sent is written down as such.

use std::net::SocketAddr;
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
    pub(crate) addr: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    task: AbortHandle,
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

impl Recorder {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has free ports");
        let addr = listener.local_addr().expect("a bound socket has an address");
        let seen = Arc::new(Mutex::new(Vec::new()));
        let task = tokio::spawn(accept(listener, Arc::clone(&seen))).abort_handle();
        Self { addr, seen, task }
    }

    /// What was seen since the last call.
    pub(crate) fn take(&self) -> Vec<Seen> {
        std::mem::take(&mut *self.seen.lock().expect("no holder panics"))
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, seen: Arc<Mutex<Vec<Seen>>>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        while connections.try_join_next().is_some() {}
        let seen = Arc::clone(&seen);
        connections.spawn(async move { serve(stream, &seen).await });
    }
}

/// Serves a connection until it ends, is broken off, or says what it may not say.
async fn serve(stream: TcpStream, seen: &Mutex<Vec<Seen>>) {
    stream.set_nodelay(true).expect("a connected socket takes TCP_NODELAY");
    let mut wire = Wire::new(stream).patience(PATIENCE);
    let note = |tag: &str, request| {
        let seen_now = Seen { tag: tag.to_owned(), request };
        seen.lock().expect("no holder panics").push(seen_now);
    };
    loop {
        let mut request = match wire.request_head().await {
            Ok(Some(request)) => request,
            Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {
                return note("", Err(error.to_string()));
            }
            _ => return,
        };
        let tag = tag(&request.fields);
        let early = request.target.starts_with(EARLY);
        let expects = !request.fields.all("expect").is_empty();
        if early && !reply(&mut wire, &request.method).await {
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
        if !early && !reply(&mut wire, &request.method).await {
            return;
        }
    }
}

async fn reply(wire: &mut Wire<TcpStream>, method: &str) -> bool {
    let head = "HTTP/1.1 200 OK\r\nX-Seen: yes\r\nContent-Length: 4\r\n\r\n";
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
