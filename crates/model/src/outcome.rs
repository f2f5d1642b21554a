//! What came of one attempt, as far as it says something about the instance.
//! It is a fact; what follows from many of them is decided elsewhere.

use std::time::Duration;

/// What an instance made of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It answered, and not with one of the failures below. With the time from the request, once it
    /// was sent whole, to the head of the response, if somebody measured it.
    Answered(Option<Duration>),
    /// It answered that it has too much to do: 429, or 503 with Retry-After, which says for how
    /// long.
    Overloaded(Option<Duration>),
    /// It answered with another status from 500 on.
    ServerError {
        /// Whether it says that the instance itself is a proxy that found nobody: 502, 503 or 504.
        is_gateway: bool,
    },
    /// It did not answer: refused, unreachable, reset, malformed or too late.
    Failed,
    /// It had not answered after so long, when the client went or somebody else had answered: it
    /// takes at least that long, and nobody knows more.
    Abandoned(Duration),
    /// Nothing that says anything about it.
    Unknown,
}

impl Outcome {
    /// The outcome of a response with this status, which said how long to stay away.
    pub fn of(status: u16, retry_after: Option<Duration>, latency: Option<Duration>) -> Self {
        match status {
            429 => Outcome::Overloaded(retry_after),
            503 if retry_after.is_some() => Outcome::Overloaded(retry_after),
            502..=504 => Outcome::ServerError { is_gateway: true },
            // 501 and 505 say something about the request.
            500 | 506.. => Outcome::ServerError { is_gateway: false },
            _ => Outcome::Answered(latency),
        }
    }
}
