//! An HTTP/1.1 origin that answers each request as a function says, by default with an echo of it.
//! It is as slow as its parser is strict: for benchmarks there is the binary `origin`.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::json;
use socket2::SockRef;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::sleep;

use crate::message::Request;
use crate::wire::Wire;

/// An origin on a port of its own; dropping it breaks its connections off.
#[derive(Debug)]
pub struct HttpOrigin {
    addr: SocketAddr,
    tallies: Arc<Tallies>,
    task: AbortHandle,
}

/// A request at the moment at which its head has been read and its body not.
#[derive(Clone, Debug)]
pub struct Ask {
    /// The request, with an empty body.
    pub request: Request,
    /// Of which connection, from 1 in the order of accepting.
    pub connection: u64,
    /// Its number on that connection, from 1.
    pub nth: u64,
}

/// How to answer one request.
#[derive(Clone, Debug)]
pub struct Reply {
    status: u16,
    fields: Vec<(String, String)>,
    body: Body,
    delay: Duration,
    early: bool,
    then: Then,
}

#[derive(Clone, Debug)]
enum Body {
    Echo,
    Bytes(Vec<u8>),
    Chunks(Vec<Vec<u8>>, Duration),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    KeepAlive,
    Close,
    Vanish,
    Cut(usize),
}

#[derive(Debug, Default)]
struct Tallies {
    connections: AtomicU64,
    requests: AtomicU64,
    answered: AtomicU64,
}

/// What each connection needs to know.
struct Stage<F> {
    name: String,
    answer: F,
    tallies: Arc<Tallies>,
}

impl Reply {
    /// 200 with the request as JSON: `instance`, `connection`, `nth`, `method`, `target`,
    /// `version`, `fields` as pairs in order, `body` as text.
    pub fn echo() -> Self {
        Self::with(Body::Echo)
    }

    /// 200 with these bytes and their Content-Length.
    pub fn bytes(body: impl Into<Vec<u8>>) -> Self {
        Self::with(Body::Bytes(body.into()))
    }

    /// 200 with one chunk for each piece, and `pause` between two of them.
    pub fn chunks<P: Into<Vec<u8>>>(pieces: impl IntoIterator<Item = P>, pause: Duration) -> Self {
        Self::with(Body::Chunks(pieces.into_iter().map(Into::into).collect(), pause))
    }

    /// With this status instead. The body and its length are sent also where a status forbids
    /// them: that is for the test to want.
    #[must_use]
    pub fn status(self, status: u16) -> Self {
        Self { status, ..self }
    }

    /// With one more field.
    #[must_use]
    pub fn field(mut self, name: &str, value: &str) -> Self {
        self.fields.push((name.into(), value.into()));
        self
    }

    /// Later by `delay`.
    #[must_use]
    pub fn delay(self, delay: Duration) -> Self {
        Self { delay, ..self }
    }

    /// Before the body of the request is read. An echo then shows an empty body.
    #[must_use]
    pub fn early(self) -> Self {
        Self { early: true, ..self }
    }

    /// Announcing `Connection: close`, and doing it.
    #[must_use]
    pub fn close(self) -> Self {
        Self { then: Then::Close, ..self }
    }

    /// Closing the connection behind it without having announced it.
    #[must_use]
    pub fn vanish(self) -> Self {
        Self { then: Then::Vanish, ..self }
    }

    /// Resetting the connection behind the first `bytes` of what would have been sent; 0 is not
    /// answering at all.
    #[must_use]
    pub fn cut(self, bytes: usize) -> Self {
        Self { then: Then::Cut(bytes), ..self }
    }

    fn with(body: Body) -> Self {
        Self {
            status: 200,
            fields: Vec::new(),
            body,
            delay: Duration::ZERO,
            early: false,
            then: Then::KeepAlive,
        }
    }
}

impl HttpOrigin {
    /// An origin that answers with [`Reply::echo`].
    pub async fn echo(name: &str) -> Self {
        Self::start(name, |_| Reply::echo()).await
    }

    /// An origin that answers as `answer` says. Each response names the origin in `x-instance`.
    pub async fn start(name: &str, answer: impl Fn(&Ask) -> Reply + Send + Sync + 'static) -> Self {
        Self::start_at(SocketAddr::from(([127, 0, 0, 1], 0)), name, answer).await
    }

    /// The same at an address, such as that of one that was dropped.
    ///
    /// # Panics
    ///
    /// When somebody else has it.
    pub async fn start_at(
        addr: SocketAddr,
        name: &str,
        answer: impl Fn(&Ask) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(addr).await.expect("nobody else has the address");
        let addr = listener.local_addr().expect("a bound socket has an address");
        let tallies = Arc::new(Tallies::default());
        let stage = Stage { name: name.into(), answer, tallies: Arc::clone(&tallies) };
        let task = tokio::spawn(accept(listener, Arc::new(stage))).abort_handle();
        Self { addr, tallies, task }
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Connections accepted so far.
    pub fn connections(&self) -> u64 {
        self.tallies.connections.load(Ordering::Relaxed)
    }

    /// Requests whose head was read so far.
    pub fn requests(&self) -> u64 {
        self.tallies.requests.load(Ordering::Relaxed)
    }

    /// Requests whose response was sent in full so far.
    pub fn answered(&self) -> u64 {
        self.tallies.answered.load(Ordering::Relaxed)
    }
}

impl Drop for HttpOrigin {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl<F> fmt::Debug for Stage<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stage").field("name", &self.name).finish_non_exhaustive()
    }
}

async fn accept<F>(listener: TcpListener, stage: Arc<Stage<F>>)
where
    F: Fn(&Ask) -> Reply + Send + Sync + 'static,
{
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        while connections.try_join_next().is_some() {}
        let number = stage.tallies.connections.fetch_add(1, Ordering::Relaxed) + 1;
        let stage = Arc::clone(&stage);
        // A connection that its client breaks off is that client's affair.
        connections.spawn(async move { serve(stream, number, &stage).await.ok() });
    }
}

async fn serve<F>(stream: TcpStream, connection: u64, stage: &Stage<F>) -> io::Result<()>
where
    F: Fn(&Ask) -> Reply,
{
    stream.set_nodelay(true)?;
    let mut wire = Wire::new(stream).patience(Duration::from_secs(3600));
    for nth in 1.. {
        let Some(request) = wire.request_head().await? else {
            return Ok(());
        };
        stage.tallies.requests.fetch_add(1, Ordering::Relaxed);
        let mut ask = Ask { request, connection, nth };
        let reply = (stage.answer)(&ask);
        if expects_continue(&ask.request) && !reply.early {
            wire.stream().write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
        }
        if !reply.early {
            wire.request_body(&mut ask.request).await?;
        }
        sleep(reply.delay).await;
        send(&mut wire, &reply, pieces(&reply, &ask, &stage.name)).await?;
        if let Then::Cut(_) = reply.then {
            return Ok(());
        }
        stage.tallies.answered.fetch_add(1, Ordering::Relaxed);
        if reply.early {
            wire.request_body(&mut ask.request).await?;
        }
        if reply.then != Then::KeepAlive || ask.request.fields.all("connection").contains(&"close")
        {
            return Ok(());
        }
    }
    Ok(())
}

fn expects_continue(request: &Request) -> bool {
    request.fields.all("expect").iter().any(|value| value.eq_ignore_ascii_case("100-continue"))
}

/// Sends the head and then each piece, or as much of them as is to be sent.
async fn send(wire: &mut Wire<TcpStream>, reply: &Reply, pieces: Vec<Vec<u8>>) -> io::Result<()> {
    let pause = if let Body::Chunks(_, pause) = reply.body { pause } else { Duration::ZERO };
    let mut left = if let Then::Cut(bytes) = reply.then { bytes } else { usize::MAX };
    for (at, piece) in pieces.iter().enumerate() {
        if at > 1 {
            sleep(pause).await;
        }
        wire.stream().write_all(&piece[..piece.len().min(left)]).await?;
        left = left.saturating_sub(piece.len());
    }
    if let Then::Cut(_) = reply.then {
        SockRef::from(&*wire.stream()).set_linger(Some(Duration::ZERO))?;
    }
    Ok(())
}

/// The head, and the body as it is to be sent.
fn pieces(reply: &Reply, ask: &Ask, name: &str) -> Vec<Vec<u8>> {
    let mut head = format!("HTTP/1.1 {} Reply\r\nx-instance: {name}\r\n", reply.status);
    for (name, value) in &reply.fields {
        head += &format!("{name}: {value}\r\n");
    }
    if reply.then == Then::Close {
        head += "Connection: close\r\n";
    }
    let body = match &reply.body {
        Body::Echo => vec![echo(ask, name)],
        Body::Bytes(bytes) => vec![bytes.clone()],
        Body::Chunks(pieces, _) => pieces.iter().map(|piece| chunk(piece)).collect(),
    };
    if let Body::Chunks(..) = reply.body {
        head += "Transfer-Encoding: chunked\r\n\r\n";
    } else {
        head += &format!("Content-Length: {}\r\n\r\n", body[0].len());
    }
    let mut all = vec![head.into_bytes()];
    if ask.request.method != "HEAD" {
        all.extend(body);
        if let Body::Chunks(..) = reply.body {
            all.push(b"0\r\n\r\n".to_vec());
        }
    }
    all
}

fn chunk(piece: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat()
}

fn echo(ask: &Ask, name: &str) -> Vec<u8> {
    let Ask { request, connection, nth } = ask;
    let echo = json!({
        "instance": name,
        "connection": connection,
        "nth": nth,
        "method": request.method,
        "target": request.target,
        "version": request.version,
        "fields": request.fields.0,
        "body": String::from_utf8_lossy(&request.body),
    });
    echo.to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RawClient;

    #[tokio::test]
    async fn echoes_and_keeps_the_connection() {
        let origin = HttpOrigin::echo("a").await;
        let mut client = RawClient::connect(origin.addr()).await;
        for nth in 1..=2 {
            let response = client.post("/x?y", "hello").await.unwrap();
            let echo = response.json();
            assert_eq!(response.fields.get("x-instance"), Some("a"));
            assert_eq!((&echo["body"], &echo["nth"]), (&json!("hello"), &json!(nth)));
            assert_eq!(echo["fields"][0], json!(["Host", "test"]));
        }
        assert_eq!((origin.connections(), origin.requests(), origin.answered()), (1, 2, 2));
    }

    #[tokio::test]
    async fn answers_as_it_is_told() {
        let origin = HttpOrigin::start("a", |ask| match ask.request.target.as_str() {
            "/chunks" => Reply::chunks(["a", "b"], Duration::from_millis(1)),
            "/close" => Reply::bytes("c").status(503).field("a", "b").close(),
            "/cut" => Reply::bytes("d").cut(20),
            _ => Reply::bytes("e").vanish(),
        })
        .await;
        let mut client = RawClient::connect(origin.addr()).await;
        assert_eq!(client.get("/chunks").await.unwrap().text(), "ab");
        let closed = client.get("/close").await.unwrap();
        assert_eq!((closed.status, closed.fields.get("connection")), (503, Some("close")));
        client.vanished().await.unwrap();
        let mut client = RawClient::connect(origin.addr()).await;
        client.get("/cut").await.unwrap_err();
        let mut client = RawClient::connect(origin.addr()).await;
        assert_eq!(client.get("/vanish").await.unwrap().fields.all("connection"), [""; 0]);
        client.vanished().await.unwrap();
        assert_eq!((origin.requests(), origin.answered()), (4, 3));
    }

    #[tokio::test]
    async fn an_early_reply_comes_before_the_body_is_sent() {
        let origin = HttpOrigin::start("a", |_| Reply::bytes("no").status(413).early()).await;
        let mut client = RawClient::connect(origin.addr()).await;
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n").await.unwrap();
        assert_eq!(client.response().await.unwrap().status, 413);
        client.send("hello").await.unwrap();
        assert_eq!(client.get("/").await.unwrap().status, 413);
    }
}
