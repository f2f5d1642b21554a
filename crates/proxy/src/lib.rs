//! The data plane: listen, route, pick, forward, retry, wait, record.
//! It reads the published table and never talks to control, but for reporting an instance that
//! refuses connections.
#![forbid(unsafe_code)]

mod buffer;
mod client;
mod connect;
mod connection;
mod crowd;
mod discard;
mod dispatch;
mod encode;
mod error;
mod exchange;
mod forward;
mod gate;
mod gear;
mod handle;
mod hedge;
mod idle;
mod introduced;
mod line;
mod listen;
mod phase;
mod pump;
mod rate;
mod record;
mod redirect;
mod reply;
mod retry;
mod route;
mod rules;
mod serve;
mod snapshot;
mod socket;
mod splice;
mod stream;
mod tcp;
mod timers;
mod timing;
mod tunnel;
mod wait;
mod wish;
mod worker;

pub use error::ERROR_LABELS;
pub use handle::{Prepared, Proxy, Publisher, Reporter, Settings, spawn};
pub use listen::ListenError;
