//! HTTP/1.1 on the wire (RFC 9112): parse, frame, rewrite, serialise. What is ambiguous is refused.
//! Pure: bytes in, bytes out; no socket, no clock, and nothing allocated in the steady state.
#![forbid(unsafe_code)]

mod body;
mod bytes;
mod chunked;
mod claims;
mod encoded;
mod field;
mod forwarded;
mod head;
mod location;
mod negotiate;
mod refusal;
mod request;
mod response;
mod rewrite;
mod rules;
mod template;
mod write;

pub use body::{Body, Framing, Piece};
pub use bytes::{is_authority, is_field_value, is_token};
pub use chunked::write_chunk_start;
pub use claims::Claims;
pub use field::{Field, Known};
pub use forwarded::Forwarded;
pub use head::{Limits, Progress, Span};
pub use location::{Location, LocationError, NoHost};
pub use negotiate::{Allowed, accepted, allowed, is_digest, is_in_range};
pub use refusal::Refusal;
pub use request::{Method, RequestHead};
pub use response::ResponseHead;
pub use rewrite::{NotATarget, Pattern, Rewrite, RewriteError, Rewritten};
pub use rules::{Direction, FieldRule, FieldRules, RULES_MAX, RuleError, Ruled, Ruling};
pub use template::{Facts, Placeholder, Template, TemplateError};
pub use write::{
    Content, RequestEdit, ResponseEdit, ResponseFraming, Upgrade, Via, write_continue,
    write_informational, write_request, write_response, write_switch,
};

/// The versions of HTTP that this crate speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// HTTP/1.0: no chunked coding; one request per connection unless asked otherwise.
    Http10,
    /// HTTP/1.1.
    Http11,
}
