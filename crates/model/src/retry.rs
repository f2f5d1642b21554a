//! When a request is sent again, and when a second copy of it is: the policies, resolved.
//! What a request has tried, and what it may still spend, is not known here.

use std::time::Duration;

use http1::Method;

/// When a request of a service is sent again, to another instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Tries after the first. Never more than the pool has endpoints.
    pub retries_max: u32,
    /// What has to have happened.
    pub on: RetryOn,
    /// Which requests may be repeated though an instance may have seen them.
    pub methods: RetryMethods,
    /// From a request sent to the head of its response, if a try has less time than the request.
    /// Beyond it, another try, if another one can begin; else the response is waited for.
    pub timeout_try: Option<Duration>,
    /// The back-off before the n-th retry is drawn from nothing to (2ⁿ − 1) times this.
    pub backoff_min: Duration,
    /// Longest back-off; at least `backoff_min`. Also how long a retry waits for the budget.
    pub backoff_max: Duration,
    /// Longest Retry-After of all other instances that a request waits out. Beyond it the response
    /// at hand is passed on.
    pub retry_after_max: Duration,
    /// Bytes of a body that are kept until the response begins, so that they can be sent again.
    /// Beyond it the request is not repeated.
    pub body_bytes_max: usize,
    /// How many of all requests may be retries.
    pub budget: RetryBudget,
}

/// What has to have happened for a retry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryOn {
    /// No connection could be had: no instance has seen the request.
    pub connect_failure: bool,
    /// The connection ended before a response began.
    pub reset: bool,
    /// No response began in time.
    pub timeout: bool,
    /// The response has one of these statuses; mostly none.
    pub statuses: Box<[u16]>,
}

/// Which requests may be repeated though an instance may have seen them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RetryMethods {
    /// Those that change nothing: GET, HEAD, OPTIONS, TRACE.
    Safe,
    /// And those that change the same however often they come: PUT, DELETE.
    Idempotent,
    /// These.
    Listed(Box<[Box<str>]>),
}

/// How many of all requests may be retries. `balance::budget` says how it is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryBudget {
    /// Of a hundred requests. Beyond it a failure is passed on.
    pub percent: u32,
    /// What may be retried at once, and each second, however few requests there are.
    pub min: u32,
}

/// When a second copy of a safe request without a body is sent, to another instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hedge {
    /// After how long without the head of a response.
    pub after: HedgeAfter,
    /// Of a hundred requests. Beyond it the first copy is waited for.
    pub budget_percent: u32,
}

/// After how long without the head of a response a second copy is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HedgeAfter {
    /// After what 95 of 100 responses of the service take lately.
    P95,
    /// After so long.
    Time(Duration),
}

impl RetryMethods {
    /// Whether a request may be repeated; `name` is its method as sent.
    pub fn contain(&self, method: Method, name: &[u8]) -> bool {
        match self {
            RetryMethods::Safe => matches!(method, Method::Get | Method::Head | Method::Safe),
            RetryMethods::Idempotent => method.is_idempotent(),
            RetryMethods::Listed(names) => names.iter().any(|one| one.as_bytes() == name),
        }
    }
}

impl RetryOn {
    /// What a failure of the connection does to a request says little about the next instance.
    pub fn failures() -> Self {
        Self { connect_failure: true, reset: true, timeout: false, statuses: Box::default() }
    }
}
