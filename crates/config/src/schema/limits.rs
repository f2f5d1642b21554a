//! How much a service takes at once, and who waits, as written.
//! It holds what the file says and decides nothing.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::defaults;
use crate::schema::text::{Form, Text, Wrong, wrong};

/// How many requests the service takes at once. Those beyond wait in its queue.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Limits {
    /// Requests in flight at one instance. An instance that has as many gets no more until one of
    /// them ends.
    pub in_flight_max: defaults::InFlightMax,
    /// Requests in flight at all instances together.
    pub service_in_flight_max: defaults::ServiceInFlightMax,
}

/// Requests that no instance takes now, because none is ready or all have as many as they may.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Queue {
    /// Requests that may wait. Beyond it the answer is 503 with Retry-After; a request of a higher
    /// class takes the place of the newest of the lowest.
    pub max: defaults::QueueMax,
    /// How long a request may wait. Beyond it the answer is 503 with Retry-After.
    pub timeout: defaults::QueueTimeout,
    /// How long requests may stand in the queue until it counts as overloaded, if that goes on for
    /// `interval` while instances take requests from it. Then the newest go first, and the oldest
    /// are answered with 503 one by one.
    pub target: defaults::QueueTarget,
    /// How long requests have to stand for longer than `target` until that is overload.
    pub interval: defaults::QueueInterval,
    /// Whether requests of the lowest class are refused at once while the queue is overloaded.
    pub shed: bool,
    /// The header that says a request's class: `0` or `low`, `1` or `normal`, `2` or `high`. Higher
    /// ones go first, but for one place in nine. Absent: all requests are alike.
    #[schemars(example = &"X-Priority")]
    pub priority_header: Option<Text<HeaderName>>,
    /// Whose `priority_header` is believed.
    pub priority_from: PriorityFrom,
}

/// Whose word about the class of a request is believed.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub(crate) enum PriorityFrom {
    /// That of proxies in the listener's `trusted_proxies`.
    #[default]
    Trusted,
    /// Every client's.
    Anyone,
}

/// The name of a header, kept in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HeaderName(pub Box<str>);

impl Form for HeaderName {
    const FORMAT: &'static str = "herder-header-name";
    const WHAT: &'static str = "the name of a header";
    const PATTERN: &'static str = "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$";

    fn read(text: &str) -> Result<Self, Wrong> {
        let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        if !text.is_empty() && text.bytes().all(is_token) {
            return Ok(Self(text.to_ascii_lowercase().into()));
        }
        wrong(
            format!("{text:?} is not the name of a header"),
            "write letters, digits and dashes, such as \"X-Priority\"",
        )
    }
}
