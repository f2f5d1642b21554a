//! What instances may use of the machine, and where a Prometheus is asked, as written.
//! It holds what the file says and decides nothing; no name is looked up.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::defaults;
use crate::schema::text::{Filled, Form, Text, Wrong, wrong};

/// What all instances that Herder starts may use of the machine together: the room that the
/// autoscaler has. Without this table it is all that there is, and services without `resources`
/// are not held back.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Machine {
    /// Memory for instances. Absent, or more than there is: all that the machine has, or that
    /// Herder's own control group may use.
    #[schemars(example = &"6GiB")]
    pub memory: Option<defaults::MachineMemory>,
    /// Percent of one core: 400 is four cores. Absent: all that there are. More than there are is
    /// allowed: then instances share them.
    #[schemars(example = 400)]
    pub cpu_percent: Option<defaults::MachineCpu>,
}

/// What each instance of a service may use. It counts as used from the order to start an instance
/// on, and is enforced by a control group (cgroup v2) where Herder may make some.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Resources {
    /// Memory. An instance that wants more is ended by the kernel, where that is enforced.
    #[schemars(example = &"1GiB")]
    pub memory: Option<defaults::ResourcesMemory>,
    /// Percent of one core: 150 is one and a half. An instance that wants more waits, where that is
    /// enforced.
    #[schemars(example = 100)]
    pub cpu_percent: Option<defaults::ResourcesCpu>,
}

// What is required is optional here, so that a bad value does not keep the rest from being judged.
/// What a Prometheus counts, as a signal: so much of the answer makes one instance. While there is
/// no answer nothing is taken away.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["url", "query", "target"]))]
pub(crate) struct Prometheus {
    /// Where it answers, over plain HTTP: what stands before `/api/v1/query`.
    #[schemars(example = &"http://127.0.0.1:9090")]
    pub url: Option<Text<HttpUrl>>,
    /// The question, in PromQL. Its answer has to be a scalar, or a vector of one.
    #[schemars(example = &"sum(jobs_waiting)")]
    pub query: Option<Text<Filled>>,
    /// So much of it makes one instance.
    #[schemars(example = 100)]
    pub target: Option<defaults::ScaleGoal>,
    /// How often it is asked. An answer counts for three times as long.
    pub interval: defaults::PrometheusInterval,
    /// How long an answer may take.
    pub timeout: defaults::PrometheusTimeout,
}

/// A place that speaks plain HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HttpUrl {
    /// Host and port.
    pub authority: String,
    /// The path, without a slash at its end; empty for none.
    pub prefix: String,
}

impl Form for HttpUrl {
    const FORMAT: &'static str = "herder-http-url";
    const WHAT: &'static str = "an address that begins with http://";
    const PATTERN: &'static str = "^http://";

    fn read(text: &str) -> Result<Self, Wrong> {
        const HINT: &str = "write it such as \"http://127.0.0.1:9090\"";
        if text.starts_with("https://") {
            return wrong(
                format!("{text:?} is asked over TLS, which Herder does not speak as a client"),
                "name an http:// address, such as that of a proxy on this machine that adds TLS",
            );
        }
        let Some(rest) = text.strip_prefix("http://") else {
            return wrong(format!("{text:?} does not begin with http://"), HINT);
        };
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._~/:[]%".contains(c);
        if let Some(bad) = rest.chars().find(|&c| !is_plain(c)) {
            return wrong(format!("{text:?} has {bad:?}, which does not belong there"), HINT);
        }
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port),
            _ => (authority, "80"),
        };
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let is_host = match bare {
            Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
            None => !host.is_empty() && !host.contains([':', '[', ']', '%']),
        };
        match port.parse::<u16>() {
            Ok(port) if is_host && port > 0 => Ok(Self {
                authority: format!("{host}:{port}"),
                prefix: path.trim_end_matches('/').to_owned(),
            }),
            _ => wrong(format!("{text:?} has no host and port that can be asked"), HINT),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_that_speak_plain_http() {
        let check = |text: &str, authority: &str, prefix: &str| {
            let url = HttpUrl::read(text).unwrap();
            assert_eq!((&*url.authority, &*url.prefix), (authority, prefix), "{text}");
        };
        check("http://127.0.0.1:9090", "127.0.0.1:9090", "");
        check("http://metrics", "metrics:80", "");
        check("http://metrics.example/prom/", "metrics.example:80", "/prom");
        check("http://[::1]:9090/a/b", "[::1]:9090", "/a/b");
        check("http://[::1]", "[::1]:80", "");
        for bad in [
            "",
            "127.0.0.1:9090",
            "https://metrics",
            "http://",
            "http://:9090",
            "http://me@metrics:9090",
            "http://metrics:0",
            "http://metrics:x",
            "http://metrics:9090/?query=up",
            "http://[::x]:9090",
            "http://::1:9090",
        ] {
            assert!(HttpUrl::read(bad).is_err(), "{bad}");
        }
    }
}
