//! Connections to instances: opened, parked while idle, taken again.
//! One set per worker, so no lock; a parked connection is looked at before it is used again.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::poll_fn;
use std::hash::{BuildHasherDefault, Hasher};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use model::{Endpoint, HttpPolicy, ProxyProtocolOut};
use tokio::net::TcpStream;

use crate::buffer::Buffer;
use crate::timers::{Deadline, Why};

/// Largest response head of an instance: the same bound as the default of a request head.
pub(crate) const RESPONSE_HEAD_BYTES_MAX: usize = 64 * 1024;

/// For how long a parked connection is as good as new: the most impatient servers in use close one
/// after two seconds.
const FRESH_MS: u64 = 1000;

/// After which a connection that does not stand yet is tried a second time beside the first. What
/// got lost, mostly because its listener was about to close, the kernel itself repeats after 1 s.
const SECOND_TRY: Duration = Duration::from_millis(250);
/// The owner of a connection that any client's request may go over.
pub(crate) const ANYBODY: u64 = 0;

/// Which parked connections will do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Parking {
    /// Any: if it turns out to be stale, the request is sent again.
    Any,
    /// Only one that is too fresh to be stale: the request cannot be sent again.
    Fresh,
}

/// A connection to an instance.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) stream: TcpStream,
    pub(crate) input: Buffer,
    /// Whether it was parked and nothing has come on it since: then its end says nothing about the
    /// instance but that it did not wait any longer for a request.
    pub(crate) may_be_stale: bool,
    /// Requests that went over it.
    pub(crate) requests: u64,
    /// When it takes no further request.
    pub(crate) retires_ms: u64,
    /// The header that it has to begin with still.
    pub(crate) greeting: ProxyProtocolOut,
    /// The number of the client connection whose requests alone may go over it: the instance was
    /// told that it is that client's.
    pub(crate) owner: u64,
}

/// The idle connections of one worker, by endpoint.
#[derive(Debug, Default)]
pub(crate) struct Idle {
    stacks: RefCell<HashMap<u64, Stack, BuildHasherDefault<KeyHasher>>>,
    /// Whether some may be one client's alone.
    has_owned: Cell<bool>,
}

/// Spreads the keys of endpoints, which Herder gives itself and in turn: nobody can choose them so
/// that they collide. Fibonacci hashing, after Knuth.
#[derive(Debug, Default)]
struct KeyHasher(u64);

#[derive(Debug)]
struct Stack {
    endpoint: Arc<Endpoint>,
    /// The most recently used last: it is taken first, so that surplus ones age and go.
    parked: Vec<Parked>,
}

#[derive(Debug)]
struct Parked {
    link: Link,
    parked_ms: u64,
    expires_ms: u64,
}

impl Hasher for KeyHasher {
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(self.0 ^ u64::from(byte));
        }
    }

    fn write_u64(&mut self, key: u64) {
        self.0 = key.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

impl Link {
    /// Opens a connection.
    ///
    /// # Errors
    /// What the kernel says; `TimedOut` after `timeout`, or when `deadline` has another reason.
    pub(crate) async fn open(
        endpoint: &Endpoint,
        timeout: Duration,
        deadline: &Deadline,
    ) -> io::Result<Self> {
        let connected = connect(endpoint, timeout, deadline).await;
        let stream = connected.unwrap_or_else(|| Err(io::ErrorKind::TimedOut.into()))?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            input: Buffer::new(RESPONSE_HEAD_BYTES_MAX + 1),
            may_be_stale: false,
            requests: 0,
            retires_ms: u64::MAX,
            greeting: ProxyProtocolOut::Off,
            owner: ANYBODY,
        })
    }

    /// Ends it with a reset when it is dropped. There are servers that take half a body for a whole
    /// one when the connection ends in order.
    pub(crate) fn break_off(&self) {
        if let Err(error) = self.stream.set_zero_linger() {
            tracing::debug!(%error, "a connection to an instance ended in order, its request not");
        }
    }

    /// Whether it is not to carry another request.
    fn has_served(&self, policy: &HttpPolicy, now_ms: u64) -> bool {
        self.requests >= policy.connection_requests_max || now_ms >= self.retires_ms
    }

    /// Whether nothing came on it since it was parked: neither a close nor a stray byte. Costs no
    /// system call unless the socket has reported something.
    fn is_quiet(&self) -> bool {
        matches!(
            self.stream.try_read(&mut [0]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock
        )
    }
}

/// Connects, with a second try beside the first if that takes long. Nothing at the end of the time.
async fn connect(
    endpoint: &Endpoint,
    timeout: Duration,
    deadline: &Deadline,
) -> Option<io::Result<TcpStream>> {
    let mut first = pin!(TcpStream::connect(endpoint.addr));
    deadline.set(timeout.min(SECOND_TRY));
    let connected = deadline.within(first.as_mut()).await;
    if connected.is_some() || timeout <= SECOND_TRY || deadline.why() != Why::Own {
        return connected;
    }
    deadline.set(timeout - SECOND_TRY);
    // Apart, because it is rare, and would make every connection larger.
    let mut second = Box::pin(TcpStream::connect(endpoint.addr));
    let either = poll_fn(|cx| match first.as_mut().poll(cx) {
        Poll::Pending => second.as_mut().poll(cx),
        connected => connected,
    });
    deadline.within(pin!(either)).await
}

impl Idle {
    /// Takes the most recently used connection to the endpoint that is still good.
    /// It is the owner's, or anybody's if the owner is [`ANYBODY`].
    pub(crate) fn take(
        &self,
        endpoint: &Endpoint,
        parking: Parking,
        owner: u64,
        now_ms: u64,
    ) -> Option<Link> {
        let mut stacks = self.stacks.borrow_mut();
        let stack = stacks.get_mut(&endpoint.key)?;
        let will_do = |parked: &Parked| {
            parked.link.owner == owner
                && (parking == Parking::Any || now_ms.saturating_sub(parked.parked_ms) < FRESH_MS)
        };
        while let Some(at) = stack.parked.iter().rposition(will_do) {
            let parked = stack.parked.remove(at);
            if parked.link.is_quiet() {
                return Some(parked.link);
            }
        }
        None
    }

    /// Keeps a connection for the next request, unless the instance is going, enough are kept, or
    /// this one has done its part.
    pub(crate) fn park(
        &self,
        endpoint: &Arc<Endpoint>,
        mut link: Link,
        policy: &HttpPolicy,
        now_ms: u64,
    ) {
        if endpoint.is_closed() || !link.input.is_empty() || link.has_served(policy, now_ms) {
            return;
        }
        let mut stacks = self.stacks.borrow_mut();
        let stack = stacks
            .entry(endpoint.key)
            .or_insert_with(|| Stack { endpoint: Arc::clone(endpoint), parked: Vec::new() });
        if stack.parked.len() >= policy.idle_max {
            // Of those with an owner most are never asked for again.
            if link.owner == ANYBODY || stack.parked.is_empty() {
                return;
            }
            stack.parked.remove(0);
        }
        if link.owner != ANYBODY {
            self.has_owned.set(true);
        }
        link.may_be_stale = true;
        let idle_ms = u64::try_from(policy.timeout_idle.as_millis()).unwrap_or(u64::MAX);
        let expires_ms = now_ms.saturating_add(idle_ms).min(link.retires_ms);
        stack.parked.push(Parked { link, parked_ms: now_ms, expires_ms });
    }

    /// Closes what has idled too long, and everything to instances that are going: a server that
    /// waits for its connections before it exits must not wait for ours.
    pub(crate) fn prune(&self, now_ms: u64) {
        let mut has_owned = false;
        self.stacks.borrow_mut().retain(|_, stack| {
            stack.parked.retain(|parked| parked.expires_ms > now_ms);
            has_owned |= stack.parked.iter().any(|parked| parked.link.owner != ANYBODY);
            !stack.endpoint.is_closed() && !stack.parked.is_empty()
        });
        self.has_owned.set(has_owned);
    }

    /// Closes what was one client connection's alone, which has ended.
    pub(crate) fn disown(&self, owner: u64) {
        if self.has_owned.get() {
            for stack in self.stacks.borrow_mut().values_mut() {
                stack.parked.retain(|parked| parked.link.owner != owner);
            }
        }
    }

    /// Closes everything to one endpoint: one of its connections has shown that it is gone.
    pub(crate) fn forget(&self, endpoint: &Endpoint) {
        self.stacks.borrow_mut().remove(&endpoint.key);
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;
    use crate::timers::Timers;

    const POLICY: HttpPolicy = HttpPolicy {
        idle_max: 2,
        timeout_idle: Duration::from_millis(5000),
        ..HttpPolicy::unbounded()
    };

    #[tokio::test]
    async fn only_what_may_be_repeated_goes_over_an_old_connection() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let endpoint = Arc::new(Endpoint::new("shop.1".parse().unwrap(), 1, addr, 1));
        let idle = Idle::default();
        let deadline = Rc::new(Timers::new()).deadline();
        let park = async |now_ms| {
            let link = Link::open(&endpoint, POLICY.timeout_connect, &deadline).await.unwrap();
            idle.park(&endpoint, link, &POLICY, now_ms);
        };
        let take = |parking, now_ms| idle.take(&endpoint, parking, ANYBODY, now_ms).is_some();
        park(0).await;
        assert!(!take(Parking::Fresh, FRESH_MS), "too old, and left where it was");
        assert!(take(Parking::Any, FRESH_MS));
        park(0).await;
        park(500).await;
        park(900).await;
        assert!(take(Parking::Fresh, FRESH_MS + 499), "the third was one too many");
        assert!(!take(Parking::Fresh, FRESH_MS + 499));
        idle.prune(5000);
        assert!(!take(Parking::Any, 5000), "it has expired");
    }

    #[tokio::test]
    async fn what_is_one_clients_goes_to_no_other() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let endpoint = Arc::new(Endpoint::new("shop.1".parse().unwrap(), 1, addr, 1));
        let idle = Idle::default();
        let deadline = Rc::new(Timers::new()).deadline();
        let park = async |owner| {
            let link = Link::open(&endpoint, POLICY.timeout_connect, &deadline).await.unwrap();
            idle.park(&endpoint, Link { owner, ..link }, &POLICY, 0);
        };
        let take = |owner| Some(idle.take(&endpoint, Parking::Any, owner, 0)?.owner);
        park(7).await;
        park(8).await;
        assert_eq!((take(ANYBODY), take(9)), (None, None));
        park(9).await;
        assert_eq!((take(7), take(8)), (None, Some(8)), "the oldest gave way");
        idle.disown(9);
        assert_eq!(take(9), None);
        park(ANYBODY).await;
        assert_eq!((take(9), take(ANYBODY)), (None, Some(ANYBODY)));
    }
}
