//! Which port an instance is told to listen on: the next free one of a range of Herder's own.
//! It cannot reserve a port against other programs; it tests, and a start that lost it is retried.

use std::collections::BTreeSet;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, socket_with, sockopt};

/// The ports that instances get, both ends included, and which of them they have.
///
/// Next fit: the search goes on where the last one ended, so that a port that was just given up,
/// or just found to be somebody else's, comes last.
#[derive(Debug)]
pub(super) struct Ports {
    start: u16,
    end: u16,
    next: u16,
    taken: BTreeSet<u16>,
}

/// Why there is no port.
#[derive(Debug, thiserror::Error)]
pub(super) enum PortError {
    /// Every port of the range is in use.
    #[error(
        "no port is free from {start} to {end} ({ours} are used by Herder's own instances, the \
         others by other programs); widen `instances.ports` or run fewer instances"
    )]
    Exhausted {
        /// First of the range.
        start: u16,
        /// Last of the range.
        end: u16,
        /// How many instances of ours have one.
        ours: usize,
    },
    /// The test itself was impossible.
    #[error("cannot test whether port {port} is free: {error}")]
    Untested {
        /// Which.
        port: u16,
        /// What the system said.
        error: io::Error,
    },
}

impl Ports {
    /// The ports from `start` to `end`, an empty range when `end` is lower. The search begins at a
    /// place that depends on `seed`, so that two Herders with the same range seldom meet.
    pub(super) fn new((start, end): (u16, u16), seed: u64) -> Self {
        let width = u64::from(end.saturating_sub(start)) + 1;
        let offset = u16::try_from(seed % width).expect("less than the width of a u16 range");
        Self { start, end, next: start + offset, taken: BTreeSet::new() }
    }

    /// A port that no instance has and no program listens on, as far as a test can tell.
    ///
    /// # Errors
    /// [`PortError`] when there is none, or when it cannot be told.
    pub(super) fn take(&mut self) -> Result<u16, PortError> {
        let (start, end) = (self.start, self.end);
        for port in (self.next..=end).chain(start..self.next) {
            if self.taken.contains(&port) {
                continue;
            }
            if is_free(port).map_err(|error| PortError::Untested { port, error })? {
                self.taken.insert(port);
                self.next = if port == end { start } else { port + 1 };
                return Ok(port);
            }
        }
        Err(PortError::Exhausted { start, end, ours: self.taken.len() })
    }

    /// Gives a port back.
    pub(super) fn release(&mut self, port: u16) {
        self.taken.remove(&port);
    }
}

/// Whether a program could listen on the port, on whichever local address it likes: the wildcard
/// addresses of both families are tried, since they collide with every other.
///
/// # Errors
/// When the system cannot say, as when no file descriptor is left.
pub(super) fn is_free(port: u16) -> io::Result<bool> {
    let v4 = SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
    let v6 = SocketAddr::from((Ipv6Addr::UNSPECIFIED, port));
    Ok(can_bind(v4)? && can_bind(v6)?)
}

/// Binds and lets go without listening, so that nobody can connect to the test.
fn can_bind(addr: SocketAddr) -> io::Result<bool> {
    let family = if addr.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = match socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None) {
        Ok(socket) => socket,
        // A machine without IPv6 has nobody who could hold the port there.
        Err(Errno::AFNOSUPPORT) if addr.is_ipv6() => return Ok(true),
        Err(error) => return Err(error.into()),
    };
    // As servers do; else connections of a former holder that linger count as in use.
    sockopt::set_socket_reuseaddr(&socket, true)?;
    if addr.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, true)?;
    }
    match bind(&socket, &addr) {
        Ok(()) => Ok(true),
        Err(Errno::ADDRNOTAVAIL) if addr.is_ipv6() => Ok(true),
        // EACCES: a privileged port, which the instance could not have either.
        Err(Errno::ADDRINUSE | Errno::ACCESS) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    /// A listener, and its port as a range of one.
    fn held(addr: &str) -> (TcpListener, (u16, u16)) {
        let listener = TcpListener::bind(addr).unwrap();
        let port = listener.local_addr().unwrap().port();
        (listener, (port, port))
    }

    #[test]
    fn a_port_of_ours_is_never_given_twice() {
        let (listener, range) = held("127.0.0.1:0");
        drop(listener);
        let mut ports = Ports::new(range, 7);
        assert_eq!(ports.take().unwrap(), range.0);
        let refused = ports.take().unwrap_err().to_string();
        assert!(refused.contains(&format!("from {} to {}", range.0, range.1)), "{refused}");
        assert!(refused.contains("(1 are used by Herder's own"), "{refused}");
        assert!(refused.contains("`instances.ports`"), "{refused}");
        ports.release(range.0);
        assert_eq!(ports.take().unwrap(), range.0);
    }

    #[test]
    fn a_port_of_others_is_not_given() {
        for addr in ["127.0.0.1:0", "0.0.0.0:0", "127.0.0.9:0", "[::1]:0"] {
            let Ok(probe) = TcpListener::bind(addr) else { continue };
            drop(probe);
            let (listener, range) = held(addr);
            assert!(matches!(Ports::new(range, 0).take(), Err(PortError::Exhausted { .. })));
            drop(listener);
        }
    }

    #[test]
    fn the_search_starts_where_the_seed_says_and_goes_round() {
        let check = |range, seed, next| assert_eq!(Ports::new(range, seed).next, next);
        check((100, 109), 0, 100);
        check((100, 109), 9, 109);
        check((100, 109), 10, 100);
        check((100, 100), u64::MAX, 100);
        check((0, u16::MAX), 65_535, 65_535);

        // A free stretch is rare to find, so any three ports in a row that are free will do.
        let base = (20_000..60_000)
            .step_by(3)
            .find(|&port| (port..port + 3).all(|port| matches!(is_free(port), Ok(true))));
        let base = base.unwrap();
        let mut ports = Ports::new((base, base + 2), 2);
        let first = ports.take().unwrap();
        assert_eq!(first, base + 2);
        ports.release(first);
        assert_eq!((ports.take().unwrap(), ports.take().unwrap()), (base, base + 1));
    }
}
