//! Health as written: what a probe asks, how often, and what passes.
//! It holds what the file says and decides nothing.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use http1::RULES_MAX;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::defaults;
use crate::schema::location::ProbePath;
use crate::schema::retry::MethodName;
use crate::schema::service::Run;
use crate::schema::text::{Filled, Form, HasDefault, Text, Wrong, wrong};

/// Health, in its two forms.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub(crate) enum HealthForm {
    /// The path alone.
    Path(Text<ProbePath>),
    /// With times and counts.
    Table(Box<Health>),
}

/// When an instance is fit for requests.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Health {
    /// What is asked with `method`. Absent: the port accepts a connection.
    #[schemars(example = &"/healthz")]
    pub path: Option<Text<ProbePath>>,
    /// How `path` is asked.
    #[schemars(extend("default" = ProbeMethod::DEFAULT))]
    pub method: Option<Text<MethodName>>,
    /// Headers of the request, by name; `Host` and `User-Agent` in the place of Herder's.
    #[schemars(
        example = serde_json::json!({ "Host": "shop.example.com" }),
        extend("maxProperties" = RULES_MAX)
    )]
    pub headers: Option<BTreeMap<String, String>>,
    /// The statuses that pass: a number, a range such as `"200-299"`, or an array of these.
    #[schemars(
        example = serde_json::json!([200, "300-399"]),
        extend("default" = StatusRange::DEFAULT, "minItems" = 1, "maxItems" = 100)
    )]
    pub status: Option<Statuses>,
    /// Text that the body of the answer must have, in its first 64 KiB.
    #[schemars(example = &"all systems go")]
    pub body: Option<Text<Filled>>,
    /// A regular expression that the body of the answer must match, in its first 64 KiB.
    #[schemars(example = &"(?m)^ready: (yes|soon)$")]
    pub body_match: Option<Text<Filled>>,
    /// Whether the health service of gRPC (`grpc.health.v1.Health/Check`) is asked over HTTP/2
    /// without TLS, in the place of `path`: `true`, or the name of the service it is asked about.
    #[schemars(example = &"shop.v1.Shop", extend("default" = false))]
    pub grpc: Option<GrpcForm>,
    /// A command that looks at the instance, in the place of `path`, in the forms of `run`. Exit
    /// status 0 passes. HERDER_ADDRESS, HERDER_HOST and HERDER_PORT tell it where to look.
    #[schemars(example = &"./check.sh {port}")]
    pub command: Option<Run>,
    /// Whether an answer that passes may say how many requests the instance wants: `50%`, `drain`
    /// or `ready`, in the header `Herder-Feedback`, or as the first line that `command` writes.
    pub feedback: bool,
    /// Between two probes of a ready instance, with some jitter.
    pub interval: defaults::HealthInterval,
    /// Between two probes of an instance that starts or fails. Never above `interval`.
    #[schemars(extend("default" = defaults::HealthIntervalFast::default()))]
    pub interval_fast: Option<defaults::HealthIntervalFast>,
    /// How long one probe may take. Beyond it the probe failed.
    pub timeout: defaults::HealthTimeout,
    /// Passes in a row until an instance is ready.
    pub healthy: defaults::HealthHealthy,
    /// Failures in a row until a ready instance gets no more requests.
    pub unhealthy: defaults::HealthUnhealthy,
    /// From the start of an instance until it must be ready. Beyond it the instance is stopped and
    /// counts as failed.
    pub timeout_boot: defaults::HealthTimeoutBoot,
}

/// gRPC, in its two forms.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub(crate) enum GrpcForm {
    /// About the instance as a whole, or not at all.
    Switch(bool),
    /// About a service of this name.
    Service(Text<Filled>),
}

/// What passes, in its two forms.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub(crate) enum Statuses {
    /// Several.
    Many(Vec<Status>),
    /// One.
    One(Status),
}

/// Statuses, in their two forms.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub(crate) enum Status {
    /// One.
    Code(defaults::HealthStatus),
    /// From one to another.
    Range(Text<StatusRange>),
}

/// Statuses from one to another, both included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StatusRange(pub RangeInclusive<u16>);

/// How a path is asked where nothing else is said.
pub(crate) struct ProbeMethod;

impl ProbeMethod {
    /// What every server answers.
    pub(crate) const DEFAULT: &str = "GET";
}

impl Form for StatusRange {
    const FORMAT: &'static str = "herder-status-range";
    const WHAT: &'static str = "a range of statuses";
    const PATTERN: &'static str = "^[2-5][0-9]{2}-[2-5][0-9]{2}$";

    fn read(text: &str) -> Result<Self, Wrong> {
        let hint = "write two statuses from 200 to 599, the lower one first, such as \"200-299\"";
        let is_status = |text: &str| text.len() == 3 && text.bytes().all(|b| b.is_ascii_digit());
        let status = |text: &str| text.parse().ok().filter(|_| is_status(text));
        let (low, high) = text.split_once('-').unwrap_or((text, text));
        match (status(low), status(high)) {
            (Some(low), Some(high)) if low >= 200 && low <= high && high <= 599 => {
                Ok(Self(low..=high))
            }
            _ => wrong(format!("{text:?} is not a range of statuses"), hint),
        }
    }
}

impl HasDefault for StatusRange {
    const DEFAULT: &'static str = "200-399";
}
