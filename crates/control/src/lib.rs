//! The one writer: events become facts, facts against desired become a plan, the plan becomes
//! actions. `state`, `plan`, `journal`, `table` and `view` are pure; `driver`, `measure`,
//! `probe`, `query` and `run` do the I/O. Nothing here touches a request.
#![forbid(unsafe_code)]

mod action;
mod clock;
mod drain;
pub mod driver;
mod event;
mod feedback;
mod handle;
mod journal;
mod measure;
pub mod plan;
mod probe;
mod query;
mod run;
mod state;
mod table;
mod view;

pub use action::Action;
pub use driver::{Colour, Driver, DriverSettings, Launcher, Orphans, Sink};
pub use event::{Event, Exit, ExitStatus, Hardware, Measured, Order, ProbeOutcome, Refusal, Usage};
pub use feedback::Feedback;
pub use handle::Handle;
pub use journal::Journal;
pub use run::{Parts, Record, Running, spawn};
pub use state::{Remembered, Settings, State};
pub use view::{
    AdmissionView, BackoffView, Entry, InstanceView, Kind, ProbedView, RolloutView, Sampled,
    ScalingView, ServiceView, View,
};
