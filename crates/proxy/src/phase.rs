//! How far a request is: what the access log says of one that did not end well.
//! It is only told; nothing is decided by it.

/// What a request is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Its head is read, and looked at.
    Head,
    /// It waits for an endpoint.
    Wait,
    /// A connection to the instance is opened.
    Connect,
    /// It is sent to the instance.
    Request,
    /// The head of the response is awaited.
    Response,
    /// The response is brought to the client.
    Body,
    /// The protocol was switched.
    Tunnel,
}

impl Phase {
    /// As it stands in the access log.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Phase::Head => "head",
            Phase::Wait => "wait",
            Phase::Connect => "connect",
            Phase::Request => "request",
            Phase::Response => "response",
            Phase::Body => "body",
            Phase::Tunnel => "tunnel",
        }
    }
}
