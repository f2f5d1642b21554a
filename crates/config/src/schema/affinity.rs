//! Affinity as written: how a client stays with an instance.
//! It holds what the file says and decides nothing; no secret is read here.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::defaults;
use crate::schema::location::PathPrefix;
use crate::schema::text::{Form, HasDefault, Text, Wrong, wrong};

/// Affinity, in its two forms.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub(crate) enum AffinityForm {
    /// The cookie alone.
    Cookie(Text<ByCookie>),
    /// With all that can be said of it.
    Table(Affinity),
}

/// How a client stays with the instance that answered it first.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Affinity {
    /// The name of the cookie. Absent: `herder-` and the name of the service.
    #[schemars(example = &"herder-shop")]
    pub cookie: Option<Text<CookieName>>,
    /// The path of the requests that the cookie comes with, and all below it.
    pub path: Text<CookiePath>,
    /// How long a browser keeps the cookie, from the answer that sets it. Absent: until it is
    /// closed.
    #[schemars(example = &"24h")]
    pub max_age: Option<defaults::AffinityMaxAge>,
    /// With which requests that another site causes the cookie comes.
    pub same_site: SameSite,
    /// Whether the cookie comes over encrypted connections only, as to a proxy in front that ends
    /// TLS.
    pub secure: bool,
    /// Where the key is that signs the cookie: `"file:PATH"`, or `"env:NAME"`, a variable of
    /// Herder's environment; 16 to 4096 bytes. Absent: drawn at each start.
    #[schemars(example = &"file:/etc/herder/affinity.key")]
    pub secret: Option<Text<SecretPlace>>,
}

/// With which requests that another site causes a cookie comes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub(crate) enum SameSite {
    /// With links that are followed.
    #[default]
    Lax,
    /// With none.
    Strict,
    /// With all.
    None,
}

/// `cookie`, and perhaps its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ByCookie(pub Option<CookieName>);

/// The name of a cookie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CookieName(pub Box<str>);

/// The path of a cookie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CookiePath(pub Box<str>);

/// Where a secret is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SecretPlace(pub model::Secret);

/// Bytes of a cookie's name; a name is sent with every request.
const COOKIE_NAME_BYTES_MAX: usize = 64;

impl Form for ByCookie {
    const FORMAT: &'static str = "herder-affinity";
    const WHAT: &'static str = "how clients stay";
    const PATTERN: &'static str = "^cookie(:.+)?$";

    fn read(text: &str) -> Result<Self, Wrong> {
        match text.split_once(':') {
            None if text == "cookie" => Ok(Self(None)),
            Some(("cookie", name)) => CookieName::read(name).map(|name| Self(Some(name))),
            _ => wrong(
                format!("{text:?} says not how clients stay with an instance"),
                "write \"cookie\", or \"cookie:NAME\"; leave it out if they do not",
            ),
        }
    }
}

impl Form for CookieName {
    const FORMAT: &'static str = "herder-cookie-name";
    const WHAT: &'static str = "the name of a cookie";
    const PATTERN: &'static str = "^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}$";

    fn read(text: &str) -> Result<Self, Wrong> {
        let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        if (1..=COOKIE_NAME_BYTES_MAX).contains(&text.len()) && text.bytes().all(is_token) {
            return Ok(Self(text.into()));
        }
        wrong(
            format!("{text:?} is not the name of a cookie"),
            "write 1 to 64 letters, digits, dashes and underscores, such as \"herder-shop\"",
        )
    }
}

impl Form for CookiePath {
    const FORMAT: &'static str = "herder-cookie-path";
    const WHAT: &'static str = "a path";
    const PATTERN: &'static str = "^/([^/?#;]+(/[^/?#;]+)*)?$";

    fn read(text: &str) -> Result<Self, Wrong> {
        if text.contains(';') {
            return wrong(
                format!("{text:?} has a semicolon, which ends the path of a cookie"),
                "write a path above it, such as \"/\"",
            );
        }
        PathPrefix::read(text).map(|path| Self(path.0))
    }
}

impl HasDefault for CookiePath {
    const DEFAULT: &'static str = "/";
}

impl Form for SecretPlace {
    const FORMAT: &'static str = "herder-secret";
    const WHAT: &'static str = "where a secret is";
    const PATTERN: &'static str = "^(file:.+|env:[A-Za-z_][A-Za-z0-9_]*)$";

    fn read(text: &str) -> Result<Self, Wrong> {
        let is_name = |name: &str| {
            name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
                && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        };
        match text.split_once(':') {
            Some(("file", path)) if !path.trim().is_empty() => {
                Ok(Self(model::Secret::File(path.into())))
            }
            Some(("env", name)) if is_name(name) => Ok(Self(model::Secret::Env(name.into()))),
            // It may be the secret itself, which a message must not repeat.
            _ => wrong(
                "it says not where the secret is".to_owned(),
                "write \"file:PATH\" or \"env:NAME\"; the secret itself does not belong here",
            ),
        }
    }
}
