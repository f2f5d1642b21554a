//! One service and its policies, resolved: valid by construction once `config` has made it.
//! No state: what runs and how it fares is `control`'s to know.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::{
    Admission, Affinity, Algorithm, Autoscale, Compression, Eject, HashOn, Health, Hedge, Limits,
    Mode, ProxyProtocolOut, QueuePolicy, RateLimit, Resources, Retry, Rules, ServiceName,
};

/// A named set of interchangeable instances, and its policies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Its name.
    pub name: ServiceName,
    /// What leads to it. Empty: nothing does, and its instances run all the same.
    pub routes: Vec<RouteRule>,
    /// What its connections carry. With [`Mode::Tcp`] it has no routes.
    pub mode: Mode,
    /// Whether connections to its instances begin with a header that says who the client is.
    pub proxy_protocol: ProxyProtocolOut,
    /// Where its instances come from.
    pub source: Source,
    /// When an instance is fit.
    pub health: Health,
    /// When an instance is taken out because of how its requests fare.
    pub eject: Eject,
    /// Percentage of the instances below which requests go to those too that are ejected, or fail
    /// their probes and still answer; 0 never.
    pub panic_percent: u32,
    /// How long the part of the requests that an instance gets grows, after it became ready. Zero:
    /// it gets its whole part at once.
    pub slow_start: Duration,
    /// Which instance gets a request.
    pub balance: Algorithm,
    /// What requests are told apart by, if the algorithm does.
    pub hash_on: HashOn,
    /// How a client stays with an instance; none if it does not.
    pub affinity: Option<Affinity>,
    /// How many instances.
    pub scale: Scale,
    /// How the number follows demand, between these bounds.
    pub autoscale: Autoscale,
    /// What each instance may use of the machine.
    pub resources: Resources,
    /// How an instance is stopped.
    pub drain: Drain,
    /// How an instance that ended is replaced.
    pub restart: Restart,
    /// The bounds of a request to it.
    pub http: HttpPolicy,
    /// How many requests it takes at once.
    pub limits: Limits,
    /// What becomes of requests that it does not take now.
    pub queue: QueuePolicy,
    /// When one is sent again.
    pub retry: Retry,
    /// How often it may be asked; all of them hold. Empty if nothing bounds that.
    pub rate_limits: Box<[RateLimit]>,
    /// When some are refused because too many fail.
    pub admission: Admission,
    /// When a second copy of one is sent; none if never.
    pub hedge: Option<Hedge>,
    /// Which of its responses are compressed.
    pub compression: Compression,
    /// What is changed on the way to it and back; none if nothing is.
    pub rules: Option<Box<Rules>>,
}

impl Service {
    /// Whether somebody goes by how long answers take: looking at the clock costs.
    pub fn measures(&self) -> bool {
        self.balance.measures() || self.limits.adaptive.is_on || self.http.timeout_request.is_some()
    }
}

/// Which requests lead to a service, or to a redirect.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RouteRule {
    /// A lower-case host without port, or `*.` and a domain, or nothing for any host.
    pub host: Option<Box<str>>,
    /// A path prefix that starts with `/`; it matches whole segments.
    pub path: Box<str>,
}

/// Where instances come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Processes that Herder starts and stops.
    Command(Command),
    /// Addresses that somebody else runs. Herder probes them and balances over them.
    Static(Vec<StaticEndpoint>),
}

/// A process to start, one per instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// Program and arguments; never empty. `{port}` in any of them becomes the instance's port.
    pub argv: Vec<String>,
    /// Variables on top of Herder's own environment.
    pub env: BTreeMap<String, String>,
    /// Working directory; Herder's own when absent.
    pub dir: Option<PathBuf>,
}

/// One address of a static service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StaticEndpoint {
    /// Where it is reached.
    pub addr: SocketAddr,
    /// Its share of requests relative to the others; at least 1.
    pub weight: u32,
    /// Whom it stands behind: it gets requests when too few of lower numbers can. 0 is first.
    pub priority: u32,
}

/// How many instances. `1 ≤ min ≤ max`, or `min = max =` the number of static addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scale {
    /// Never fewer.
    pub min: u32,
    /// Never more, but for the one that a rolling restart starts first.
    pub max: u32,
}

/// How an instance is stopped: out of the pool, requests finish, SIGTERM, SIGKILL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drain {
    /// How long requests in flight may take to finish.
    pub timeout_drain: Duration,
    /// How long after SIGTERM until SIGKILL.
    pub timeout_grace: Duration,
}

/// How an instance that ended without being told to is replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Restart {
    /// Back-off after the first failure; doubles with each.
    pub backoff_min: Duration,
    /// Longest back-off.
    pub backoff_max: Duration,
    /// How long an instance has to be ready until the failures before it are forgotten.
    pub forgive_after: Duration,
    /// Consecutive failures that are called a crash loop.
    pub crash_loop: u32,
}

/// The bounds of one request to a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpPolicy {
    /// Until a connection to an instance stands. Beyond: another endpoint, else 504.
    pub timeout_connect: Duration,
    /// From the request sent to the response head. Beyond: 504.
    pub timeout_response: Duration,
    /// How long a client that waits for `100 Continue` waits for the instance's. Beyond: it gets
    /// Herder's.
    pub timeout_continue: Duration,
    /// From the request head to the last byte of the response, if there is a bound. Beyond: 504, or
    /// the connection to the client is closed.
    pub timeout_request: Option<Duration>,
    /// Between two bytes of a response body, or of a request body towards the instance.
    /// Beyond: the connection to the client is closed.
    pub timeout_body: Duration,
    /// Bytes of a request body. Beyond: 413.
    pub body_bytes_max: u64,
    /// Idle connections kept per instance and worker. Beyond: closed after use.
    pub idle_max: usize,
    /// Requests over one connection to an instance. At the limit: closed after it.
    pub connection_requests_max: u64,
    /// How old a connection to an instance may be for a new request, if there is a bound, give or
    /// take a tenth. Beyond: closed.
    pub connection_age_max: Option<Duration>,
    /// How long a connection to an instance may idle. Beyond: closed.
    pub timeout_idle: Duration,
    /// Bytes of content still to come from which on the kernel moves them from socket to socket
    /// by itself; `u64::MAX` never.
    pub splice_bytes_min: u64,
    /// How long nothing may move in a tunnel, such as a WebSocket. Beyond: closed.
    pub timeout_tunnel: Duration,
    /// Whether instances get `Forwarded` beside `X-Forwarded-For`.
    pub adds_forwarded: bool,
    /// Whether Herder names itself in `Via`, to instances and to clients.
    pub adds_via: bool,
    /// How long a connection to an instance may be silent until the kernel asks whether it is still
    /// there, in whole seconds; none: it never asks.
    pub keepalive: Option<Duration>,
}
