//! The immutable snapshot that the data plane reads: which request leads to which pool.
//! `control` builds it, `proxy` looks at it; nobody changes one that was published.

use std::sync::Arc;

use crate::{Endpoint, Homes, Live, Redirect, Select, Service};

/// Routes and pools as of one moment. A request loads it once and sees nothing else change.
#[derive(Debug, Default)]
pub struct Table {
    /// Counts up with every table that is published.
    pub version: u64,
    /// Sorted so that the first match is the right one: exact hosts, then wildcards from the
    /// longest, then any host; within a host from the longest path.
    pub routes: Vec<Route>,
    /// The pools that routes point into.
    pub pools: Vec<Arc<Pool>>,
    /// The redirects that routes point into.
    pub redirects: Vec<Arc<Redirect>>,
}

/// Leads from a host and a path prefix to whoever answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Which hosts.
    pub host: HostPattern,
    /// Which paths: this one and everything below it.
    pub path: Box<str>,
    /// Who answers.
    pub to: Destination,
}

/// Who answers the requests of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// An instance: an index into [`Table::pools`].
    Pool(usize),
    /// Herder, by naming another place: an index into [`Table::redirects`].
    Redirect(usize),
}

/// Which hosts a route is for. Texts are lower-case and have no port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostPattern {
    /// This host.
    Exact(Box<str>),
    /// Every host that ends in this text, which starts with a dot; not the bare domain.
    Suffix(Box<str>),
    /// Every host.
    Any,
}

/// The endpoints of one service that may receive requests now.
#[derive(Debug)]
pub struct Pool {
    /// The service and its policies.
    pub service: Arc<Service>,
    /// A small number that stands for the service in per-worker arrays; the same in every table.
    pub slot: usize,
    /// What its tables have in common.
    pub live: Arc<Live>,
    /// Every endpoint that a pick may end at.
    pub endpoints: Vec<Arc<Endpoint>>,
    /// Picks one of them.
    pub selector: Box<dyn Select>,
    /// Which of them clients stay with; none if with nobody.
    pub homes: Option<Box<Homes>>,
}

impl HostPattern {
    /// The pattern of a host as a configuration writes it: exact, `*.domain`, or nothing.
    pub fn of(host: Option<&str>) -> Self {
        match host {
            None => Self::Any,
            Some(host) => match host.strip_prefix('*') {
                Some(suffix) => Self::Suffix(suffix.into()),
                None => Self::Exact(host.into()),
            },
        }
    }
}

impl Route {
    /// The order of [`Table::routes`]: the most specific first.
    pub fn precedence(&self) -> (u8, std::cmp::Reverse<usize>, std::cmp::Reverse<usize>) {
        let (class, host_bytes) = match &self.host {
            HostPattern::Exact(_) => (0, 0),
            HostPattern::Suffix(suffix) => (1, suffix.len()),
            HostPattern::Any => (2, 0),
        };
        (class, std::cmp::Reverse(host_bytes), std::cmp::Reverse(self.path.len()))
    }
}
