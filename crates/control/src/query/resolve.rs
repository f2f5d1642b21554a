//! The addresses of a name, looked up on a thread of its own: the system's lookup may take as long
//! as it likes, and nobody else in control may have to wait for it.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::thread;

use tokio::sync::oneshot;

/// What a lookup came to.
type Found = io::Result<Vec<SocketAddr>>;

/// Looks up one name, again and again, one lookup at a time.
#[derive(Default)]
pub(super) struct Resolver {
    /// The lookup that somebody gave up to wait for, and that is still under way.
    pending: Option<oneshot::Receiver<Found>>,
}

impl Resolver {
    /// The addresses of `HOST:PORT`. Whoever gives up waiting finds the same lookup next time.
    ///
    /// # Errors
    /// What the system says, or that there is no thread.
    pub(super) async fn addresses(&mut self, authority: &str) -> Found {
        if let Ok(addr) = authority.parse() {
            return Ok(vec![addr]);
        }
        if self.pending.is_none() {
            let (found, pending) = oneshot::channel();
            let authority = authority.to_owned();
            thread::Builder::new().name("resolve".into()).spawn(move || {
                // Whoever asked may be gone.
                found.send(authority.to_socket_addrs().map(Iterator::collect)).ok();
            })?;
            self.pending = Some(pending);
        }
        let Some(pending) = &mut self.pending else { return Ok(Vec::new()) };
        let found = pending.await;
        self.pending = None;
        found.unwrap_or_else(|_| Err(io::Error::other("the lookup was broken off")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn names_and_addresses_are_found() {
        let mut resolver = Resolver::default();
        let addr: SocketAddr = "127.0.0.1:9090".parse().unwrap();
        assert_eq!(resolver.addresses("127.0.0.1:9090").await.unwrap(), [addr]);
        assert!(resolver.addresses("localhost:9090").await.unwrap().contains(&addr));
        assert!(resolver.addresses("no port").await.is_err());
    }

    #[tokio::test]
    async fn a_lookup_that_was_given_up_is_the_one_that_is_waited_for_next() {
        let (found, pending) = oneshot::channel();
        let mut resolver = Resolver { pending: Some(pending) };
        let wait = tokio::time::timeout(std::time::Duration::ZERO, resolver.addresses("a:1"));
        assert!(wait.await.is_err());
        let addr: SocketAddr = "10.0.0.1:1".parse().unwrap();
        found.send(Ok(vec![addr])).unwrap();
        assert_eq!(resolver.addresses("a:1").await.unwrap(), [addr]);
        assert!(resolver.pending.is_none());
    }
}
