//! What Herder tells about itself: metrics, the access log and its own log.
//! Nothing here decides anything, and recording never waits, locks or allocates.
#![forbid(unsafe_code)]

mod access;
mod counter;
mod exposition;
mod format;
mod gauges;
mod histogram;
mod log;
pub mod names;
mod process;
mod recent;
mod registry;
mod series;
mod shard;
mod timings;

pub use access::{
    AccessLog, AccessWriter, BATCH_BYTES, CLOSE_TIMEOUT, FIELD_BYTES_MAX, Line, Lost,
    QUEUE_BATCHES_MAX, Sink,
};
pub use exposition::CONTENT_TYPE;
pub use format::Format;
pub use gauges::{Gauges, InstanceGauges, JournalCount, ScalingGauges, ServiceGauges};
pub use log::{FILTER_ENV, LogError, init, init_screen};
pub use process::{ProcessSeries, ProcessShard};
pub use recent::Recent;
pub use registry::{Registry, SERVICES_MAX};
pub use series::{ServiceSeries, Snapshot, Summary};
pub use shard::{RetryReason, Sample, Settled, Shard};
pub use timings::BOUNDS_NS;
