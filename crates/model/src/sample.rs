//! The loosest of everything that a configuration decides: the base of what tests make.
//! The product never uses it; what runs has every value from the configuration.

use std::net::SocketAddr;
use std::time::Duration;

use http1::Location;

use crate::{
    Adaptive, Admission, Algorithm, Autoscale, Compression, Drain, Eject, HashOn, Health,
    HttpPolicy, HttpProbe, Limits, Listener, ListenerLimits, Mode, Networks, Probe,
    ProxyProtocolIn, ProxyProtocolOut, QueuePolicy, Redirect, RedirectStatus, Resources, Restart,
    Retry, RetryBudget, RetryMethods, RetryOn, Scale, Service, ServiceName, Source, UNLIMITED,
};

/// Longer than any test.
const NEVER: Duration = Duration::from_secs(24 * 3600);

impl Service {
    /// A service that nothing leads to, without rules and with [`HttpPolicy::unbounded`].
    pub fn unbounded(name: ServiceName, source: Source) -> Self {
        Self {
            name,
            routes: Vec::new(),
            mode: Mode::Http,
            proxy_protocol: ProxyProtocolOut::Off,
            source,
            health: Health {
                probe: Probe::Tcp,
                interval: Duration::from_secs(1),
                interval_fast: Duration::from_secs(1),
                timeout: Duration::from_secs(1),
                healthy: 1,
                unhealthy: 1,
                timeout_boot: NEVER,
                feedback: false,
            },
            eject: Eject::never(),
            panic_percent: 0,
            slow_start: Duration::ZERO,
            balance: Algorithm::RoundRobin,
            hash_on: HashOn::Client,
            affinity: None,
            scale: Scale { min: 1, max: 1 },
            autoscale: Autoscale::fixed(),
            resources: Resources::default(),
            drain: Drain { timeout_drain: NEVER, timeout_grace: NEVER },
            restart: Restart {
                backoff_min: Duration::from_secs(1),
                backoff_max: Duration::from_secs(1),
                forgive_after: NEVER,
                crash_loop: u32::MAX,
            },
            http: HttpPolicy::unbounded(),
            limits: Limits::unbounded(),
            queue: QueuePolicy::unbounded(),
            retry: Retry::unbounded(),
            rate_limits: Box::default(),
            admission: Admission::off(),
            hedge: None,
            compression: Compression::off(),
            rules: None,
        }
    }
}

impl HttpProbe {
    /// `GET` on a path, which every answer passes that is no error.
    pub fn get(path: &str) -> Self {
        Self {
            method: "GET".into(),
            path: path.into(),
            headers: Vec::new(),
            statuses: vec![200..=399],
            body: None,
            body_match: None,
        }
    }
}

impl Limits {
    /// No bound.
    pub const fn unbounded() -> Self {
        let adaptive = Adaptive {
            is_on: false,
            min: 1,
            max: UNLIMITED,
            tolerance_percent: 0,
            remeasure: NEVER,
        };
        Self { in_flight_max: UNLIMITED, service_in_flight_max: UNLIMITED, adaptive }
    }
}

impl Admission {
    /// Everybody is let in.
    pub const fn off() -> Self {
        Self {
            is_on: false,
            success_percent: 1,
            window: NEVER,
            rate_min: u32::MAX,
            refused_percent_max: 0,
        }
    }
}

impl QueuePolicy {
    /// Everybody may wait, for as long as a test runs.
    pub const fn unbounded() -> Self {
        Self {
            waiting_max: u32::MAX,
            timeout_wait: NEVER,
            codel: None,
            sheds: false,
            priority: None,
        }
    }
}

impl Redirect {
    /// A redirect to `/` that nothing leads to.
    ///
    /// # Panics
    /// Never: `/` is a place to lead to.
    pub fn unrouted(name: &str) -> Self {
        Self {
            name: name.into(),
            routes: Vec::new(),
            to: Location::parse("/").expect("`/` is a place to lead to"),
            status: RedirectStatus::Permanent,
        }
    }
}

impl HttpPolicy {
    /// No bound that a test would meet.
    pub const fn unbounded() -> Self {
        Self {
            timeout_connect: NEVER,
            timeout_response: NEVER,
            timeout_continue: NEVER,
            timeout_request: None,
            timeout_body: NEVER,
            body_bytes_max: u64::MAX,
            idle_max: usize::MAX,
            connection_requests_max: u64::MAX,
            connection_age_max: None,
            timeout_idle: NEVER,
            splice_bytes_min: 64 * 1024,
            timeout_tunnel: NEVER,
            adds_forwarded: false,
            adds_via: false,
            keepalive: None,
        }
    }
}

impl Retry {
    /// No retries; with some, those of failures, at once and without a budget.
    pub fn unbounded() -> Self {
        Self {
            retries_max: 0,
            on: RetryOn::failures(),
            methods: RetryMethods::Idempotent,
            timeout_try: None,
            backoff_min: Duration::ZERO,
            backoff_max: Duration::ZERO,
            retry_after_max: NEVER,
            body_bytes_max: 0,
            budget: RetryBudget { percent: 100, min: u32::MAX },
        }
    }
}

impl Listener {
    /// A listener that believes nobody, with [`ListenerLimits::unbounded`].
    pub fn unbounded(name: &str, bind: SocketAddr) -> Self {
        Self {
            name: name.into(),
            bind,
            trusted_proxies: Networks::default(),
            proxy_protocol: ProxyProtocolIn::Off,
            tcp: None,
            keepalive: None,
            limits: ListenerLimits::unbounded(),
        }
    }
}

impl ListenerLimits {
    /// No bound that a test would meet, but for those of the head, which size buffers.
    pub const fn unbounded() -> Self {
        Self {
            connections_max: u32::MAX,
            connections_per_client_max: u32::MAX,
            head_bytes_max: 16 * 1024,
            headers_max: 100,
            target_bytes_max: 8 * 1024,
            requests_per_connection_max: u64::MAX,
            pipelined_max: u64::MAX,
            body_discard_bytes_max: u64::MAX,
            timeout_head: NEVER,
            timeout_body: NEVER,
            timeout_idle: NEVER,
        }
    }
}
