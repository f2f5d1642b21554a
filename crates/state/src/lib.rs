//! The shared store: sessions and caches of all instances, spoken to as a Redis is.
//! The core decides without sockets, disk and clock; `serve` and `disk` are its edge.
#![forbid(unsafe_code)]

mod command;
mod credentials;
mod db;
mod dense;
mod disk;
mod error;
mod glob;
mod journal;
mod resp;
mod serve;
mod session;
mod store;
mod value;

pub use credentials::Credentials;
pub use db::Eviction;
pub use disk::{Disk, DiskError, Durability};
pub use resp::{Args, Parser, Protocol, Refusal, Reply, Span, Trust};
pub use serve::{Address, CLIENTS_MAX, NotAnAddress, ServeError, Server, Settings};
pub use store::{After, Options, Store};
