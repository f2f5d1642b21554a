//! A question to a Prometheus whose answer the autoscaler goes by, as configured.
//! It asks nobody.

use std::time::Duration;

/// What is asked, where and how often, and what of it one instance is there for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrometheusQuery {
    /// Where it answers, over plain HTTP: a host or an address, and a port.
    pub authority: Box<str>,
    /// What stands before `/api/v1/query` in its paths; empty, or it begins with a slash.
    pub prefix: Box<str>,
    /// The question, in PromQL. Its answer is a scalar, or a vector of one.
    pub query: Box<str>,
    /// So much of the answer makes one instance, in thousandths.
    pub target_permille: u64,
    /// How often it is asked.
    pub interval: Duration,
    /// How long an answer may take. Beyond: there is none.
    pub timeout: Duration,
}
