//! One service as written. Like the rest of the schema it holds what the file says and decides
//! nothing; doc comments are the descriptions that users read.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::defaults;
use crate::schema::address::Address;
use crate::schema::affinity::AffinityForm;
use crate::schema::balance::BalanceForm;
use crate::schema::compress::CompressForm;
use crate::schema::eject::EjectForm;
use crate::schema::health::HealthForm;
use crate::schema::limits::{AdmissionForm, Limits, Queue, RateLimits};
use crate::schema::location::{Host, PathPrefix, RouteText};
use crate::schema::resources::Resources;
use crate::schema::retry::{Hedge, Retry};
use crate::schema::rules::{HeaderRules, Rewrite};
use crate::schema::scale::Scale;
use crate::schema::text::{EnvName, Filled, Form, HasDefault, Text};

/// A named set of interchangeable instances, and its policies. It has either `run` or `static`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Service {
    /// The command that Herder starts once per instance, as text or as an array of program and
    /// arguments. `{port}` in it, and the variable PORT, tell the instance where to listen. Text
    /// is split at spaces; with a quote, a `$` or another character that a shell acts on, it is
    /// given to `/bin/sh -c`.
    #[schemars(example = &"node server.js --port {port}")]
    pub run: Option<Run>,
    /// The addresses of instances that somebody else runs, instead of `run`. Herder probes them
    /// and balances over them.
    #[serde(rename = "static")]
    #[schemars(
        extend("examples" = [["10.0.0.5:80", "10.0.0.6:80"]], "minItems" = 1, "maxItems" = 1000)
    )]
    pub fixed: Option<Vec<Static>>,
    /// Variables for the instances, on top of Herder's own environment. PORT and those that begin
    /// with HERDER_ are Herder's to set.
    #[schemars(
        example = serde_json::json!({ "DATABASE_URL": "postgres://db/shop" }),
        extend(
            "propertyNames" = { "format": EnvName::FORMAT, "pattern": EnvName::PATTERN },
            "maxProperties" = 1000
        )
    )]
    pub env: Option<BTreeMap<String, String>>,
    /// The working directory of the instances; Herder's own when absent. A relative one begins
    /// there.
    #[schemars(example = &"/srv/shop")]
    pub dir: Option<Text<Filled>>,
    /// What its connections carry: requests, or bytes. With `"tcp"` the service has no `route`;
    /// a listener names it.
    pub mode: Mode,
    /// Whether each connection to an instance begins with a header of the PROXY protocol that says
    /// who the client is and where it connected to.
    pub proxy_protocol: ProxyProtocolOut,
    /// The requests that lead to the service: text such as `"shop.example.com/api"`, a table, or
    /// an array of these. The most specific route wins: exact hosts before wildcards, long paths
    /// before short ones. Absent: every request. An empty array: none.
    #[schemars(
        example = &"shop.example.com/api",
        extend("default" = RouteText::DEFAULT, "maxItems" = 100)
    )]
    pub route: Option<Routes>,
    /// When an instance is fit for requests: a path that is asked with `GET` and answers 200 to
    /// 399, or a table. Absent: the port accepts a connection.
    #[schemars(example = &"/healthz")]
    pub health: Option<HealthForm>,
    /// When an instance is taken out of the pool because its requests fail: `true`, `false`, or a
    /// table. A single request then decides whether it may come back.
    #[schemars(example = false, extend("default" = true))]
    pub eject: Option<EjectForm>,
    /// Percentage of the instances that answer, below which requests go to all that do: to those
    /// too that are ejected, or that fail their probes with an answer. 0 never does it.
    pub panic: defaults::Panic,
    /// How long the part of the requests that an instance gets grows after it became ready, from a
    /// tenth to all of it. Not while all of the service are new.
    pub slow_start: defaults::SlowStart,
    /// Which instance gets a request: the algorithm, or a table.
    #[schemars(extend("default" = "least-latency"))]
    pub balance: Option<BalanceForm>,
    /// Whether a client stays with the instance that answered it first, for services that keep
    /// something in an instance that others do not have: `"cookie"`, `"cookie:NAME"`, or a table.
    #[schemars(example = &"cookie")]
    pub affinity: Option<AffinityForm>,
    /// How many instances run, and what their number follows.
    pub scale: Option<Scale>,
    /// What each instance may use of the machine.
    pub resources: Option<Resources>,
    /// How an instance is stopped: it gets no new request, those it has finish, then SIGTERM, then
    /// SIGKILL. Text is the `timeout`.
    #[schemars(extend("default" = defaults::DrainTimeout::default()))]
    pub drain: Option<DrainForm>,
    /// How an instance that ended by itself is replaced.
    pub restart: Option<Restart>,
    /// The bounds of one request to the service.
    pub http: Http,
    /// How many requests the service takes at once.
    pub limits: Limits,
    /// What becomes of requests that no instance takes now: they wait.
    pub queue: Queue,
    /// When a request is sent again, to another instance.
    pub retry: Retry,
    /// How often requests may come: a table, or an array of tables that all hold.
    #[schemars(
        example = serde_json::json!({ "rate": "100/s" }),
        extend("maxItems" = 16)
    )]
    pub rate_limit: Option<RateLimits>,
    /// Whether requests are refused while too many of them fail, so that a service in trouble gets
    /// no more than it can do: `true`, `false`, or a table.
    #[schemars(example = true, extend("default" = false))]
    pub admission: Option<AdmissionForm>,
    /// When a second copy of a slow request is sent, to another instance. Absent: never.
    pub hedge: Option<Hedge>,
    /// Whether responses are compressed for clients that accept it: `true`, or a table that says
    /// which and how.
    #[schemars(example = true, extend("default" = false))]
    pub compress: Option<CompressForm>,
    /// What is changed about the headers of requests, as instances get them.
    pub request_headers: Option<HeaderRules>,
    /// What is changed about the headers of responses of instances, as clients get them.
    pub response_headers: Option<HeaderRules>,
    /// What becomes of the path of a request.
    pub rewrite: Option<Rewrite>,
}

/// A command, in its two forms.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub(crate) enum Run {
    /// Split at spaces, or given to `/bin/sh -c`.
    Line(Text<Filled>),
    /// Program and arguments, taken as they are.
    Argv(#[schemars(length(min = 1, max = 1000))] Vec<String>),
}

/// The address of one instance, in its two forms.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub(crate) enum Static {
    /// The address alone.
    #[schemars(example = &"10.0.0.5:80")]
    Address(Text<Address>),
    /// The address with its weight.
    Weighted(Weighted),
}

/// The address of one instance, with its weight.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Weighted {
    /// IP address and port.
    #[schemars(example = &"10.0.0.5:80")]
    pub address: Text<Address>,
    /// Its share of the requests, relative to the other addresses.
    #[serde(default)]
    pub weight: defaults::Weight,
    /// 0 is first; an address with a higher number gets requests when too few with lower numbers
    /// can take them.
    #[serde(default)]
    pub priority: defaults::Priority,
}

// Several come first, because serde would read an array of two texts as the two fields of one
// `RouteTable`.
/// One route or several.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub(crate) enum Routes {
    /// Several.
    Many(Vec<Route>),
    /// One.
    One(Route),
}

/// One route, in its two forms.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub(crate) enum Route {
    /// Host, path or both.
    #[schemars(example = &"shop.example.com/api")]
    Short(Text<RouteText>),
    /// Host and path apart.
    Long(RouteTable),
}

/// Which requests lead to a service, or to a redirect.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct RouteTable {
    /// A host, or `*.` and a domain for every host below that domain. Absent: any host.
    #[schemars(example = &"shop.example.com")]
    pub host: Option<Text<Host>>,
    /// A path, together with everything below it. Absent: any path.
    #[schemars(example = &"/api", extend("default" = RouteText::DEFAULT))]
    pub path: Option<Text<PathPrefix>>,
}

/// What the connections of a service carry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub(crate) enum Mode {
    /// Requests.
    #[default]
    Http,
    /// Bytes, both ways, as they are.
    Tcp,
}

/// Whether connections to instances begin with a header of the PROXY protocol.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub(crate) enum ProxyProtocolOut {
    /// They do not.
    #[default]
    Off,
    /// One line of text.
    V1,
    /// Binary.
    V2,
}

/// Draining, in its two forms.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub(crate) enum DrainForm {
    /// The timeout alone.
    Timeout(defaults::DrainTimeout),
    /// Both times.
    Table(Drain),
}

/// How an instance is stopped.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Drain {
    /// How long requests in flight may take to finish. Beyond it the instance is told to stop all
    /// the same.
    pub timeout: defaults::DrainTimeout,
    /// From SIGTERM to SIGKILL.
    pub grace: defaults::DrainGrace,
}

/// How an instance that ended by itself is replaced.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Restart {
    /// The wait after the first failure; it doubles with each further one.
    #[schemars(extend("default" = defaults::BackoffMin::default()))]
    pub backoff_min: Option<defaults::BackoffMin>,
    /// The longest wait. Never below `backoff_min`.
    #[schemars(extend("default" = defaults::BackoffMax::default()))]
    pub backoff_max: Option<defaults::BackoffMax>,
    /// How long an instance has to be ready until the failures before it are forgotten.
    pub forgive_after: defaults::ForgiveAfter,
    /// Failures in a row from which on it is called a crash loop.
    pub crash_loop: defaults::CrashLoop,
}

/// The bounds of one request to a service.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Http {
    /// Until a connection to an instance stands. Beyond it another instance is tried, else the
    /// answer is 504.
    pub timeout_connect: defaults::TimeoutConnect,
    /// From the request sent to the response head. Beyond it the answer is 504.
    pub timeout_response: defaults::TimeoutResponse,
    /// How long a client that sent `Expect: 100-continue` waits for the instance to ask for the
    /// body. Beyond it Herder asks for it.
    pub timeout_continue: defaults::TimeoutContinue,
    /// From the head of a request to the last byte of its response, waiting and retries included,
    /// a tunnel not. Beyond it the answer is 504; if one has begun, the connection to the client is
    /// closed.
    pub timeout_request: defaults::TimeoutRequest,
    /// Between two bytes of a response body, or of a request body on its way to the instance.
    /// Beyond it the connection to the client is closed.
    pub timeout_body: defaults::TimeoutTransfer,
    /// Size of a request body. Beyond it the answer is 413.
    pub body_max: defaults::BodyMax,
    /// Idle connections kept per instance and worker. Beyond it a connection is closed after use.
    pub idle_max: defaults::IdleMax,
    /// Requests over one connection to an instance. It is closed after the last one.
    pub connection_requests_max: defaults::ConnectionRequestsMax,
    /// For how long one connection to an instance takes new requests, give or take a tenth. It is
    /// closed after the one that it carries then.
    pub connection_age_max: defaults::ConnectionAgeMax,
    /// How long a connection to an instance may be idle. Beyond it it is closed.
    pub timeout_idle: defaults::TimeoutIdleInstance,
    /// Size from which on the content of a body, or of one of its chunks, is moved by the kernel
    /// from socket to socket without a copy, where neither side is encrypted. `"unlimited"` never
    /// does it.
    pub splice_min: defaults::SpliceMin,
    /// How long nothing may move in a tunnel, such as a WebSocket. Beyond it both ends are closed.
    pub timeout_tunnel: defaults::TimeoutTunnel,
    /// Whether instances are told who sent a request in `Forwarded` (RFC 7239) too, beside
    /// `X-Forwarded-For` and its kin.
    pub forwarded: bool,
    /// Whether Herder names itself in the `Via` of requests and responses.
    pub via: bool,
    /// How long a connection to an instance may be silent until the kernel asks whether the other
    /// end is still there, in whole seconds.
    pub tcp_keepalive: defaults::TcpKeepalive,
}
