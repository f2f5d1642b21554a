//! What connections begin with and what they carry, below HTTP: choices of listeners and services.
//! No address and no bytes; the PROXY protocol itself is a crate of its own.

/// Whether connections to a listener begin with a header of the PROXY protocol, by which a proxy in
/// front says who the client is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ProxyProtocolIn {
    /// They do not: such a header would be a malformed request.
    #[default]
    Off,
    /// All of them do. One that does not is reset.
    Required,
    /// Those of trusted proxies do, and are reset if they do not; nobody else's does.
    Trusted,
}

/// Whether connections to the instances of a service begin with a header of the PROXY protocol.
/// Such a connection belongs to one client connection for good.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ProxyProtocolOut {
    /// They do not.
    #[default]
    Off,
    /// One line of text.
    V1,
    /// Binary.
    V2,
}

/// What the connections of a service carry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Requests, each of which is led and answered by itself.
    #[default]
    Http,
    /// Bytes: each connection of a listener becomes one to an instance, both ways, as it is.
    Tcp,
}
