//! What one configuration asks for, resolved: every default filled in, every reference checked.
//! It says nothing about how it was written; `config` makes it, `control` and `proxy` obey it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::{Machine, Networks, ProxyProtocolIn, Redirect, Service, ServiceName};

/// Everything that may change while Herder runs. Applying the same one twice changes nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Desired {
    /// The addresses to accept on, by name.
    pub listeners: BTreeMap<Box<str>, Arc<Listener>>,
    /// The services, by name.
    pub services: BTreeMap<ServiceName, Arc<Service>>,
    /// The redirects, by name.
    pub redirects: BTreeMap<Box<str>, Arc<Redirect>>,
    /// What all instances together may use.
    pub machine: Machine,
}

/// An address to accept on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Its name in the file, such as `web`.
    pub name: Box<str>,
    /// Where it accepts. Port 0 takes any free one.
    pub bind: SocketAddr,
    /// Whose word about the client is believed: proxies in front of Herder.
    pub trusted_proxies: Networks,
    /// Whether connections begin with a header that says who the client is.
    pub proxy_protocol: ProxyProtocolIn,
    /// The service that every connection is carried to as it is. None: requests are read.
    pub tcp: Option<ServiceName>,
    /// How long a connection may be silent until the kernel asks whether the client is still there,
    /// in whole seconds; none: it never asks.
    pub keepalive: Option<Duration>,
    /// The bounds of what it accepts.
    pub limits: ListenerLimits,
}

/// The bounds on what one client connection may ask of Herder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerLimits {
    /// Connections open at once on this listener, over all workers. At the limit Herder stops
    /// accepting; further clients wait in the kernel's backlog.
    pub connections_max: u32,
    /// Connections open at once of one client address, over all workers; those of IPv6 count by
    /// the first 64 bits. Beyond: reset. `u32::MAX`: no bound, and nothing is counted.
    pub connections_per_client_max: u32,
    /// Bytes of a request head, request line included. Beyond: 431, or 414 in the request line.
    pub head_bytes_max: usize,
    /// Header lines of a request. Beyond: 431.
    pub headers_max: usize,
    /// Bytes of the request target. Beyond: 414.
    pub target_bytes_max: usize,
    /// Requests on one connection; the last one is answered with `Connection: close`.
    pub requests_per_connection_max: u64,
    /// Requests in a row that were there before the answer to the one before was; the last one is
    /// answered with `Connection: close`.
    pub pipelined_max: u64,
    /// Bytes of a request body that are read and thrown away once the answer is complete. Beyond,
    /// or when it is not known how many are left: `Connection: close`.
    pub body_discard_bytes_max: u64,
    /// From the first byte of a head to its end. Beyond: 408.
    pub timeout_head: Duration,
    /// Between two bytes of a request body. Beyond: 408.
    pub timeout_body: Duration,
    /// Without a request on an open connection, and without progress in writing to the client.
    /// Beyond: closed silently.
    pub timeout_idle: Duration,
}
