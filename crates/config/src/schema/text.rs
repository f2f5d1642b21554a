//! Texts of the file that have a form of their own: a form reads its text in one place, for the
//! checker's message and for the value alike. No file is opened and no name looked up.

use std::borrow::Cow;

use model::ServiceName;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::schema::address::{Address, AdminBind, Bind, Ports, Range};
use crate::schema::affinity::{ByCookie, CookieName, CookiePath, SecretPlace};
use crate::schema::balance::HashOn;
use crate::schema::compress::TypeRange;
use crate::schema::health::StatusRange;
use crate::schema::limits::{HeaderName, Rate, RateKey};
use crate::schema::location::{Host, PathPrefix, ProbePath, RouteText};
use crate::schema::resources::HttpUrl;
use crate::schema::retry::MethodName;
use crate::schema::rules::To;
use crate::schema::schedule::{Cron, Zone};

/// Why a text does not have the form it should have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wrong {
    /// What is wrong, the text itself included.
    pub message: String,
    /// What to write instead.
    pub hint: String,
}

/// A form of text.
pub(crate) trait Form: Sized {
    /// Its name in the schema's `format`.
    const FORMAT: &'static str;
    /// What it is called in a message, with its article.
    const WHAT: &'static str;
    /// A pattern for editors; it may let through what `read` refuses.
    const PATTERN: &'static str;

    /// Reads a text.
    fn read(text: &str) -> Result<Self, Wrong>;
}

/// A form that has a default.
pub(crate) trait HasDefault: Form {
    /// The default as the file would have it.
    const DEFAULT: &'static str;
}

/// A text of a form, as written and as read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Text<F> {
    written: String,
    /// What it says.
    pub value: F,
}

/// A name of a service or a listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Name(pub ServiceName);

/// A name of an environment variable that is the service's own to set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EnvName(pub String);

/// A text that is not blank: a command or a path of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Filled(pub String);

/// A path of a Unix socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SocketPath(pub String);

/// What reads a text of one form.
pub(crate) struct FormEntry {
    /// As in the schema.
    pub format: &'static str,
    /// Whether a text has the form.
    pub check: fn(&str) -> Result<(), Wrong>,
}

/// All forms, for the checker.
pub(crate) const FORMS: [FormEntry; 28] = [
    entry::<Bind>(),
    entry::<AdminBind>(),
    entry::<Ports>(),
    entry::<Address>(),
    entry::<Range>(),
    entry::<TypeRange>(),
    entry::<HeaderName>(),
    entry::<RateKey>(),
    entry::<Rate>(),
    entry::<HashOn>(),
    entry::<ByCookie>(),
    entry::<CookieName>(),
    entry::<CookiePath>(),
    entry::<SecretPlace>(),
    entry::<Host>(),
    entry::<PathPrefix>(),
    entry::<RouteText>(),
    entry::<ProbePath>(),
    entry::<StatusRange>(),
    entry::<MethodName>(),
    entry::<To>(),
    entry::<HttpUrl>(),
    entry::<Cron>(),
    entry::<Zone>(),
    entry::<Name>(),
    entry::<EnvName>(),
    entry::<Filled>(),
    entry::<SocketPath>(),
];

/// Bytes of a Unix socket's path that the kernel takes, the closing zero not counted.
const SOCKET_PATH_BYTES_MAX: usize = 107;

const fn entry<F: Form>() -> FormEntry {
    FormEntry { format: F::FORMAT, check: |text| F::read(text).map(drop) }
}

/// Refuses a text.
pub(super) fn wrong<T>(message: String, hint: impl Into<String>) -> Result<T, Wrong> {
    Err(Wrong { message, hint: hint.into() })
}

impl Form for Name {
    const FORMAT: &'static str = "herder-name";
    const WHAT: &'static str = "a name";
    const PATTERN: &'static str = "^[a-z][a-z0-9-]{0,47}$";

    fn read(text: &str) -> Result<Self, Wrong> {
        text.parse().map(Self).map_err(|_| Wrong {
            message: format!("{text:?} is not a name"),
            hint: "use a lower-case letter, then lower-case letters, digits or `-`, at most 48 \
                   bytes, such as `shop` or `web-2`"
                .to_owned(),
        })
    }
}

impl Form for EnvName {
    const FORMAT: &'static str = "herder-env-name";
    const WHAT: &'static str = "the name of a variable";
    const PATTERN: &'static str = "^[A-Za-z_][A-Za-z0-9_]*$";

    fn read(text: &str) -> Result<Self, Wrong> {
        let ok = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if !ok {
            return wrong(
                format!("{text:?} is not the name of a variable"),
                "use letters, digits and `_`, and no digit first, such as `DATABASE_URL`",
            );
        }
        if text == "PORT" || text.starts_with("HERDER_") {
            return wrong(
                format!("{text:?} is set by Herder, differently for each instance"),
                "remove it, or choose another name",
            );
        }
        Ok(Self(text.to_owned()))
    }
}

impl Form for Filled {
    const FORMAT: &'static str = "herder-filled";
    const WHAT: &'static str = "text";
    const PATTERN: &'static str = "\\S";

    fn read(text: &str) -> Result<Self, Wrong> {
        if text.trim().is_empty() {
            return wrong("is empty".to_owned(), "write something, or leave it out");
        }
        Ok(Self(text.to_owned()))
    }
}

impl Form for SocketPath {
    const FORMAT: &'static str = "herder-socket-path";
    const WHAT: &'static str = "the path of a socket";
    const PATTERN: &'static str = "^.{1,107}$";

    fn read(text: &str) -> Result<Self, Wrong> {
        Filled::read(text)?;
        if text.len() > SOCKET_PATH_BYTES_MAX {
            return wrong(
                format!(
                    "the path has {} bytes, and a socket's has at most {SOCKET_PATH_BYTES_MAX}",
                    text.len()
                ),
                "choose a shorter one, such as \"/run/herder.sock\"",
            );
        }
        Ok(Self(text.to_owned()))
    }
}

impl<F: HasDefault> Default for Text<F> {
    fn default() -> Self {
        let value = F::read(F::DEFAULT).expect("a default has the form of its key");
        Self { written: F::DEFAULT.to_owned(), value }
    }
}

impl<F> Serialize for Text<F> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.written.serialize(serializer)
    }
}

impl<'de, F: Form> Deserialize<'de> for Text<F> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = String::deserialize(deserializer)?;
        let value = F::read(&written).map_err(|wrong| D::Error::custom(wrong.message))?;
        Ok(Self { written, value })
    }
}

impl<F: Form> JsonSchema for Text<F> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        F::FORMAT.into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "format": F::FORMAT,
            "x-what": F::WHAT,
            "pattern": F::PATTERN,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::schema::number::{DURATION_FORMAT, SIZE_FORMAT};

    /// A form that is missing from the list would be let through by the checker.
    #[test]
    fn every_format_of_the_schema_is_checked() {
        fn formats<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
            match value {
                Value::Object(object) => {
                    found.extend(object.get("format").and_then(Value::as_str));
                    object.values().for_each(|value| formats(value, found));
                }
                Value::Array(array) => array.iter().for_each(|value| formats(value, found)),
                _ => {}
            }
        }
        let schema = crate::schema();
        let mut found = Vec::new();
        formats(&schema, &mut found);
        for form in &FORMS {
            assert!(found.contains(&form.format), "{} is not used", form.format);
        }
        found.retain(|format| ![DURATION_FORMAT, SIZE_FORMAT].contains(format));
        for format in found {
            assert!(FORMS.iter().any(|form| form.format == format), "{format} is not checked");
        }
    }
}
