//! Compression of responses as written.
//! It holds what the file says and decides nothing.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::defaults;
use crate::schema::text::{Form, Text, Wrong, wrong};

/// Compression, in its two forms.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub(crate) enum CompressForm {
    /// On with what is usual, or off.
    Switch(bool),
    /// On, as the table says.
    Table(Compress),
}

/// Which responses are compressed, and how.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Compress {
    /// The codings to choose from, the preferred one first; of those that a client accepts alike,
    /// it gets the first.
    #[schemars(extend("default" = ["zstd", "br", "gzip"], "minItems" = 1, "maxItems" = 3))]
    pub algorithms: Option<Vec<Algorithm>>,
    /// Size of a response body from which on it is compressed, if the instance says the length.
    pub size_min: defaults::CompressSizeMin,
    /// The media types that are compressed; one `*` stands for anything but a slash.
    #[schemars(extend("default" = defaults::COMPRESS_TYPES, "minItems" = 1, "maxItems" = 100))]
    pub types: Option<Vec<Text<TypeRange>>>,
}

/// How responses are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub(crate) enum Algorithm {
    /// Zstandard: the fastest, and nearly as small as Brotli.
    Zstd,
    /// Brotli: the smallest.
    Br,
    /// What every client accepts.
    Gzip,
}

/// A media type, or a range of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TypeRange(pub Box<str>);

impl Form for TypeRange {
    const FORMAT: &'static str = "herder-type-range";
    const WHAT: &'static str = "a media type";
    const PATTERN: &'static str = "^[^/;]+/[^/;]+$";

    fn read(text: &str) -> Result<Self, Wrong> {
        let is_name = |name: &str| {
            let is_good = |b: u8| b.is_ascii_alphanumeric() || b"!#$&-^_.+*".contains(&b);
            !name.is_empty() && name.bytes().all(is_good)
        };
        let (kind, name) = text.split_once('/').unwrap_or_default();
        let is_range = is_name(kind) && is_name(name) && !kind.contains('*');
        if is_range && name.matches('*').count() <= 1 {
            return Ok(Self(text.to_ascii_lowercase().into()));
        }
        wrong(
            format!("{text:?} is not a media type"),
            "write a type without parameters, such as \"text/html\", \"text/*\" or \
             \"application/*+json\"",
        )
    }
}
