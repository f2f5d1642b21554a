//! The data plane over real loopback sockets: what clients, instances, logs and metrics see of it.
//! Every wait is for something and has a deadline; nothing waits for time to pass.
#![allow(clippy::unwrap_used)]

#[path = "data_plane/access_log.rs"]
mod access_log;
#[path = "data_plane/admission.rs"]
mod admission;
#[path = "data_plane/affinity.rs"]
mod affinity;
#[path = "data_plane/asking.rs"]
mod asking;
#[path = "data_plane/balancing.rs"]
mod balancing;
#[path = "data_plane/bodies.rs"]
mod bodies;
#[path = "data_plane/chaos.rs"]
mod chaos;
#[path = "data_plane/claims.rs"]
mod claims;
#[path = "data_plane/closing.rs"]
mod closing;
#[path = "data_plane/compression.rs"]
mod compression;
#[path = "data_plane/connections.rs"]
mod connections;
#[path = "data_plane/departing.rs"]
mod departing;
#[path = "data_plane/discarding.rs"]
mod discarding;
#[path = "data_plane/draining.rs"]
mod draining;
#[path = "data_plane/errors.rs"]
mod errors;
#[path = "data_plane/forwarding.rs"]
mod forwarding;
#[path = "data_plane/framing.rs"]
mod framing;
#[path = "data_plane/hedging.rs"]
mod hedging;
#[path = "data_plane/instance.rs"]
mod instance;
#[path = "data_plane/introductions.rs"]
mod introductions;
#[path = "data_plane/limits.rs"]
mod limits;
#[path = "data_plane/links.rs"]
mod links;
#[path = "data_plane/metrics.rs"]
mod metrics;
#[path = "data_plane/pipelining.rs"]
mod pipelining;
#[path = "data_plane/plane.rs"]
mod plane;
#[path = "data_plane/queueing.rs"]
mod queueing;
#[path = "data_plane/redirects.rs"]
mod redirects;
#[path = "data_plane/reload.rs"]
mod reload;
#[path = "data_plane/repeating.rs"]
mod repeating;
#[path = "data_plane/retries.rs"]
mod retries;
#[path = "data_plane/rules.rs"]
mod rules;
#[path = "data_plane/stale.rs"]
mod stale;
#[path = "data_plane/tcp.rs"]
mod tcp;
#[path = "data_plane/told.rs"]
mod told;
#[path = "data_plane/upgrades.rs"]
mod upgrades;
#[path = "data_plane/waiting.rs"]
mod waiting;
#[path = "data_plane/whole.rs"]
mod whole;
