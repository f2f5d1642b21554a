//! The nouns of Herder: what is desired, what an instance is, what the data plane reads.
//! No I/O, no clock, no global: time is an argument, and nothing here can be serialised.
#![forbid(unsafe_code)]

mod affinity;
mod algorithm;
mod compression;
mod connection;
mod desired;
mod eject;
mod endpoint;
mod hash_on;
mod health;
mod instance;
mod latency;
mod limits;
mod live;
mod machine;
mod name;
mod network;
mod outcome;
mod query;
mod report;
mod retry;
mod rules;
mod sample;
mod samples;
mod scale;
mod select;
mod service;
mod streaks;
mod table;
mod time;

pub use affinity::{Affinity, Cookie, Home, Homes, SameSite, Secret, SigningKey, Token};
pub use algorithm::Algorithm;
pub use compression::{Coding, Compression};
pub use connection::{Mode, ProxyProtocolIn, ProxyProtocolOut};
pub use desired::{Desired, Listener, ListenerLimits};
pub use eject::Eject;
pub use endpoint::{Endpoint, InFlight, SHARE_FULL, UNLIMITED};
pub use hash_on::HashOn;
pub use health::{BodyPattern, Health, HttpProbe, Probe};
pub use instance::{IllegalMove, Phase};
pub use latency::Latency;
pub use limits::{
    Adaptive, Admission, Codel, Limits, Priority, PriorityFrom, PriorityHeader, QueuePolicy,
    RateKey, RateLimit,
};
pub use live::{Line, Live};
pub use machine::{Machine, Resources};
pub use name::{InstanceId, NameError, ServiceName};
pub use network::{Network, NetworkError, Networks};
pub use outcome::Outcome;
pub use query::PrometheusQuery;
pub use report::Report;
pub use retry::{Hedge, HedgeAfter, Retry, RetryBudget, RetryMethods, RetryOn};
pub use rules::{Redirect, RedirectStatus, Rules};
pub use samples::{Samples, Window};
pub use scale::{
    Autoscale, Hpa, HpaAmount, HpaChange, HpaRules, HpaSelect, Kpa, ScaleMetric, ScaleMode,
    ScalePolicy, ScaleSchedule, ScaleStep, ScaleTarget, Step, StepChange,
};
pub use select::{Ask, Select};
pub use service::{
    Command, Drain, HttpPolicy, Restart, RouteRule, Scale, Service, Source, StaticEndpoint,
};
pub use streaks::{Notice, Streak, Trial};
pub use table::{Destination, HostPattern, Pool, Route, Table};
pub use time::Time;
