//! Retries as written: when a request is sent again.
//! It holds what the file says and decides nothing.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::defaults;
use crate::schema::text::{Form, Text, Wrong, wrong};

/// When a request is sent again, to another instance.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Retry {
    /// Further instances that are tried when one failed and the request may be repeated; 0 tries
    /// none.
    pub max: defaults::RetriesMax,
    /// What has to have happened: `"connect-failure"` (no connection could be had), `"reset"` (it
    /// ended before a response began), `"timeout"` (no response began in time), or the status of a
    /// response, which is then thrown away as long as another try can begin.
    #[schemars(
        example = serde_json::json!(["connect-failure", "reset", 503]),
        extend("default" = ["connect-failure", "reset"], "maxItems" = 100)
    )]
    pub on: Option<Vec<On>>,
    /// Which requests may be repeated though an instance may have seen them: `"safe"` ones (GET,
    /// HEAD, OPTIONS, TRACE), `"idempotent"` ones (PUT and DELETE too), or a list of methods. One
    /// that no instance has seen may always be.
    #[schemars(extend("default" = "idempotent"))]
    pub methods: Option<Methods>,
    /// From a request sent to the head of its response, for one try. Beyond it the request goes to
    /// another instance if it may; if not, the response is waited for.
    #[schemars(extend("default" = "off"))]
    pub timeout_try: Option<defaults::RetryTimeoutTry>,
    /// The wait before the n-th retry is drawn from nothing to (2^n - 1) times this.
    #[schemars(extend("default" = defaults::RetryBackoffMin::default()))]
    pub backoff_min: Option<defaults::RetryBackoffMin>,
    /// The longest wait, for the budget too. Never below `backoff_min`.
    #[schemars(extend("default" = defaults::RetryBackoffMax::default()))]
    pub backoff_max: Option<defaults::RetryBackoffMax>,
    /// How long a request waits for an instance that has asked for a pause with Retry-After, if
    /// all others have too. Beyond it the response at hand is passed on.
    pub retry_after_max: defaults::RetryAfterMax,
    /// Size of a request body that is kept until the response begins, so that it can be sent
    /// again. Beyond it the request is not repeated once an instance has got a part of it.
    pub body_max: defaults::RetryBodyMax,
    /// How many of a hundred requests may be retries, of those in flight and of all. Beyond it a
    /// failure is passed on to the client.
    pub budget_percent: defaults::RetryBudgetPercent,
    /// How many retries there may be at once, and each second, however few requests there are.
    pub budget_min: defaults::RetryBudgetMin,
}

/// When a second copy of a safe request without a body is sent to another instance. The first
/// response wins.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Hedge {
    /// After how long without a response: `"p95"`, what 95 of 100 responses of the service take
    /// lately, or a duration.
    #[schemars(extend("default" = "p95"))]
    pub after: Option<After>,
    /// How many of a hundred requests may have a second copy.
    pub budget_percent: defaults::HedgeBudgetPercent,
}

/// After how long, in its two forms.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub(crate) enum After {
    /// As the service is.
    Live(AfterLive),
    /// As it is written.
    Time(defaults::HedgeAfterTime),
}

/// How long responses of the service take.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub(crate) enum AfterLive {
    /// 95 of 100, at most.
    P95,
}

/// What has to have happened, in its two forms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub(crate) enum On {
    /// A failure.
    Failure(OnFailure),
    /// A status.
    Status(defaults::RetryStatus),
}

/// What a try can fail with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub(crate) enum OnFailure {
    /// No connection could be had.
    ConnectFailure,
    /// It ended before a response began.
    Reset,
    /// No response began in time.
    Timeout,
}

/// Methods, in their two forms.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub(crate) enum Methods {
    /// All of a kind.
    Kind(MethodsKind),
    /// These.
    List(#[schemars(length(min = 1, max = 100))] Vec<Text<MethodName>>),
}

/// A kind of methods: RFC 9110, 9.2.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub(crate) enum MethodsKind {
    /// They change nothing.
    Safe,
    /// They change the same however often they come.
    Idempotent,
}

/// A name of a method.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MethodName(pub Box<str>);

impl Form for MethodName {
    const FORMAT: &'static str = "herder-method";
    const WHAT: &'static str = "a method";
    const PATTERN: &'static str = "^[A-Z][A-Z0-9_-]*$";

    fn read(text: &str) -> Result<Self, Wrong> {
        let is_good = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b"_-".contains(&b);
        if text.starts_with(|c: char| c.is_ascii_uppercase()) && text.bytes().all(is_good) {
            return Ok(Self(text.into()));
        }
        wrong(
            format!("{text:?} is not a method"),
            "write it in capital letters, such as \"GET\"; methods are case-sensitive",
        )
    }
}
