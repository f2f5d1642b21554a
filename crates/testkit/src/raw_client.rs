//! A client that sends whatever bytes a test wants and reads what comes back.
//! It adds nothing to what it is given to send, and hides nothing of what it gets.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::Duration;

use socket2::SockRef;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::message::Response;
use crate::wire::Wire;

/// One connection.
#[derive(Debug)]
pub struct RawClient {
    wire: Wire<TcpStream>,
}

/// How the other side ended a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vanished {
    /// In order.
    Closed,
    /// With a reset.
    Reset,
}

impl RawClient {
    /// Connects.
    ///
    /// # Panics
    ///
    /// When nobody listens there: for a test of that, use `TcpStream::connect`.
    pub async fn connect(addr: SocketAddr) -> Self {
        let stream = TcpStream::connect(addr).await;
        let stream = stream.unwrap_or_else(|e| panic!("connecting to {addr}: {e}"));
        stream.set_nodelay(true).expect("a connected socket takes TCP_NODELAY");
        Self { wire: Wire::new(stream) }
    }

    /// The same, waiting `patience` for each piece instead of [`crate::PATIENCE`].
    #[must_use]
    pub fn patience(self, patience: Duration) -> Self {
        Self { wire: self.wire.patience(patience) }
    }

    /// Our side of the connection, as the other side sees it.
    ///
    /// # Errors
    ///
    /// Those of the socket.
    pub fn local_addr(&mut self) -> io::Result<SocketAddr> {
        self.wire.stream().local_addr()
    }

    /// Sends `bytes`, all of them.
    ///
    /// # Errors
    ///
    /// Those of the stream.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.wire.stream().write_all(bytes.as_ref()).await
    }

    /// Sends a GET without body for `path`, and reads the response.
    ///
    /// # Errors
    ///
    /// As [`RawClient::response`].
    pub async fn get(&mut self, path: &str) -> io::Result<Response> {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n")).await?;
        self.response().await
    }

    /// Sends a POST of `body` to `path`, and reads the response.
    ///
    /// # Errors
    ///
    /// As [`RawClient::response`].
    pub async fn post(&mut self, path: &str, body: impl AsRef<[u8]>) -> io::Result<Response> {
        let body = body.as_ref();
        let length = body.len();
        let head =
            format!("POST {path} HTTP/1.1\r\nHost: test\r\nContent-Length: {length}\r\n\r\n");
        self.send([head.as_bytes(), body].concat()).await?;
        self.response().await
    }

    /// Reads the response to any request but HEAD.
    ///
    /// # Errors
    ///
    /// "closed before the response", "closed in the middle of: …", "malformed: …", "nothing came
    /// for …", and those of the stream.
    pub async fn response(&mut self) -> io::Result<Response> {
        self.wire.response("GET").await
    }

    /// Reads the response to a HEAD: it has no body, whatever its fields say.
    ///
    /// # Errors
    ///
    /// As [`RawClient::response`].
    pub async fn response_to_head(&mut self) -> io::Result<Response> {
        self.wire.response("HEAD").await
    }

    /// Reads exactly `count` bytes.
    ///
    /// # Errors
    ///
    /// An early end, and those of the stream.
    pub async fn bytes(&mut self, count: usize) -> io::Result<Vec<u8>> {
        self.wire.bytes(count).await
    }

    /// Ends our sending direction, and goes on reading.
    ///
    /// # Errors
    ///
    /// Those of the stream.
    pub async fn finish(&mut self) -> io::Result<()> {
        self.wire.stream().shutdown().await
    }

    /// Breaks the connection off with a reset.
    pub fn reset(mut self) {
        SockRef::from(&*self.wire.stream())
            .set_linger(Some(Duration::ZERO))
            .expect("a connected socket takes SO_LINGER");
    }

    /// Waits until the other side ends the connection, having sent nothing more.
    ///
    /// # Errors
    ///
    /// When it sends something, with what; when it does nothing for too long.
    pub async fn vanished(&mut self) -> io::Result<Vanished> {
        match self.wire.to_end().await {
            Ok(rest) if rest.is_empty() => Ok(Vanished::Closed),
            Ok(rest) => Err(io::Error::new(
                ErrorKind::InvalidData,
                format!("sent before it closed: {:?}", String::from_utf8_lossy(&rest)),
            )),
            Err(e) if e.kind() == ErrorKind::ConnectionReset => Ok(Vanished::Reset),
            Err(e) => Err(e),
        }
    }
}
