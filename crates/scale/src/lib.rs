//! How many instances a service is to have, and why: pure, with time and chance as arguments.
//! It starts and stops nothing; what it was told is all that it knows.
#![forbid(unsafe_code)]

mod calendar;
mod decide;
mod decision;
mod extreme;
mod forecast;
mod foresight;
mod hpa;
mod kpa;
mod look;
mod memory;
mod room;
mod schedule;
pub mod simulate;
mod step;
mod target;
mod turn;
mod window;
mod words;

pub use calendar::Calendar;
pub use decide::{decide, span};
pub use decision::{Asked, Decision, Limit, LimitedBy, Signal};
pub use forecast::{Backtest, Distrust, Forecast, History, Season};
pub use foresight::{Foresight, Minute, Told};
pub use look::{Bounds, Look, Member};
pub use memory::Memory;
pub use room::{Shares, Size, Space, Tenant, share};
pub use schedule::{Floor, Schedule, ScheduleError};
pub use turn::Turn;
pub use window::{Sample, Window};
