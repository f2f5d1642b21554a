//! What requests are told apart by, for the algorithms that hash.
//! Where it is found in a request is for the data plane to know.

/// Requests that are alike in this go to the same instance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum HashOn {
    /// The address of the client.
    #[default]
    Client,
    /// The path without the query.
    Path,
    /// The first value of this name in the query, as it is sent.
    Query(Box<str>),
    /// The first header of this name.
    Header(Box<str>),
    /// The first cookie of this name.
    Cookie(Box<str>),
}
