//! Header rules, path rewrites and redirects as written. What a rule may be about, and whether a
//! pattern is one, is judged where they are resolved.

use std::collections::BTreeMap;

use http1::{Location, LocationError, Placeholder, RULES_MAX, TemplateError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::defaults;
use crate::schema::location::PathPrefix;
use crate::schema::service::Routes;
use crate::schema::text::{Filled, Form, Text, Wrong, wrong};
use crate::suggest;

/// What is taken off heads and put onto them: first `remove`, then `set`, then `add`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct HeaderRules {
    /// Headers by name, each in the place of all that have its name. Values may have placeholders.
    #[schemars(
        example = serde_json::json!({ "X-Env": "prod" }),
        extend("maxProperties" = RULES_MAX)
    )]
    pub set: Option<BTreeMap<String, String>>,
    /// Headers by name, each beside those that have its name. Values may have placeholders.
    #[schemars(
        example = serde_json::json!({ "X-Way": "herder" }),
        extend("maxProperties" = RULES_MAX)
    )]
    pub add: Option<BTreeMap<String, String>>,
    /// The names of headers that are taken off.
    #[schemars(extend("examples" = [["X-Debug"]], "maxItems" = RULES_MAX))]
    pub remove: Option<Vec<String>>,
}

/// What becomes of the path of a request, in this order: `strip_prefix`, `match` and `with`,
/// `add_prefix`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Rewrite {
    /// Whole segments that are taken off the front of paths that begin with them. Instances are
    /// told in `X-Forwarded-Prefix`.
    #[schemars(example = &"/api")]
    pub strip_prefix: Option<Text<PathPrefix>>,
    /// A regular expression over the path without its query; its first match is replaced by
    /// `with`.
    #[serde(rename = "match")]
    #[schemars(example = &"^/old/(.*)$")]
    pub pattern: Option<Text<Filled>>,
    /// What takes the place of what `match` has found. `$1` is its first group, `${name}` a named
    /// one, `$0` all of it, `$$` a dollar.
    #[schemars(example = &"/new/$1")]
    pub with: Option<String>,
    /// What is put in front of every path.
    #[schemars(example = &"/v1")]
    pub add_prefix: Option<Text<PathPrefix>>,
}

// What is required is optional here, so that a bad value does not keep the rest from being judged.
/// Requests that Herder answers itself, by naming another place.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["route", "to"]))]
pub(crate) struct Redirect {
    /// The requests that are redirected, in the forms of a service's `route`.
    #[schemars(example = &"old.example.com", extend("maxItems" = 100))]
    pub route: Option<Routes>,
    /// Where they are led to. `https://` and a host: the same path and query there. With a path,
    /// or a path alone: exactly that, `{path}` and `{host}` filled in.
    #[schemars(example = &"https://shop.example.com")]
    pub to: Option<Text<To>>,
    /// How it is said: 301, 302 or 303, or 307 or 308, which keep the method. 301 and 308 are
    /// remembered by clients.
    pub status: defaults::RedirectStatus,
}

/// Where a redirect leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct To(pub Location);

impl Form for To {
    const FORMAT: &'static str = "herder-redirect-to";
    const WHAT: &'static str = "an address or a path";
    const PATTERN: &'static str = "^(https?://|/|\\{path\\})";

    fn read(text: &str) -> Result<Self, Wrong> {
        let error = match Location::parse(text) {
            Ok(location) => return Ok(Self(location)),
            Err(error) => error,
        };
        match error {
            LocationError::Template(error) => {
                let hint = placeholder_hint(&error, &[Placeholder::Host, Placeholder::Path]);
                wrong(format!("{text:?} {error}"), hint)
            }
            LocationError::Beginning => wrong(
                format!("{text:?} is not a place to lead to"),
                "begin with \"https://\" and a host, or with a slash",
            ),
            LocationError::TwoSlashes => wrong(
                format!("{text:?} would lead to another host"),
                "begin with \"https://\" if that is meant, else with one slash",
            ),
            LocationError::Host => wrong(
                format!("{text:?} has no host that can be led to"),
                "write a host and perhaps a port behind the scheme, such as \
                 \"https://shop.example.com\"; `{host}` may be a part of it",
            ),
            LocationError::Character(bad) => wrong(
                format!("{text:?} has {bad:?}, which no address has"),
                "percent-encode it, as %20 for a space",
            ),
        }
    }
}

/// What to do about a placeholder that is none.
pub(crate) fn placeholder_hint(error: &TemplateError, allowed: &[Placeholder]) -> String {
    let known = Placeholder::ALL.iter().filter(|(_, one)| allowed.contains(one));
    let names: Vec<&str> = known.map(|&(name, _)| name).collect();
    match error {
        TemplateError::Unknown(name) => match suggest::closest(name, names.iter().copied()) {
            Some(close) => format!("did you mean `{{{close}}}`?"),
            None => {
                let all = names.iter().map(|name| format!("`{{{name}}}`"));
                let all = crate::rule::list(all, "and");
                format!("there are {all}; a brace itself is written twice: `{{{{`")
            }
        },
        TemplateError::Brace => "write a brace itself twice: `{{` or `}}`".to_owned(),
        TemplateError::TooLong(_) | TemplateError::TooMany => "shorten it".to_owned(),
    }
}
