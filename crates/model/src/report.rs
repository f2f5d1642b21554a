//! What a worker tells control about an instance: that it should be looked at, and why.
//! A report hastens; what there is to see is on the endpoint, so that a lost report loses nothing.

/// Why an instance should be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Report {
    /// It refused a connection, or did not take one in time.
    Unreachable,
    /// A streak of failures reached its bound, or its trial ended: see [`crate::Endpoint::streak`]
    /// and [`crate::Endpoint::trial`].
    Look,
}
