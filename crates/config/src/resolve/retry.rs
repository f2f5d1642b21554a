//! When requests of a service are sent again, from what is written to what is desired.
//! What becomes of a single request is not known here.

use model::{Hedge, HedgeAfter, Retry, RetryBudget, RetryMethods, RetryOn};

use crate::defaults;
use crate::report::Report;
use crate::resolve::service::text;
use crate::schema::retry::{
    After, AfterLive, Hedge as WrittenHedge, Methods, MethodsKind, On, OnFailure, Retry as Written,
};
use crate::tree::element;

/// Resolves `retry` of the service at this path.
pub(super) fn retry(path: &str, written: &Written, report: &mut Report<'_>) -> Retry {
    let path = format!("{path}.retry");
    let on = on(&path, written.on.as_deref(), report);
    let timeout_try = written.timeout_try.and_then(|timeout| timeout.get());
    if timeout_try.is_some() && !on.timeout {
        let [timeout, on] = ["timeout_try", "on"].map(|key| format!("{path}.{key}"));
        report.problem(
            &[&timeout, &on],
            "has no effect: nothing is retried on \"timeout\"".into(),
            "add \"timeout\" to on, or remove timeout_try".into(),
        );
    }
    let default_min = defaults::RetryBackoffMin::default().get();
    let default_max = defaults::RetryBackoffMax::default().get();
    // A bound that is not written gives way to the one that is.
    let (backoff_min, backoff_max) = match (written.backoff_min, written.backoff_max) {
        (None, None) => (default_min, default_max),
        (Some(min), None) => (min.get(), default_max.max(min.get())),
        (None, Some(max)) => (default_min.min(max.get()), max.get()),
        (Some(min), Some(max)) => (min.get(), max.get()),
    };
    if backoff_max < backoff_min {
        let [max, min] = ["backoff_max", "backoff_min"].map(|key| format!("{path}.{key}"));
        report.problem(
            &[&max, &min],
            format!("{} is less than backoff_min ({})", text(backoff_max), text(backoff_min)),
            "raise backoff_max or lower backoff_min".into(),
        );
    }
    Retry {
        retries_max: written.max.get(),
        on,
        methods: match &written.methods {
            None | Some(Methods::Kind(MethodsKind::Idempotent)) => RetryMethods::Idempotent,
            Some(Methods::Kind(MethodsKind::Safe)) => RetryMethods::Safe,
            Some(Methods::List(list)) => {
                RetryMethods::Listed(list.iter().map(|name| name.value.0.clone()).collect())
            }
        },
        timeout_try: timeout_try.map(|period| period.get()),
        backoff_min,
        backoff_max,
        retry_after_max: written.retry_after_max.get(),
        body_bytes_max: written.body_max.get(),
        budget: RetryBudget {
            percent: written.budget_percent.get(),
            min: written.budget_min.get(),
        },
    }
}

/// Resolves `hedge` of a service.
pub(super) fn hedge(written: &WrittenHedge) -> Hedge {
    Hedge {
        after: match written.after {
            None | Some(After::Live(AfterLive::P95)) => HedgeAfter::P95,
            Some(After::Time(time)) => HedgeAfter::Time(time.get()),
        },
        budget_percent: written.budget_percent.get(),
    }
}

fn on(path: &str, written: Option<&[On]>, report: &mut Report<'_>) -> RetryOn {
    let Some(written) = written else { return RetryOn::failures() };
    for (index, one) in written.iter().enumerate() {
        if written[..index].contains(one) {
            let at = element(&format!("{path}.on"), index);
            report.problem(&[&at], "is there already".into(), "remove one of the two".into());
        }
    }
    let has = |failure| written.contains(&On::Failure(failure));
    let status = |one: &On| match one {
        On::Status(status) => Some(status.get()),
        On::Failure(_) => None,
    };
    RetryOn {
        connect_failure: has(OnFailure::ConnectFailure),
        reset: has(OnFailure::Reset),
        timeout: has(OnFailure::Timeout),
        statuses: written.iter().filter_map(status).collect(),
    }
}
