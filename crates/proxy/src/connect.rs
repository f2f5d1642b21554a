//! One new connection to an endpoint: timed, counted, and told who the client is.
//! It does not choose the endpoint, and does not try another.

use std::io;
use std::time::Instant;

use model::{InFlight, ProxyProtocolOut};
use proxy_protocol::{Addresses, Version};

use crate::error::Error;
use crate::idle::Link;
use crate::phase::Phase;
use crate::record::Record;
use crate::snapshot::Place;
use crate::socket::keep_alive;
use crate::timers::Deadline;
use crate::worker::Worker;

/// Opens a connection for a request, or a client connection, that is in flight at its endpoint.
///
/// # Errors
/// That of the table for what the kernel says.
pub(crate) async fn connect(
    worker: &Worker,
    place: &Place,
    begun: &InFlight,
    deadline: &Deadline,
    record: &mut Record,
) -> Result<Link, Error> {
    let began = Instant::now();
    record.phase = Phase::Connect;
    let opened = open(worker, place, begun, deadline).await;
    record.connecting += began.elapsed();
    opened.map_err(|cause| {
        let error = match connect_error(&cause) {
            Error::ConnectTimeout => Error::ConnectTimeout.or_greater(deadline.why()),
            error => error,
        };
        if error == Error::ConnectFailed && worker.may_warn() {
            let endpoint = begun.endpoint();
            tracing::warn!(instance = %endpoint.id, addr = %endpoint.addr, error = %cause,
                "no connection to the instance could be opened");
        }
        error
    })
}

/// The connection itself, as the service wants its connections to be, and counted.
///
/// # Errors
/// What the kernel says; [`connect_error`] knows whose fault that is.
pub(crate) async fn open(
    worker: &Worker,
    place: &Place,
    begun: &InFlight,
    deadline: &Deadline,
) -> io::Result<Link> {
    let service = &place.pool().service;
    let mut link = Link::open(begun.endpoint(), service.http.timeout_connect, deadline).await?;
    if service.http.keepalive.is_some() {
        keep_alive(&link.stream, service.http.keepalive)?;
    }
    link.greeting = service.proxy_protocol;
    place.series().worker(worker.number).connect();
    if let Some(age_max) = service.http.connection_age_max {
        link.retires_ms = worker.about(age_max);
    }
    Ok(link)
}

/// Writes the header that connections to the instances of a service begin with, if they do.
pub(crate) fn introduce(out: &mut Vec<u8>, header: ProxyProtocolOut, ends: Addresses) {
    let version = match header {
        ProxyProtocolOut::Off => return,
        ProxyProtocolOut::V1 => Version::V1,
        ProxyProtocolOut::V2 => Version::V2,
    };
    proxy_protocol::write(out, version, Some(ends));
}

/// The row of the table for what the kernel says of a connection that does not stand.
pub(crate) fn connect_error(cause: &io::Error) -> Error {
    use io::ErrorKind as Kind;
    match cause.kind() {
        Kind::ConnectionRefused
        | Kind::ConnectionReset
        | Kind::HostUnreachable
        | Kind::NetworkUnreachable => Error::ConnectRefused,
        Kind::TimedOut => Error::ConnectTimeout,
        _ => Error::ConnectFailed,
    }
}
