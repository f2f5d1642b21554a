//! How much a service takes at once, who waits for the rest, and how often it may be asked.
//! Policies only: who counts, waits and refuses is decided elsewhere.

use std::time::Duration;

/// Requests in flight at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// At one instance; [`crate::UNLIMITED`] for no bound. Beyond: another instance, or the queue.
    pub in_flight_max: u32,
    /// At all instances together; [`crate::UNLIMITED`] for no bound. Beyond: the queue.
    pub service_in_flight_max: u32,
    /// How a lower bound for each instance is found.
    pub adaptive: Adaptive,
}

/// How many requests an instance gets at once, as far as its latency says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Adaptive {
    /// Whether it is found at all.
    pub is_on: bool,
    /// Never fewer; at least 1.
    pub min: u32,
    /// Never more; at least `min`.
    pub max: u32,
    /// By how many percent answers may take longer than without a queue.
    pub tolerance_percent: u32,
    /// How often it is measured what answers take without a queue, give or take a fifth.
    pub remeasure: Duration,
}

/// When requests are refused because too many of them fail. Beyond: 503 with Retry-After.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admission {
    /// Whether any are.
    pub is_on: bool,
    /// How many of a hundred requests have to end well for all to be let in; at least 1.
    pub success_percent: u32,
    /// Over how long that is counted.
    pub window: Duration,
    /// Requests a second below which none is refused.
    pub rate_min: u32,
    /// How many of a hundred are refused at most.
    pub refused_percent_max: u32,
}

/// Requests that no instance takes now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueuePolicy {
    /// Requests that may wait, over all workers. Beyond: 503 with Retry-After.
    pub waiting_max: u32,
    /// How long a request may wait. Beyond: 503 with Retry-After.
    pub timeout_wait: Duration,
    /// When the queue counts as overloaded; none: never.
    pub codel: Option<Codel>,
    /// Whether requests of the lowest class are refused while the queue is overloaded.
    pub sheds: bool,
    /// Which header says a request's class; none: all are alike.
    pub priority: Option<PriorityHeader>,
}

/// Overload, as "controlled delay" (CoDel, RFC 8289) tells it from a burst.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Codel {
    /// How long requests may stand in the queue.
    pub target: Duration,
    /// How long they may stand for longer than that, without a break.
    pub interval: Duration,
}

/// Where the class of a request is said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PriorityHeader {
    /// The header's name, in lower case.
    pub name: Box<str>,
    /// Who is believed.
    pub from: PriorityFrom,
}

/// Whose word about the class of a request is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PriorityFrom {
    /// Trusted proxies alone.
    Trusted,
    /// Every client.
    Anyone,
}

/// The class of a request that waits; a higher one goes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// The first that has to go without.
    Low,
    /// What every request is that says nothing.
    #[default]
    Normal,
    /// Goes first.
    High,
}

impl Priority {
    /// All classes, the lowest first.
    pub const ALL: [Priority; 3] = [Priority::Low, Priority::Normal, Priority::High];

    /// The class that a header's value names; none if it names none.
    pub fn named(value: &[u8]) -> Option<Self> {
        match value.trim_ascii() {
            b"0" | b"low" => Some(Priority::Low),
            b"1" | b"normal" => Some(Priority::Normal),
            b"2" | b"high" => Some(Priority::High),
            _ => None,
        }
    }
}

/// How often requests may come. Beyond: 429 with Retry-After.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// Which requests count together.
    pub key: RateKey,
    /// So many requests; at least 1,
    pub count: u32,
    /// in so much time, evenly.
    pub per: Duration,
    /// How many of them may come at once, after a while without any; at least 1.
    pub burst: u32,
}

/// What the requests have in common that count together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RateKey {
    /// The address of the client; for IPv6 its /64.
    Client,
    /// The value of this header, in lower case; those without it count together.
    Header(Box<str>),
    /// That they lead to this service.
    Route,
}
