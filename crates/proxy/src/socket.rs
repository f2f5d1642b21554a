//! The sockets that are listened on, and the options that connections have from them.
//! What is accepted is not looked at here.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};

/// Connections that the kernel completes and keeps until a worker accepts them; it may lower this
/// to `net.core.somaxconn`.
const BACKLOG: i32 = 4096;

/// Binds `count` sockets to one address. `SO_REUSEPORT` lets any process of ours share a port, a
/// second Herder included, so a bind without it comes first and finds out whether it is free.
pub(crate) fn bind_all(
    addr: SocketAddr,
    count: usize,
    keepalive: Option<Duration>,
) -> io::Result<Vec<std::net::TcpListener>> {
    drop(bind(addr, Sharing::Alone)?);
    let mut sockets: Vec<std::net::TcpListener> = Vec::with_capacity(count);
    for _ in 0..count {
        let addr = sockets.first().map_or(Ok(addr), std::net::TcpListener::local_addr)?;
        let socket = bind(addr, Sharing::Workers)?;
        keep_alive(&socket, keepalive)?;
        socket.listen(BACKLOG)?;
        sockets.push(socket.into());
    }
    Ok(sockets)
}

/// Lets the kernel ask whether the other end is still there after so much silence, or never. How
/// often it asks is the kernel's: nine times, 75 s apart, unless it was configured otherwise.
/// Accepted sockets inherit this from the one that is listened on.
pub(crate) fn keep_alive(socket: &impl AsFd, after: Option<Duration>) -> io::Result<()> {
    let socket = SockRef::from(socket);
    match after {
        Some(after) => {
            // The kernel counts in seconds; never earlier than was asked for.
            let after = Duration::from_secs(after.as_secs() + u64::from(after.subsec_nanos() > 0));
            socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(after))
        }
        None => socket.set_keepalive(false),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sharing {
    Alone,
    Workers,
}

/// `TCP_DEFER_ACCEPT` is not set, though it would save a wake-up: a connection that it holds back
/// is established for the client and unknown to us, and closing the socket for a reload or a drain
/// resets it, together with the request that is on its way.
fn bind(addr: SocketAddr, sharing: Sharing) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(sharing == Sharing::Workers)?;
    // Accepted sockets inherit it: no system call per connection.
    socket.set_tcp_nodelay(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    Ok(socket)
}
