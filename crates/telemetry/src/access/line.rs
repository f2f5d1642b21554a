//! One request, or one connection that was carried, as the access log sees it.
//! Borrowed from the worker; nothing here is stored.

use std::net::SocketAddr;

use model::{InstanceId, Time};

/// One request. Bytes are untrusted and written escaped, at most [`crate::FIELD_BYTES_MAX`] each.
#[derive(Clone, Copy, Debug)]
pub struct Line<'a> {
    /// When the request head had been read.
    pub at: Time,
    /// Who sent it. Port 0 if a proxy in front named the client without one.
    pub client: SocketAddr,
    /// The name of the listener that took it.
    pub listener: &'a str,
    /// The service it was routed to; empty when it was refused before.
    pub service: &'a str,
    /// The instance that answered, or was asked last; none when no instance was asked.
    pub instance: Option<&'a InstanceId>,
    /// The method; empty when the head could not be read.
    pub method: &'a [u8],
    /// The request target; empty when the head could not be read.
    pub target: &'a [u8],
    /// The host that was asked for, with its port if it had one; empty when none was.
    pub host: &'a [u8],
    /// The minor version of HTTP/1; of no meaning without a method.
    pub version: u8,
    /// The status sent to the client; 0 when none was.
    pub status: u16,
    /// Bytes of its head and body received from the client.
    pub bytes_in: u64,
    /// Bytes of the response's head and body sent to the client.
    pub bytes_out: u64,
    /// Endpoints that it was sent to; 0 when it was answered by Herder alone.
    pub attempts: u32,
    /// How long it waited for an endpoint.
    pub wait_us: u64,
    /// How long connecting to the instance took; 0 over a connection that was open.
    pub connect_us: u64,
    /// From the request sent to the first byte of the response.
    pub first_byte_us: u64,
    /// From the request head read to the last byte of the response sent.
    pub total_us: u64,
    /// The label of the error that Herder answered or that ended the request.
    pub error: Option<&'static str>,
    /// Who ended a request that did not end well: `client`, `instance` or `herder`.
    pub ended_by: Option<&'static str>,
    /// What the request was at when it ended so.
    pub phase: Option<&'static str>,
    /// The value of `X-Request-Id`.
    pub request_id: &'a [u8],
    /// The value of `User-Agent`, if it was sent.
    pub user_agent: Option<&'a [u8]>,
    /// The value of `Referer`, if it was sent.
    pub referer: Option<&'a [u8]>,
}
