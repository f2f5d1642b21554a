//! What tests and benchmarks need around Herder: the real binary, clients, origins, a load.
//! Never a dependency of the product, and it shares no code with it: its HTTP is its own, so that
//! a mistake in the product's parser is not made twice.
//!
//! | what a test needs | where it is |
//! |---|---|
//! | the real `herder`, with everything that it started gone at the end | [`Herder`], [`Herd`] |
//! | a client that sends any bytes and reads answers strictly | [`RawClient`] |
//! | an origin that answers as it is told, or echoes | [`HttpOrigin`], [`Reply`] |
//! | an origin that follows a script byte by byte | [`ScriptedOrigin`], [`Step`] |
//! | a steady load, and who answered how often | [`Load`], [`LoadReport`] |
//! | to wait for something, and not longer than so long | [`wait_until`], [`wait_for`] |
//! | what a compressed body holds | [`decode()`] |
//! | processes, orphans, zombies and listening addresses | [`proc`] |
//! | whether JSON is as its schema says | [`json_schema`] |
//! | the examples, and the Python that runs them | [`places`] |
//!
//! Everything async runs in the test's own tokio runtime, but for [`Load`], which has a thread of
//! its own so that a busy test does not slow it down. A black-box test looks like this:
//!
//! ```ignore
//! #[tokio::test]
//! async fn a_killed_instance_is_replaced() {
//!     let herd = Herder::run(env!("CARGO_BIN_EXE_herder"))
//!         .flags(["--name", "shop", "--min", "3", "--health", "/healthz"])
//!         .command(["python3", example("python/plain.py").to_str().unwrap()])
//!         .start();
//!     herd.wait_ready("shop", 3).await;
//!     let load = Load::get(herd.addr().await, "/").rate_per_s(500).start();
//!     let victim = herd.instances("shop").await[0].pid.unwrap();
//!     testkit::proc::kill(victim);
//!     herd.wait_ready("shop", 3).await;
//!     let report = load.stop().await;
//!     assert_eq!(report.failed(), 0, "{report}");
//!     herd.stop().await;
//! }
//! ```
#![forbid(unsafe_code)]

mod deadline;
mod decode;
mod herd;
mod herder;
mod http_origin;
pub mod json_schema;
mod load;
mod message;
mod output;
pub mod places;
pub mod proc;
mod raw_client;
mod scripted;
mod wire;

pub use deadline::{PATIENCE, wait_for, wait_until};
pub use decode::decode;
pub use herd::{Answer, Herd, Instance};
pub use herder::Herder;
pub use http_origin::{Ask, HttpOrigin, Reply};
pub use load::{Load, LoadReport, Running};
pub use message::{Fields, Framing, Request, Response};
pub use output::Output;
pub use raw_client::{RawClient, Vanished};
pub use scripted::{ScriptedOrigin, Step};
pub use wire::Wire;
