//! RESP, the protocol of Redis, on the wire: commands read strictly, replies written.
//! It knows no command and keeps no value.

mod number;
mod parse;
mod reply;

pub(crate) use number::{decimal, parse_i64, push_i64};
pub use parse::{Args, Parser, Refusal, Span, Trust};
pub use reply::{Protocol, Reply};
