//! Balancing as written: which instance gets a request.
//! It holds what the file says and decides nothing.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::defaults;
use crate::schema::text::{Form, HasDefault, Text, Wrong, wrong};

/// Balancing, in its two forms.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub(crate) enum BalanceForm {
    /// The algorithm alone.
    Algorithm(Algorithm),
    /// With what it goes by.
    Table(Balance),
}

/// Which instance gets a request.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Balance {
    /// How an instance is chosen.
    pub algorithm: Algorithm,
    /// With `ring-hash`, `maglev` and `rendezvous`: which requests go to the same instance. Those
    /// of one `"client"` (its address), or those with the same `"path"`, `"query:NAME"`,
    /// `"header:NAME"` or `"cookie:NAME"`; by the client's address where a request has none.
    #[schemars(extend("default" = HashOn::DEFAULT))]
    pub hash_on: Option<Text<HashOn>>,
    /// With `ring-hash`, `maglev` and `rendezvous`: how many percent of its part of the requests in
    /// flight one instance may have. Beyond it a request goes to the next one by the hash.
    #[schemars(extend("default" = defaults::LoadPercentMax::default()))]
    pub load_percent_max: Option<defaults::LoadPercentMax>,
}

/// How an instance is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub(crate) enum Algorithm {
    /// Where a request is likely to be answered first: by what answers took lately, and by requests
    /// in flight.
    #[default]
    LeastLatency,
    /// The one with the fewest requests in flight, by weight; ties in turn.
    LeastRequest,
    /// In turn, by weight.
    RoundRobin,
    /// By chance, by weight.
    Random,
    /// Of two by chance the one with fewer requests in flight.
    RandomOfTwo,
    /// Of some that were looked at lately the fastest that is not busy, for large pools.
    Prequal,
    /// The next point of a ring.
    RingHash,
    /// The slot of a table.
    Maglev,
    /// The highest score.
    Rendezvous,
}

/// What requests are told apart by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HashOn(pub model::HashOn);

impl HasDefault for HashOn {
    const DEFAULT: &'static str = "client";
}

impl Form for HashOn {
    const FORMAT: &'static str = "herder-hash-on";
    const WHAT: &'static str = "what requests are told apart by";
    const PATTERN: &'static str = "^(client|path|(query|header|cookie):.+)$";

    fn read(text: &str) -> Result<Self, Wrong> {
        let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        let is_name = |name: &str| !name.is_empty() && name.len() <= 128;
        let read = match text.split_once(':') {
            None if text == "client" => Some(model::HashOn::Client),
            None if text == "path" => Some(model::HashOn::Path),
            Some(("query", name)) if is_name(name) && !name.contains(['&', '=', '#']) => {
                Some(model::HashOn::Query(name.into()))
            }
            Some((kind, name)) if is_name(name) && name.bytes().all(is_token) => match kind {
                "header" => Some(model::HashOn::Header(name.into())),
                "cookie" => Some(model::HashOn::Cookie(name.into())),
                _ => None,
            },
            _ => None,
        };
        match read {
            Some(on) => Ok(Self(on)),
            None => wrong(
                format!("{text:?} is nothing that requests are told apart by"),
                "write \"client\", \"path\", \"query:NAME\", \"header:NAME\" or \"cookie:NAME\"",
            ),
        }
    }
}
