//! What is said about a service whose clients stay with their instances: that it is a crutch.
//! Words only; who stays where is the data plane's.

use model::{Affinity, Secret, Service, Source, Time};

use crate::Kind;
use crate::journal::Journal;

/// What there is to know, on one line; none if clients do not stay.
pub(crate) fn words(policy: &Service) -> Option<String> {
    let Affinity { cookie, secret, .. } = policy.affinity.as_ref()?;
    let mut text = format!("clients stay with an instance by the cookie {}", cookie.name);
    // Processes end with Herder, and what they kept as well: there is nobody to come back to.
    if *secret == Secret::OfThisRun && matches!(policy.source, Source::Static(_)) {
        text.push_str(" until Herder restarts: it has no secret");
    }
    Some(text)
}

/// Notes it when a policy is taken that has it, unless it was said of the policy before.
pub(crate) fn note(before: Option<&Service>, policy: &Service, now: Time, journal: &mut Journal) {
    let Some(words) = words(policy) else { return };
    if before.and_then(self::words).as_ref() == Some(&words) {
        return;
    }
    let name = &policy.name;
    let text = format!("{name}: {words}; a crutch, until any instance can answer any request");
    journal.service(now, Kind::Configured, name, text);
}
