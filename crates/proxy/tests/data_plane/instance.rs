//! An instance that the test itself plays, step by step, and raw bytes from the client's side.
//! It knows no script: the test accepts, reads and writes when it wants to.

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::time::Duration;

use socket2::{Domain, Socket, Type};
use testkit::{PATIENCE, Wire};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

/// An address on which the test accepts by hand.
pub(crate) struct Instance {
    listener: TcpListener,
}

impl Instance {
    pub(crate) async fn start() -> Self {
        Self { listener: TcpListener::bind("127.0.0.1:0").await.unwrap() }
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.listener.local_addr().unwrap()
    }

    /// The next connection.
    pub(crate) async fn accept(&self) -> Wire<TcpStream> {
        let accepted = timeout(PATIENCE, self.listener.accept()).await;
        let (stream, _) = accepted.expect("a connection comes in time").unwrap();
        stream.set_nodelay(true).unwrap();
        Wire::new(stream)
    }

    /// The next connection, once it has brought the head of a request.
    pub(crate) async fn asked(&self) -> Wire<TcpStream> {
        let mut wire = self.accept().await;
        wire.raw_head().await.unwrap();
        wire
    }
}

/// An address that refuses connections and that nobody else can take: bound, and not listened on.
pub(crate) struct Refusing(Socket);

impl Refusing {
    pub(crate) fn new() -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        Self(socket)
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.0.local_addr().unwrap().as_socket().unwrap()
    }
}

/// An address that can be bound again and again: below the ports that the kernel gives to clients.
pub(crate) fn free_addr() -> SocketAddr {
    let addr = |_| SocketAddr::from(([127, 0, 0, 1], fastrand::u16(30_000..32_768)));
    (0..1000).map(addr).find(|addr| StdListener::bind(addr).is_ok()).expect("some port is free")
}

/// Sends bytes over a connection that the test plays.
pub(crate) async fn send(wire: &mut Wire<TcpStream>, bytes: impl AsRef<[u8]>) {
    wire.stream().write_all(bytes.as_ref()).await.unwrap();
}

/// Waits until Herder breaks a connection off with a reset, as it does in the midst of a request:
/// there are servers that take half a body for a whole one when the connection ends in order.
pub(crate) async fn broken_off(mut wire: Wire<TcpStream>) {
    let error = wire.to_end().await.expect_err("it ends with a reset, not in order");
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
}

/// Writes until the other side has taken nothing for a while; how many bytes it took.
pub(crate) async fn fill(to: &mut TcpStream, bytes_max: usize) -> usize {
    fill_with(to, &[b'x'; 64 * 1024], bytes_max).await
}

/// The same with this, again and again.
pub(crate) async fn fill_with(to: &mut TcpStream, text: &[u8], bytes_max: usize) -> usize {
    let mut written = 0;
    while written < bytes_max {
        let piece = &text[written % text.len()..];
        match timeout(Duration::from_millis(300), to.write(piece)).await {
            Ok(bytes) => written += bytes.unwrap(),
            Err(_) => break,
        }
    }
    written
}

/// A connection of a client, for reading byte by byte what [`testkit::RawClient`] interprets.
pub(crate) async fn connect(addr: SocketAddr) -> Wire<TcpStream> {
    let stream = TcpStream::connect(addr).await.unwrap();
    stream.set_nodelay(true).unwrap();
    Wire::new(stream)
}

/// Everything that comes back for these bytes until the connection is closed.
pub(crate) async fn exchange(addr: SocketAddr, bytes: impl AsRef<[u8]>) -> String {
    let mut wire = connect(addr).await;
    send(&mut wire, bytes).await;
    text(wire.to_end().await)
}

/// The next head, as text.
pub(crate) async fn head(wire: &mut Wire<TcpStream>) -> String {
    text(wire.raw_head().await)
}

fn text(bytes: io::Result<Vec<u8>>) -> String {
    String::from_utf8(bytes.unwrap()).unwrap()
}
