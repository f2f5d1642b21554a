//! How much a service takes at once, and who waits, as written.
//! It holds what the file says and decides nothing.

use std::time::Duration;

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
    /// Whether the bound of each instance is found by what its answers take, below
    /// `in_flight_max`: `true`, or a table.
    #[schemars(example = true, extend("default" = false))]
    pub adaptive: Option<AdaptiveForm>,
}

/// Adaptive limits, in their two forms.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub(crate) enum AdaptiveForm {
    /// On with what is usual, or off.
    Switch(bool),
    /// On, as the table says.
    Table(Adaptive),
}

/// How many requests an instance gets at once, found by what its answers take.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Adaptive {
    /// Never fewer requests in flight at one instance.
    pub min: defaults::AdaptiveMin,
    /// Never more. When absent, 1000 or `min`, whichever is more.
    #[schemars(extend("default" = defaults::AdaptiveMax::default()))]
    pub max: Option<defaults::AdaptiveMax>,
    /// By how many percent answers may take longer than they do when none waits for another.
    pub tolerance_percent: defaults::AdaptiveTolerance,
    /// How often it is measured what answers take when none waits, by half as many requests for a
    /// moment; give or take a fifth.
    pub remeasure: defaults::AdaptiveRemeasure,
}

/// Admission, in its two forms.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub(crate) enum AdmissionForm {
    /// On with what is usual, or off.
    Switch(bool),
    /// On, as the table says.
    Table(Admission),
}

/// When requests are refused because too many of them fail. The answer is 503 with Retry-After.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Admission {
    /// How many of a hundred requests have to end well for all to be let in. Below it, so many are
    /// refused that of the others about as many do.
    pub success_percent: defaults::AdmissionSuccessPercent,
    /// Over how long that is counted.
    pub window: defaults::AdmissionWindow,
    /// Requests a second, over the window, below which none is refused.
    pub rate_min: defaults::AdmissionRateMin,
    /// How many of a hundred requests are refused at most: the others find out when it is over.
    pub refused_percent_max: defaults::AdmissionRefusedPercentMax,
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

// Several come first: see `Routes`.
/// One rate limit or several.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub(crate) enum RateLimits {
    /// Several.
    Many(Vec<RateLimit>),
    /// One.
    One(RateLimit),
}

// What is required is optional here, so that a bad value does not keep the rest from being judged.
/// How often requests may come. Beyond it the answer is 429 with Retry-After.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["rate"]))]
pub(crate) struct RateLimit {
    /// Which requests count together: `"client"`, those of one address (for IPv6, of one /64);
    /// `"header:NAME"`, those with the same value of that header; `"route"`, all that lead to the
    /// service.
    #[schemars(example = &"header:X-Api-Key", extend("default" = "client"))]
    pub key: Option<Text<RateKey>>,
    /// How many, in a second (`s`), a minute (`m`) or an hour (`h`), evenly.
    #[schemars(example = &"100/s")]
    pub rate: Option<Text<Rate>>,
    /// How many of them may come at once, after a while without any. Absent: as many as in a
    /// second, at least 1.
    #[schemars(example = 50)]
    pub burst: Option<defaults::RateBurst>,
}

/// Which requests count together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RateKey(pub model::RateKey);

impl Form for RateKey {
    const FORMAT: &'static str = "herder-rate-key";
    const WHAT: &'static str = "what counts together";
    const PATTERN: &'static str = "^(client|route|header:.+)$";

    fn read(text: &str) -> Result<Self, Wrong> {
        match text {
            "client" => Ok(Self(model::RateKey::Client)),
            "route" => Ok(Self(model::RateKey::Route)),
            _ => match text.strip_prefix("header:") {
                Some(name) => {
                    HeaderName::read(name).map(|name| Self(model::RateKey::Header(name.0)))
                }
                None => wrong(
                    format!("{text:?} says not what counts together"),
                    "write \"client\", \"route\" or a header such as \"header:X-Api-Key\"",
                ),
            },
        }
    }
}

/// So many in a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rate {
    pub count: u32,
    pub per: Duration,
}

/// Most that a rate may count: ten times what one machine serves in a second.
const RATE_MAX: u32 = 10_000_000;

impl Form for Rate {
    const FORMAT: &'static str = "herder-rate";
    const WHAT: &'static str = "a rate";
    const PATTERN: &'static str = "^[0-9]+/(s|m|h)$";

    fn read(text: &str) -> Result<Self, Wrong> {
        let read = || {
            let (count, unit) = text.split_once('/')?;
            let seconds = match unit {
                "s" => 1,
                "m" => 60,
                "h" => 3600,
                _ => return None,
            };
            let is_number = !count.is_empty() && count.bytes().all(|b| b.is_ascii_digit());
            let count = is_number.then(|| count.parse().unwrap_or(u32::MAX))?;
            Some(Self { count, per: Duration::from_secs(seconds) })
        };
        match read() {
            Some(rate) if (1..=RATE_MAX).contains(&rate.count) => Ok(rate),
            Some(_) => wrong(
                format!("{text:?} is out of range"),
                format!("count 1 to {RATE_MAX} requests"),
            ),
            None => wrong(
                format!("{text:?} is not a rate"),
                "write a whole number, a slash and s, m or h, such as \"100/s\"",
            ),
        }
    }
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
