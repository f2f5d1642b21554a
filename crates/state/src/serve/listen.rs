//! Where clients come: TCP, a Unix socket, or a socket that was handed over.
//! It makes sockets and takes connections; it knows nothing of what is said.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use rustix::net::SocketFlags;
use socket2::{Domain, SockAddr, SockRef, Socket, TcpKeepalive, Type};
use thiserror::Error;

/// Connections that wait to be taken; as Redis.
const BACKLOG: i32 = 511;
/// How often the system asks whether a silent client is still there, in seconds; as Redis.
const KEEPALIVE_S: u64 = 300;
/// Who may use a Unix socket: whoever runs the store.
const SOCKET_MODE: u32 = 0o600;

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// `127.0.0.1:6379`.
    Tcp(SocketAddr),
    /// `unix:/run/state.sock`.
    Unix(PathBuf),
    /// `stdin`: standard input is a listening socket that who started this process had made, and
    /// keeps, so that clients wait and are not refused while there is no process.
    Inherited,
}

/// What is no address to listen on.
#[derive(Debug, Error)]
#[error("expected ADDR:PORT, unix:PATH or stdin")]
pub struct NotAnAddress;

#[derive(Debug)]
pub(super) struct Listener {
    socket: Socket,
    name: String,
    /// Is removed at the end.
    path: Option<PathBuf>,
}

impl FromStr for Address {
    type Err = NotAnAddress;

    fn from_str(text: &str) -> Result<Self, NotAnAddress> {
        match text.strip_prefix("unix:") {
            Some("") => Err(NotAnAddress),
            Some(path) => Ok(Self::Unix(PathBuf::from(path))),
            None if text == "stdin" => Ok(Self::Inherited),
            None => text.parse().map(Self::Tcp).map_err(|_| NotAnAddress),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(addr) => write!(f, "{addr}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Inherited => f.write_str("stdin"),
        }
    }
}

impl Listener {
    pub(super) fn bind(address: &Address) -> io::Result<Self> {
        let (socket, path) = match address {
            Address::Tcp(addr) => {
                let socket = Socket::new(Domain::for_address(*addr), Type::STREAM, None)?;
                socket.set_reuse_address(true)?;
                socket.bind(&SockAddr::from(*addr))?;
                socket.listen(BACKLOG)?;
                (socket, None)
            }
            Address::Unix(path) => (bind_unix(path)?, Some(path.clone())),
            Address::Inherited => {
                let socket = Socket::from(io::stdin().as_fd().try_clone_to_owned()?);
                if !socket.is_listener()? {
                    let text = "standard input is no listening socket";
                    return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
                }
                (socket, None)
            }
        };
        socket.set_nonblocking(true)?;
        let name = name_of(&socket.local_addr()?);
        Ok(Self { socket, name, path })
    }

    pub(super) fn socket(&self) -> &Socket {
        &self.socket
    }

    /// `unix:PATH` or the address with its port.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Takes a connection, and says from where and to where it is, as `CLIENT LIST` does.
    pub(super) fn accept(&self) -> io::Result<(OwnedFd, String, String)> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let taken = rustix::net::accept_with(&self.socket, flags)?;
        let socket = SockRef::from(&taken);
        if self.name.starts_with("unix:") {
            let path = format!("{}:0", &self.name["unix:".len()..]);
            return Ok((taken, path.clone(), path));
        }
        socket.set_tcp_nodelay(true)?;
        let every = std::time::Duration::from_secs(KEEPALIVE_S);
        socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(every))?;
        let addresses = (name_of(&socket.peer_addr()?), name_of(&socket.local_addr()?));
        Ok((taken, addresses.0, addresses.1))
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Some(path) = &self.path
            && let Err(error) = std::fs::remove_file(path)
        {
            tracing::debug!(%error, path = %path.display(), "the socket was gone already");
        }
    }
}

/// A socket that nobody listens on any more is in the way, and goes; another file stays.
fn bind_unix(path: &Path) -> io::Result<Socket> {
    let address = SockAddr::unix(path)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket());
    if is_socket {
        match Socket::new(Domain::UNIX, Type::STREAM, None)?.connect(&address) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                std::fs::remove_file(path)?;
            }
            _ => return Err(io::ErrorKind::AddrInUse.into()),
        }
    }
    socket.bind(&address)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(SOCKET_MODE))?;
    socket.listen(BACKLOG)?;
    Ok(socket)
}

fn name_of(address: &SockAddr) -> String {
    match (address.as_socket(), address.as_pathname()) {
        (Some(address), _) => address.to_string(),
        (None, Some(path)) => format!("unix:{}", path.display()),
        (None, None) => "unix:".to_owned(),
    }
}
