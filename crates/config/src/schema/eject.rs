//! Ejection as written: when an instance is taken out of the pool because its requests fail.
//! It holds what the file says and decides nothing.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::defaults;

/// Ejection, in its two forms.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub(crate) enum EjectForm {
    /// On with what is usual, or off.
    Switch(bool),
    /// On, as the table says.
    Table(Eject),
}

/// When an instance is ejected, and for how long.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Eject {
    /// Failures in a row, of any kind, that eject: answers from 500 on, but for 501 and 505, and no
    /// answers. 0 never does.
    pub errors: defaults::EjectErrors,
    /// Answers 502, 503 or 504 in a row that eject. 0 never does.
    pub gateway_errors: defaults::EjectGatewayErrors,
    /// Times in a row without an answer that eject: reset, malformed or too late. 0 never does. A
    /// refused connection takes an instance out at once in any case.
    pub connection_errors: defaults::EjectConnectionErrors,
    /// How many thousandths of a standard deviation the success rate of an instance in an interval
    /// may be below the mean of its pool. 0 does not compare them.
    pub success_rate_deviations: defaults::EjectDeviations,
    /// Percentage of failed requests in an interval that ejects. 0 never does.
    pub failure_percent: defaults::EjectFailurePercent,
    /// Instances with `requests_min` that an interval must have to be judged by success rate or
    /// percentage.
    pub instances_min: defaults::EjectInstancesMin,
    /// Requests of one instance in an interval that are enough to judge it.
    pub requests_min: defaults::EjectRequestsMin,
    /// How long requests are counted until they are judged.
    pub interval: defaults::EjectInterval,
    /// How long the first ejection lasts. Each further one lasts twice as long as the one before;
    /// each interval in which an instance fares well takes one back.
    pub time: defaults::EjectTime,
    /// The longest ejection, but for a tenth of jitter. When absent, 5 minutes or `time`, whichever
    /// is more.
    #[schemars(extend("default" = defaults::EjectTimeMax::default()))]
    pub time_max: Option<defaults::EjectTimeMax>,
    /// Percentage of the instances that may be ejected at once, rounded down. One always may, and
    /// never the last one that is left.
    pub percent_max: defaults::EjectPercentMax,
}
