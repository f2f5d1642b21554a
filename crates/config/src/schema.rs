//! herder.toml as written: the only types of this crate that are (de)serialised. Their doc
//! comments are the descriptions in the JSON Schema and in docs/configuration.md. They hold what
//! the file says and decide nothing.

pub(crate) mod address;
pub(crate) mod affinity;
pub(crate) mod balance;
pub(crate) mod compress;
pub(crate) mod document;
pub(crate) mod eject;
pub(crate) mod health;
pub(crate) mod limits;
pub(crate) mod location;
pub(crate) mod number;
pub(crate) mod policies;
pub(crate) mod resources;
pub(crate) mod retry;
pub(crate) mod rules;
pub(crate) mod scale;
pub(crate) mod schedule;
pub(crate) mod service;
pub(crate) mod text;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::defaults;
use crate::schema::address::{AdminBind, Bind, Ports, Range};
use crate::schema::resources::Machine;
use crate::schema::rules::Redirect;
use crate::schema::service::Service;
use crate::schema::text::{Filled, Form, Name, SocketPath, Text};

/// The configuration of Herder. `[service.NAME]` with `run` is a complete file.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    /// Threads that carry requests; one per core when absent. Changing it takes a restart.
    #[schemars(example = 4)]
    pub workers: Option<defaults::Workers>,
    /// The addresses that Herder accepts requests on, by name. Without any there is one named
    /// `web` on 127.0.0.1:8080.
    #[schemars(extend(
        "propertyNames" = { "format": Name::FORMAT, "pattern": Name::PATTERN },
        "maxProperties" = 64
    ))]
    pub listener: BTreeMap<String, Listener>,
    /// The services, by name; at least one.
    #[schemars(extend(
        "propertyNames" = { "format": Name::FORMAT, "pattern": Name::PATTERN },
        "maxProperties" = 1000
    ))]
    pub service: BTreeMap<String, Service>,
    /// The redirects, by name.
    #[schemars(extend(
        "propertyNames" = { "format": Name::FORMAT, "pattern": Name::PATTERN },
        "maxProperties" = 1000
    ))]
    pub redirect: BTreeMap<String, Redirect>,
    /// Where Herder is asked and ordered. Changing it takes a restart.
    pub admin: Admin,
    /// What all instances may use of the machine.
    pub machine: Machine,
    /// What all instances that Herder starts have in common. Changing it takes a restart.
    pub instances: Instances,
    /// The list of recent decisions and transitions. Changing it takes a restart.
    pub journal: Journal,
    /// What is logged, and where. Changing it takes a restart.
    pub log: Log,
    /// What Herder keeps on disk. Changing it takes a restart.
    pub storage: Storage,
}

/// An address to accept on, with the bounds of what one client connection may ask.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Listener {
    /// The IP address and port to accept on. `127.0.0.1` is this machine only, `0.0.0.0` and
    /// `[::]` the whole network; port 0 takes any free one.
    pub bind: Text<Bind>,
    /// The proxies in front of Herder whose word about the client is believed: addresses or
    /// ranges. From anybody else `X-Forwarded-For` and its kin are replaced.
    #[schemars(extend("examples" = [["10.0.0.0/8", "::1"]], "maxItems" = 1000))]
    pub trusted_proxies: Vec<Text<Range>>,
    /// Whether connections begin with a header of the PROXY protocol, version 1 or 2, in which a
    /// proxy in front says who the client is.
    pub proxy_protocol: ProxyProtocolIn,
    /// The service with `mode = "tcp"` that every connection is carried to as it is. Absent:
    /// requests are read, and routes lead them.
    #[schemars(example = &"db")]
    pub tcp: Option<Text<Name>>,
    /// How long a connection may be silent until the kernel asks whether the client is still there,
    /// in whole seconds.
    pub tcp_keepalive: defaults::TcpKeepalive,
    /// Connections open at once, over all workers. At the limit Herder stops accepting: further
    /// clients wait in the kernel's backlog.
    pub connections_max: defaults::ConnectionsMax,
    /// Connections open at once of one client address, over all workers; IPv6 addresses with the
    /// same first 64 bits count as one. Beyond it a connection is reset.
    pub connections_per_client_max: defaults::ConnectionsPerClientMax,
    /// Size of a request head, request line included. Beyond it the answer is 431, or 414 when it
    /// is the request line.
    pub head_max: defaults::HeadMax,
    /// Header lines of a request. Beyond it the answer is 431.
    pub headers_max: defaults::HeadersMax,
    /// Size of the request target: path and query. Beyond it the answer is 414. Never above
    /// `head_max`.
    #[schemars(extend("default" = defaults::TargetMax::default()))]
    pub target_max: Option<defaults::TargetMax>,
    /// Requests on one connection. The last one is answered with `Connection: close`.
    pub requests_per_connection_max: defaults::RequestsPerConnectionMax,
    /// Requests in a row that a client sent before it had the answer to the one before. The last
    /// one is answered with `Connection: close`.
    pub pipelined_max: defaults::PipelinedMax,
    /// What may be left of a request body, when its answer is complete, for the rest to be read and
    /// thrown away. Beyond it, or when nobody knows how much is left, the answer says
    /// `Connection: close`.
    pub body_discard_max: defaults::BodyDiscardMax,
    /// From the first byte of a request head to its end. Beyond it the answer is 408.
    pub timeout_head: defaults::TimeoutHead,
    /// Between two bytes of a request body. Beyond it the answer is 408.
    pub timeout_body: defaults::TimeoutBody,
    /// How long an open connection may be without a request, or a client without taking what is
    /// written to it. Beyond it the connection is closed silently.
    pub timeout_idle: defaults::TimeoutIdle,
}

/// Whether connections to a listener begin with a header of the PROXY protocol.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub(crate) enum ProxyProtocolIn {
    /// None does.
    #[default]
    Off,
    /// Each does. One that does not is reset.
    Required,
    /// Those of `trusted_proxies` do, and are reset if they do not; nobody else's does.
    Trusted,
}

/// Where Herder is asked and ordered.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Admin {
    /// The loopback address of the read-only admin API and of `/metrics`, or `"off"`.
    pub bind: Text<AdminBind>,
    /// The Unix socket that `herder status`, `herder scale` and the other commands use. Absent:
    /// one that they find by themselves. Two Herders on one machine need two.
    #[schemars(example = &"/run/herder.sock")]
    pub socket: Option<Text<SocketPath>>,
}

/// What all instances that Herder starts have in common.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Instances {
    /// The ports given to instances, one each, both ends included. With all taken no instance
    /// starts.
    pub ports: Text<Ports>,
    /// The last lines of output kept per instance, to be shown when it crashes. Older ones are
    /// dropped.
    pub lines_max: defaults::LinesMax,
}

/// The list of recent decisions and transitions.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Journal {
    /// Entries kept. Older ones are dropped.
    pub entries_max: defaults::JournalMax,
}

/// What Herder keeps on disk.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Storage {
    /// The directory, which Herder makes if it is not there; only its owner may read it. A path
    /// that does not begin with `/` is beside the file. Two Herders need two. `herder run` without
    /// a file keeps nothing.
    #[schemars(example = &"/var/lib/herder", extend("default" = defaults::STORAGE_DIR))]
    pub dir: Option<Text<Filled>>,
    /// How long the samples of each second are kept that `herder history` shows and
    /// `herder simulate scale --trace` replays; older ones are deleted. What was desired last is
    /// where a Herder that is started again within the hour begins. `"off"` keeps neither.
    pub history: defaults::History,
}

/// What is logged, and where.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Log {
    /// How Herder's own log is written, to standard error.
    pub format: LogFormat,
    /// One line per request: off, or how it is written to standard output, or a table to write it
    /// to a file.
    #[schemars(example = &"json", extend("default" = "off"))]
    pub access: Option<AccessForm>,
}

/// How a log is written.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub(crate) enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// For programs, one object per line.
    Json,
}

/// The access log, in its two forms.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub(crate) enum AccessForm {
    /// To standard output, or not at all.
    Format(AccessFormat),
    /// To a file.
    Table(Access),
}

/// How the access log is written.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub(crate) enum AccessFormat {
    /// Not at all.
    Off,
    /// For people.
    Text,
    /// For programs, one object per line.
    Json,
}

/// The access log, to a file.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Access {
    /// How it is written.
    pub format: LogFormat,
    /// The file, which is appended to. Absent: standard output.
    #[schemars(example = &"/var/log/herder/access.log")]
    pub path: Option<Text<Filled>>,
    /// One in so many of the requests that end well is written, drawn at random. Every request with
    /// an error, or a status of 500 and more, is.
    pub one_in: defaults::AccessOneIn,
}
