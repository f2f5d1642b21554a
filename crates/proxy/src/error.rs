//! Everything that can go wrong with a request, in one table: blame, status, label, retry.
//! It decides nothing else; sending the answer is `reply`'s.

use http1::Refusal;
use telemetry::RetryReason;

use crate::timers::Why;

/// Whose fault an error is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Blame {
    Client,
    Instance,
    Herder,
}

/// What went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Error {
    BadProxyHeader,
    TooManyConnections,
    Malformed(Refusal),
    SlowHead,
    SlowBody,
    BodyTooLarge,
    ClientGone,
    SlowClient,
    NoRoute,
    RewriteFailed,
    /// With the seconds until it may be tried again.
    RateLimited(u32),
    NotAdmitted,
    NoInstance,
    AllBusy,
    TooManyWaiting,
    Overloaded,
    TooLate,
    ConnectRefused,
    ConnectTimeout,
    ConnectFailed,
    InstanceReset,
    BadResponse(Refusal),
    ResponseTimeout,
    ResponseTruncated,
    BodyTimeout,
    TunnelBroken,
    TunnelIdle,
    RequestTimeout,
    Stopped,
}

/// One row of the table.
struct Row {
    label: &'static str,
    blame: Blame,
    /// 0: the client gets no answer, because it is gone or has half of one already.
    status: u16,
    /// As what it is retried; never if as nothing.
    retry: Option<RetryReason>,
}

/// The labels of all errors: the label of a metric and the `Herder-Error` header of an answer.
pub const ERROR_LABELS: &[&str] = &[
    "bad_proxy_header",
    "too_many_connections",
    "malformed_request",
    "target_too_long",
    "head_too_long",
    "version_unsupported",
    "connect_unsupported",
    "slow_head",
    "slow_body",
    "body_too_large",
    "client_gone",
    "slow_client",
    "no_route",
    "rewrite_failed",
    "rate_limited",
    "not_admitted",
    "no_instance",
    "all_busy",
    "too_many_waiting",
    "overloaded",
    "too_late",
    "connect_refused",
    "connect_timeout",
    "connect_failed",
    "instance_reset",
    "bad_response",
    "response_timeout",
    "response_truncated",
    "body_timeout",
    "tunnel_broken",
    "tunnel_idle",
    "request_timeout",
    "stopped",
];

impl Error {
    fn row(self) -> Row {
        use Blame::{Client, Herder, Instance};
        use RetryReason::{ConnectFailure, Reset, Timeout};
        let (label, blame, status, retry) = match self {
            Error::BadProxyHeader => ("bad_proxy_header", Client, 0, None),
            Error::TooManyConnections => ("too_many_connections", Client, 0, None),
            Error::Malformed(refusal) => {
                let (label, status) = refused(refusal);
                (label, Client, status, None)
            }
            Error::SlowHead => ("slow_head", Client, 408, None),
            Error::SlowBody => ("slow_body", Client, 408, None),
            Error::BodyTooLarge => ("body_too_large", Client, 413, None),
            Error::ClientGone => ("client_gone", Client, 0, None),
            Error::SlowClient => ("slow_client", Client, 0, None),
            Error::NoRoute => ("no_route", Client, 404, None),
            Error::RewriteFailed => ("rewrite_failed", Herder, 500, None),
            Error::RateLimited(_) => ("rate_limited", Client, 429, None),
            Error::NotAdmitted => ("not_admitted", Herder, 503, None),
            Error::NoInstance => ("no_instance", Herder, 503, None),
            Error::AllBusy => ("all_busy", Herder, 503, None),
            Error::TooManyWaiting => ("too_many_waiting", Herder, 503, None),
            Error::Overloaded => ("overloaded", Herder, 503, None),
            Error::TooLate => ("too_late", Herder, 503, None),
            Error::ConnectRefused => ("connect_refused", Instance, 502, Some(ConnectFailure)),
            Error::ConnectTimeout => ("connect_timeout", Instance, 504, Some(ConnectFailure)),
            Error::ConnectFailed => ("connect_failed", Herder, 503, Some(ConnectFailure)),
            Error::InstanceReset => ("instance_reset", Instance, 502, Some(Reset)),
            Error::BadResponse(_) => ("bad_response", Instance, 502, None),
            Error::ResponseTimeout => ("response_timeout", Instance, 504, Some(Timeout)),
            Error::ResponseTruncated => ("response_truncated", Instance, 0, None),
            Error::BodyTimeout => ("body_timeout", Instance, 0, None),
            Error::TunnelBroken => ("tunnel_broken", Instance, 0, Some(Reset)),
            Error::TunnelIdle => ("tunnel_idle", Herder, 0, None),
            Error::RequestTimeout => ("request_timeout", Herder, 504, None),
            Error::Stopped => ("stopped", Herder, 503, None),
        };
        Row { label, blame, status, retry }
    }

    pub(crate) fn label(self) -> &'static str {
        self.row().label
    }

    /// Where the label is in [`ERROR_LABELS`].
    pub(crate) fn index(self) -> usize {
        let label = self.label();
        ERROR_LABELS.iter().position(|&known| known == label).unwrap_or(ERROR_LABELS.len())
    }

    pub(crate) fn blame(self) -> Blame {
        self.row().blame
    }

    /// Who ended the request. What is wrong with a request is the client's doing, and refusing it
    /// is Herder's.
    pub(crate) fn ended_by(self) -> &'static str {
        match (self, self.blame()) {
            (Error::Malformed(_) | Error::NoRoute | Error::BodyTooLarge, _) => "herder",
            (Error::BadProxyHeader | Error::TooManyConnections, _) => "herder",
            (Error::RateLimited(_), _) => "herder",
            (_, Blame::Client) => "client",
            (_, Blame::Instance) => "instance",
            (_, Blame::Herder) => "herder",
        }
    }

    pub(crate) fn status(self) -> u16 {
        self.row().status
    }

    /// As what a request that failed this way is sent again, if the service's policy has it.
    pub(crate) fn retry(self) -> Option<RetryReason> {
        self.row().retry
    }

    /// The error of a deadline that has passed: this one, unless there is a greater reason.
    pub(crate) fn or_greater(self, why: Why) -> Self {
        match why {
            Why::Own => self,
            Why::Request => Error::RequestTimeout,
            Why::Stop => Error::Stopped,
        }
    }

    /// Whether the request itself is over, whatever became of an attempt to answer it.
    pub(crate) fn ends_request(self) -> bool {
        matches!(self, Error::ClientGone | Error::RequestTimeout | Error::Stopped)
    }

    /// Whether the connection may be used again after the answer: not by a client whose body was
    /// the trouble.
    pub(crate) fn keeps_client(self) -> bool {
        !matches!(self, Error::SlowBody | Error::BodyTooLarge)
    }

    /// In how many seconds it is worth coming back; none if that would not help.
    pub(crate) fn retry_after_s(self) -> Option<u32> {
        match self {
            Error::RateLimited(after_s) => Some(after_s),
            _ => (self.status() == 503).then_some(1),
        }
    }

    /// What the client is told: what happened, in one sentence without internal addresses.
    pub(crate) fn text(self) -> String {
        match self {
            Error::BadProxyHeader => "the connection has no valid PROXY protocol header".into(),
            Error::TooManyConnections => "the client has too many connections".into(),
            Error::Malformed(refusal) => refusal.to_string(),
            Error::BadResponse(refusal) => {
                format!("the instance sent a malformed response: {refusal}")
            }
            Error::SlowHead => "the request head did not arrive in time".into(),
            Error::SlowBody => "the request body did not arrive in time".into(),
            Error::BodyTooLarge => "the request body is larger than this service allows".into(),
            Error::ClientGone => "the client closed the connection".into(),
            Error::SlowClient => "the client did not take the response in time".into(),
            Error::NoRoute => "no service is configured for this host and path".into(),
            Error::RewriteFailed => {
                "the path could not be rewritten as the service's rules say".into()
            }
            Error::RateLimited(_) => "too many requests of this kind came to the service".into(),
            Error::NotAdmitted => {
                "the service fails too many requests, and takes fewer until it recovers".into()
            }
            Error::NoInstance => "no instance of the service is ready".into(),
            Error::AllBusy => "all instances of the service are busy".into(),
            Error::TooManyWaiting => {
                "no instance of the service is free, and too many requests wait for one".into()
            }
            Error::Overloaded => "the service has had too many requests for a while".into(),
            Error::TooLate => {
                "no instance of the service can answer in the time that is left".into()
            }
            Error::ConnectRefused => "the instance refused the connection".into(),
            Error::ConnectTimeout => "the instance did not accept a connection in time".into(),
            Error::ConnectFailed => "no connection to the instance could be opened".into(),
            Error::InstanceReset => "the instance closed the connection before it answered".into(),
            Error::ResponseTimeout => "the instance did not answer in time".into(),
            Error::ResponseTruncated => "the instance closed the connection mid-response".into(),
            Error::BodyTimeout => "the instance stopped sending mid-response".into(),
            Error::TunnelBroken => "the instance broke the connection of a tunnel".into(),
            Error::TunnelIdle => "nothing moved in a tunnel for too long".into(),
            Error::RequestTimeout => "the request was not answered in time as a whole".into(),
            Error::Stopped => "Herder stopped before the request was answered".into(),
        }
    }
}

fn refused(refusal: Refusal) -> (&'static str, u16) {
    match refusal {
        Refusal::TargetTooLong => ("target_too_long", 414),
        Refusal::HeadTooLong | Refusal::TooManyHeaders => ("head_too_long", 431),
        Refusal::Version => ("version_unsupported", 505),
        Refusal::Connect => ("connect_unsupported", 501),
        _ => ("malformed_request", 400),
    }
}

/// The standard reason phrase of a status that the table has.
pub(crate) fn reason(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        404 => "Not Found",
        408 => "Request Timeout",
        413 => "Content Too Large",
        414 => "URI Too Long",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Error; 33] = [
        Error::BadProxyHeader,
        Error::TooManyConnections,
        Error::Malformed(Refusal::BareLf),
        Error::Malformed(Refusal::TargetTooLong),
        Error::Malformed(Refusal::HeadTooLong),
        Error::Malformed(Refusal::Version),
        Error::Malformed(Refusal::Connect),
        Error::SlowHead,
        Error::SlowBody,
        Error::BodyTooLarge,
        Error::ClientGone,
        Error::SlowClient,
        Error::NoRoute,
        Error::RewriteFailed,
        Error::RateLimited(1),
        Error::NotAdmitted,
        Error::NoInstance,
        Error::AllBusy,
        Error::TooManyWaiting,
        Error::Overloaded,
        Error::TooLate,
        Error::ConnectRefused,
        Error::ConnectTimeout,
        Error::ConnectFailed,
        Error::InstanceReset,
        Error::BadResponse(Refusal::BareLf),
        Error::ResponseTimeout,
        Error::ResponseTruncated,
        Error::BodyTimeout,
        Error::TunnelBroken,
        Error::TunnelIdle,
        Error::RequestTimeout,
        Error::Stopped,
    ];

    #[test]
    fn the_labels_are_the_table() {
        let labels: Vec<_> = ALL.iter().map(|error| error.label()).collect();
        assert_eq!(labels, ERROR_LABELS);
        assert!(ALL.iter().enumerate().all(|(at, error)| error.index() == at));
    }

    #[test]
    fn every_status_has_a_reason_and_only_instances_are_retried() {
        for error in ALL {
            assert!(error.status() == 0 || !reason(error.status()).is_empty(), "{error:?}");
            assert!(error.retry().is_none() || error.blame() != Blame::Client, "{error:?}");
            assert!(!error.text().is_empty());
        }
    }
}
