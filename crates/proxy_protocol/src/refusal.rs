//! Why a header is refused: one variant per rule that can be broken.
//! What becomes of the connection is for others to say.

use std::fmt;

/// The rule that a header broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It begins like no header of either version.
    NoHeader,
    /// Longer than the line of version 1 can be, or than [`crate::HEADER_BYTES_MAX`].
    TooLong,
    /// A byte in the line of version 1 that is not printable ASCII, or a CR without LF.
    Byte,
    /// Neither TCP4, TCP6 nor UNKNOWN.
    Protocol,
    /// Not two addresses of the named family and two ports, one space between each.
    Address,
    /// Version or command of version 2.
    Command,
    /// Address family or transport of version 2 that a connection cannot have.
    Family,
    /// Version 2 is too short for the addresses of its family.
    TooShort,
    /// The extensions of version 2 do not fill what they say.
    Extension,
    /// The checksum of version 2 is not that of the header.
    Checksum,
}

impl Refusal {
    /// Every one.
    pub const ALL: [Self; 10] = [
        Self::NoHeader,
        Self::TooLong,
        Self::Byte,
        Self::Protocol,
        Self::Address,
        Self::Command,
        Self::Family,
        Self::TooShort,
        Self::Extension,
        Self::Checksum,
    ];
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoHeader => "the connection does not begin with a PROXY protocol header",
            Self::TooLong => "the PROXY protocol header is too long",
            Self::Byte => "the PROXY protocol header is not one line of printable text",
            Self::Protocol => "the PROXY protocol header names neither TCP4, TCP6 nor UNKNOWN",
            Self::Address => "the PROXY protocol header has no two addresses and ports of its kind",
            Self::Command => "the PROXY protocol header has an unknown version or command",
            Self::Family => "the PROXY protocol header has an address family that is not TCP's",
            Self::TooShort => "the PROXY protocol header is too short for its addresses",
            Self::Extension => "the PROXY protocol header has extensions of a wrong length",
            Self::Checksum => "the PROXY protocol header has a wrong checksum",
        })
    }
}

impl std::error::Error for Refusal {}
