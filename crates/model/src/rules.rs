//! What is changed about requests and responses on their way, and what is sent elsewhere instead.
//! Valid by construction; how it is done on the wire is `http1`'s.

use http1::{FieldRules, Location, Rewrite};

use crate::RouteRule;

/// What a service wants changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// The heads of requests, as instances get them.
    pub request: FieldRules,
    /// The heads of final responses of instances, as clients get them.
    pub response: FieldRules,
    /// The paths of requests.
    pub rewrite: Rewrite,
}

/// Requests that Herder answers by naming another place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect {
    /// Its name in the file.
    pub name: Box<str>,
    /// What leads to it.
    pub routes: Vec<RouteRule>,
    /// The other place.
    pub to: Location,
    /// How it is said.
    pub status: RedirectStatus,
}

/// The statuses that send a client elsewhere: RFC 9110, 15.4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RedirectStatus {
    /// 301.
    MovedPermanently,
    /// 302.
    Found,
    /// 303: with GET.
    SeeOther,
    /// 307: with the same method.
    Temporary,
    /// 308: with the same method, for ever.
    Permanent,
}

impl Rules {
    /// Whether nothing is changed.
    pub fn is_empty(&self) -> bool {
        self.request.is_empty() && self.response.is_empty() && self.rewrite.is_empty()
    }
}

impl RedirectStatus {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::MovedPermanently, Self::Found, Self::SeeOther, Self::Temporary, Self::Permanent];

    /// The number.
    pub fn code(self) -> u16 {
        match self {
            Self::MovedPermanently => 301,
            Self::Found => 302,
            Self::SeeOther => 303,
            Self::Temporary => 307,
            Self::Permanent => 308,
        }
    }

    /// The standard reason phrase.
    pub fn reason(self) -> &'static str {
        match self {
            Self::MovedPermanently => "Moved Permanently",
            Self::Found => "Found",
            Self::SeeOther => "See Other",
            Self::Temporary => "Temporary Redirect",
            Self::Permanent => "Permanent Redirect",
        }
    }
}
