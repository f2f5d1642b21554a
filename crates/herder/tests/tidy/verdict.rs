//! What becomes of a finding: a complaint, or nothing because of an exception.
//! It does not look at sources.

use std::fmt::Write;

/// A place where a rule is broken.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    /// The file, or `file::name`, that an exception would name.
    pub(crate) place: String,
    /// The line from 1, or 0 for the file as a whole.
    pub(crate) line: usize,
    /// What is wrong.
    pub(crate) text: String,
}

/// A place that may break a rule.
#[derive(Debug)]
pub(crate) struct Exception {
    /// Which rule.
    pub(crate) rule: &'static str,
    /// The place, as in [`Finding::place`].
    pub(crate) place: &'static str,
    /// Why the rule is not good enough there.
    pub(crate) reason: &'static str,
}

impl Finding {
    /// A finding in line `line` of `place`.
    pub(crate) fn new(place: &str, line: usize, text: impl Into<String>) -> Self {
        Self { place: place.into(), line, text: text.into() }
    }
}

/// Whether `rule` is kept: no finding without an exception, no exception without a finding.
///
/// # Errors
///
/// Every finding that no exception names and every exception that is not needed, one a line.
pub(crate) fn settle(
    rule: &str,
    found: &[Finding],
    exceptions: &[Exception],
) -> Result<(), String> {
    let ours: Vec<&Exception> = exceptions.iter().filter(|entry| entry.rule == rule).collect();
    let mut complaint = String::new();
    for Finding { place, line, text } in found {
        if !ours.iter().any(|entry| entry.place == place) {
            writeln!(complaint, "{place}, line {line}: {text}").unwrap();
        }
    }
    for Exception { place, .. } in ours {
        if !found.iter().any(|finding| finding.place == *place) {
            writeln!(complaint, "{place} keeps the rule: remove its exception").unwrap();
        }
    }
    if complaint.is_empty() { Ok(()) } else { Err(format!("rule `{rule}`:\n{complaint}")) }
}
