//! Which responses of a service are encoded on their way, and how.
//! What a single response or request allows is for the data plane to find out.

/// Whether responses are compressed, and which.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compression {
    /// Whether any are.
    pub is_on: bool,
    /// The codings to choose from, the preferred one first.
    pub codings: Box<[Coding]>,
    /// Bytes of content from which on it is worth it, where its length is known.
    pub bytes_min: u64,
    /// Ranges of media types in lower case, each with at most one `*`.
    pub types: Box<[Box<str>]>,
}

/// A content coding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// RFC 8878.
    Zstd,
    /// RFC 7932.
    Brotli,
    /// RFC 1952.
    Gzip,
}

impl Coding {
    /// Its name in `Accept-Encoding` and `Content-Encoding`.
    pub const fn name(self) -> &'static str {
        match self {
            Coding::Zstd => "zstd",
            Coding::Brotli => "br",
            Coding::Gzip => "gzip",
        }
    }
}

impl Compression {
    /// Nothing is compressed.
    pub fn off() -> Self {
        Self { is_on: false, codings: [].into(), bytes_min: 0, types: [].into() }
    }
}
