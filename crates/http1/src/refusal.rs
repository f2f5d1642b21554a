//! Why bytes are not an HTTP/1.1 message that everybody would read alike.
//! It says what is wrong; which status a client gets is the proxy's table.

/// A message that is refused. Each variant is one rule of RFC 9110 or 9112.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Refusal {
    /// A line that ends in LF without CR (RFC 9112, 2.2).
    #[error("a line ends in LF without CR")]
    BareLf,
    /// A first line that is not `METHOD TARGET VERSION` with single spaces.
    #[error("the request line is not `METHOD TARGET HTTP/1.1`")]
    RequestLine,
    /// A target that is not in one of the four forms, or has bytes that do not belong there.
    #[error("the request target is malformed")]
    Target,
    /// A version other than HTTP/1.0 and HTTP/1.1.
    #[error("the protocol version is neither HTTP/1.0 nor HTTP/1.1")]
    Version,
    /// CONNECT: Herder is no forward proxy.
    #[error("CONNECT is not supported")]
    Connect,
    /// A status line that is not `HTTP/1.1 STATUS REASON`.
    #[error("the status line is not `HTTP/1.1 STATUS REASON`")]
    StatusLine,
    /// 101 in answer to a request that asked for no other protocol.
    #[error("the protocol was switched without being asked to")]
    UnaskedUpgrade,
    /// A header name that is empty, has bytes that are no token, or a space before the colon.
    #[error("a header name is malformed")]
    FieldName,
    /// A control byte in a header value.
    #[error("a header value has a control byte")]
    FieldValue,
    /// A header line that begins with a space: the obsolete line folding, or a space before the
    /// first header.
    #[error("a header line begins with a space")]
    FoldedLine,
    /// No Host in HTTP/1.1 (RFC 9112, 3.2).
    #[error("the Host header is missing")]
    HostMissing,
    /// More than one Host.
    #[error("there is more than one Host header")]
    HostTwice,
    /// A Host that is no host and port, or is at odds with the target.
    #[error("the Host header is malformed or at odds with the target")]
    Host,
    /// A Content-Length that is not decimal digits only, too large, or given twice.
    #[error("Content-Length is malformed or given more than once")]
    ContentLength,
    /// A Transfer-Encoding other than `chunked` alone, or given twice, or in HTTP/1.0.
    #[error("Transfer-Encoding is not exactly `chunked`")]
    TransferEncoding,
    /// Content-Length and Transfer-Encoding in one message.
    #[error("there are both Content-Length and Transfer-Encoding")]
    LengthAndEncoding,
    /// A chunk whose size, extension or end is malformed.
    #[error("a chunk is malformed")]
    Chunk,
    /// A trailer section that is malformed or too long.
    #[error("the trailer section is malformed or too long")]
    Trailer,
    /// More bytes of head than [`crate::Limits::head_bytes_max`].
    #[error("the head is too long")]
    HeadTooLong,
    /// More header lines, or options in `Connection`, than [`crate::Limits::headers_max`].
    #[error("there are too many headers")]
    TooManyHeaders,
    /// A longer target than [`crate::Limits::target_bytes_max`].
    #[error("the request target is too long")]
    TargetTooLong,
}
