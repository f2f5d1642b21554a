//! What connections run over: any stream of bytes, and those that the kernel knows as a socket.
//! It moves nothing itself.

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// A connection: to a client or to an instance.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin {
    /// The socket, if what is read and written here is what it carries, byte for byte. The kernel
    /// may then move bytes by itself.
    fn plain(&self) -> Option<&TcpStream>;
}

impl Stream for TcpStream {
    fn plain(&self) -> Option<&TcpStream> {
        Some(self)
    }
}

#[cfg(test)]
impl Stream for tokio::io::DuplexStream {
    fn plain(&self) -> Option<&TcpStream> {
        None
    }
}
