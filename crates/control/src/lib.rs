//! The one writer: events become facts, facts against desired become a plan, the plan becomes
//! actions. `state`, `plan`, `journal`, `table` and `view` are pure; `driver`, `probe` and `run`
//! do the I/O. Nothing here touches a request.
#![forbid(unsafe_code)]

mod action;
mod event;
mod view;

pub use action::Action;
pub use event::{Event, Exit, ExitStatus, Order, ProbeOutcome, Refusal};
pub use view::{BackoffView, Entry, InstanceView, Kind, RolloutView, ServiceView, View};
