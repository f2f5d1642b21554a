//! Header rules, path rewrites and redirects, from what is written to what is done.
//! `http1` judges each rule; here it is said what is wrong, where, and what to do.

use http1::{
    Direction, FieldRule, FieldRules, Pattern, Placeholder, RULES_MAX, Rewrite, RewriteError,
    RuleError,
};
use model::{Redirect, RedirectStatus, Rules};

use crate::report::Report;
use crate::resolve::service::listed;
use crate::schema::location::PathPrefix;
use crate::schema::rules::{self as written, placeholder_hint};
use crate::schema::service::Service;
use crate::schema::text::Text;
use crate::tree::{element, join};

/// The rules of a service; none if nothing is to be changed.
pub(super) fn rules(path: &str, written: &Service, report: &mut Report<'_>) -> Option<Box<Rules>> {
    let mut headers = |key: &str, direction, written: Option<&written::HeaderRules>| {
        let path = format!("{path}.{key}");
        written.map(|written| fields(&path, direction, written, report)).unwrap_or_default()
    };
    let request = headers("request_headers", Direction::Request, written.request_headers.as_ref());
    let response =
        headers("response_headers", Direction::Response, written.response_headers.as_ref());
    let path = format!("{path}.rewrite");
    let rewrite = written.rewrite.as_ref().map(|written| rewrite(&path, written, report));
    let rules = Rules { request, response, rewrite: rewrite.unwrap_or_default() };
    (!rules.is_empty()).then(|| Box::new(rules))
}

/// Resolves a redirect; none if the checker has found something missing.
pub(super) fn redirect(
    name: &str,
    written: &written::Redirect,
    report: &mut Report<'_>,
) -> Option<Redirect> {
    let path = join("redirect", name);
    let code: u16 = written.status.get();
    let status = RedirectStatus::ALL.into_iter().find(|status| status.code() == code);
    if status.is_none() {
        report.problem(
            &[&format!("{path}.status")],
            format!("{code} sends nobody elsewhere"),
            "use 301, 302, 303, 307 or 308".into(),
        );
    }
    let routes = listed(&path, written.route.as_ref()?).into_iter();
    Some(Redirect {
        name: name.into(),
        routes: routes.map(|(rule, _)| rule).collect(),
        to: written.to.as_ref()?.value.0.clone(),
        status: status?,
    })
}

fn fields(
    path: &str,
    direction: Direction,
    written: &written::HeaderRules,
    report: &mut Report<'_>,
) -> FieldRules {
    let mut rules = Vec::new();
    for (index, name) in written.remove.iter().flatten().enumerate() {
        rules.push((FieldRule::Remove(name), element(&format!("{path}.remove"), index)));
    }
    for (name, value) in written.set.iter().flatten() {
        rules.push((FieldRule::Set(name, value), join(&format!("{path}.set"), name)));
    }
    for (name, value) in written.add.iter().flatten() {
        rules.push((FieldRule::Add(name, value), join(&format!("{path}.add"), name)));
    }
    let (plain, places): (Vec<FieldRule<'_>>, Vec<String>) = rules.into_iter().unzip();
    let errors = match FieldRules::new(direction, &plain) {
        Ok(rules) => return rules,
        Err(errors) => errors,
    };
    let mut has_too_many = false;
    for (at, error) in errors {
        if error == RuleError::TooMany && std::mem::replace(&mut has_too_many, true) {
            continue;
        }
        let mut involved = vec![places[at].as_str()];
        if let RuleError::Clash(other) = error {
            involved.push(&places[other]);
        }
        let (message, hint) = wrong(plain[at], &error, &places, report);
        report.problem(&involved, message, hint);
    }
    FieldRules::default()
}

/// What is wrong with a rule, and what to do.
fn wrong(
    rule: FieldRule<'_>,
    error: &RuleError,
    places: &[String],
    report: &Report<'_>,
) -> (String, String) {
    let name = rule.name();
    let value = match rule {
        FieldRule::Remove(_) => "",
        FieldRule::Set(_, value) | FieldRule::Add(_, value) => value,
    };
    let (message, hint) = match error {
        RuleError::Name => (
            format!("{name:?} is not the name of a header"),
            "use letters, digits and `-`, at most 128 bytes, such as `X-Env`",
        ),
        RuleError::Connection => (
            format!("{name} decides how messages and connections end, which Herder sees to"),
            "remove it",
        ),
        RuleError::Ours => (
            format!(
                "{name} is Herder's to write: it takes off what clients claim about themselves, \
                 and tells instances in X-Forwarded-For, X-Forwarded-Proto, X-Forwarded-Host and \
                 X-Request-Id"
            ),
            "remove it",
        ),
        RuleError::Disguised => (
            format!(
                "{name} is {} to servers that follow CGI, so Herder never passes it on",
                name.replace('_', "-")
            ),
            "remove it",
        ),
        RuleError::HostNotSet => (
            format!("{name} can only be set, and only on requests"),
            "write it under `set` of `request_headers`, or remove it",
        ),
        RuleError::HostValue => (
            format!("{value:?} is not a host"),
            "write a host and perhaps a port, such as \"shop.internal:8080\"",
        ),
        RuleError::Empty => ("is empty".into(), "list a header in `remove` to take it off"),
        RuleError::Space => (
            format!("{value:?} begins or ends with white space, which no reader sees"),
            "remove the space",
        ),
        RuleError::Byte => {
            (format!("{value:?} has a control character"), "write one line of plain text")
        }
        RuleError::Template(error) => {
            let hint =
                placeholder_hint(error, &Placeholder::ALL.map(|(_, placeholder)| placeholder));
            return (format!("{value:?} {error}"), hint);
        }
        RuleError::Clash(other) => {
            let other = report.elsewhere(&places[*other]);
            (format!("{name} has a rule already: {other}"), "keep one of the two")
        }
        RuleError::TooMany => {
            let hint = format!("use at most {RULES_MAX} in one direction");
            return (format!("{} rules are too many", places.len()), hint);
        }
    };
    (message, hint.to_owned())
}

fn rewrite(path: &str, written: &written::Rewrite, report: &mut Report<'_>) -> Rewrite {
    let at = |key: &str| format!("{path}.{key}");
    let mut prefix = |key: &str, written: Option<&Text<PathPrefix>>| {
        let text = written.map_or("", |text| &text.value.0);
        if text == "/" {
            let message = "\"/\" changes nothing".to_owned();
            report.problem(&[&at(key)], message, "remove it, or name a segment".into());
        }
        text.trim_end_matches('/').to_owned()
    };
    let strip_prefix = prefix("strip_prefix", written.strip_prefix.as_ref());
    let add_prefix = prefix("add_prefix", written.add_prefix.as_ref());
    let pattern = match (&written.pattern, &written.with) {
        (None, None) => None,
        (Some(_), None) => {
            let hint = "add with = \"/new/$1\", which takes the place of what is found";
            report.problem(&[&at("match"), &at("with")], "has no `with`".into(), hint.into());
            None
        }
        (None, Some(_)) => {
            let hint = "add match = \"^/old/(.*)$\", which finds what is replaced";
            report.problem(&[&at("with"), &at("match")], "has no `match`".into(), hint.into());
            None
        }
        (Some(pattern), Some(with)) => match Pattern::new(&pattern.value.0, with) {
            Ok(pattern) => Some(pattern),
            Err(error) => {
                let (key, message, hint) = unfit(&error, &pattern.value.0, with);
                report.problem(&[&at(key)], message, hint.to_owned());
                None
            }
        },
    };
    Rewrite::new(&strip_prefix, pattern, &add_prefix).unwrap_or_else(|_| {
        let key = if strip_prefix.len() > add_prefix.len() { "strip_prefix" } else { "add_prefix" };
        report.problem(&[&at(key)], "is too long".into(), "use at most 1024 bytes".into());
        Rewrite::default()
    })
}

/// Which key is wrong about a pattern, how, and what to do.
fn unfit(error: &RewriteError, pattern: &str, with: &str) -> (&'static str, String, &'static str) {
    match error {
        RewriteError::PrefixTooLong | RewriteError::TooLong => {
            let key = if pattern.len() > with.len() { "match" } else { "with" };
            (key, "is too long".into(), "use at most 1024 bytes")
        }
        RewriteError::Pattern(reason) => (
            "match",
            format!("{pattern:?} is not a regular expression: {reason}"),
            "write one such as \"^/old/(.*)$\"",
        ),
        RewriteError::With('?') => (
            "with",
            format!("{with:?} has a `?`, and rewrites look at the path alone"),
            "remove it; the query of a request is kept as it is",
        ),
        RewriteError::With(bad) => (
            "with",
            format!("{with:?} has {bad:?}, which no path has"),
            "percent-encode it, as %20 for a space",
        ),
        RewriteError::Dollar => (
            "with",
            format!("{with:?} has a `$` that leads nowhere"),
            "write $1 or ${name} for a group of `match`, and $$ for a dollar",
        ),
        RewriteError::Group(name) => (
            "with",
            format!("{with:?} has `${name}`, and `match` has no such group"),
            "write a group in parentheses for it, or use ${1} if a digit follows",
        ),
    }
}
