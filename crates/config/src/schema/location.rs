//! Hosts and paths as the file writes them: what leads to a service, and what a probe asks for.
//! They are compared nowhere here; two equal routes are found where services are resolved.

use crate::schema::text::{Form, HasDefault, Wrong, wrong};

/// A lower-case host without port, or `*.` and a domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Host(pub Box<str>);

/// A path prefix of whole segments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PathPrefix(pub Box<str>);

/// A host, a path prefix, or both: `shop.example.com/api`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RouteText {
    pub host: Option<Box<str>>,
    pub path: Box<str>,
}

/// What a probe asks for: a path and perhaps a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ProbePath(pub Box<str>);

impl Form for Host {
    const FORMAT: &'static str = "herder-host";
    const WHAT: &'static str = "a host";
    const PATTERN: &'static str = "^(\\*\\.)?[A-Za-z0-9_-]+(\\.[A-Za-z0-9_-]+)*$";

    fn read(text: &str) -> Result<Self, Wrong> {
        let domain = text.strip_prefix("*.").unwrap_or(text);
        let hint = if text.contains("://") || text.contains('/') {
            "write the host alone, such as \"shop.example.com\", and the path under `path`"
        } else if text.contains(':') {
            "leave the port out: the listener decides it"
        } else if text.contains('*') {
            "a wildcard stands for everything before a domain: write \"*.example.com\", or leave \
             the host out for any"
        } else if !text.is_ascii() {
            "write international names the way they travel, such as \"xn--bcher-kva.example\""
        } else {
            "write a name such as \"shop.example.com\", or \"*.example.com\""
        };
        let label = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        };
        if domain.len() <= 253 && domain.split('.').all(label) {
            Ok(Self(text.to_ascii_lowercase().into()))
        } else {
            wrong(format!("{text:?} is not a host"), hint)
        }
    }
}

impl Form for PathPrefix {
    const FORMAT: &'static str = "herder-path-prefix";
    const WHAT: &'static str = "a path";
    const PATTERN: &'static str = "^/([^/?#]+(/[^/?#]+)*)?$";

    fn read(text: &str) -> Result<Self, Wrong> {
        request_path(text)?;
        if text.contains(['?', '#']) {
            return wrong(
                format!("{text:?} has a query or a fragment, and routes look at the path alone"),
                "write what stands before it",
            );
        }
        if text.len() > 1 && text.ends_with('/') {
            let shorter = text.trim_end_matches('/');
            return wrong(
                format!("{text:?} ends in a slash"),
                format!("write {shorter:?}, which leads to it and to everything below"),
            );
        }
        if text.len() > 1 && text[1..].split('/').any(|part| matches!(part, "" | "." | "..")) {
            return wrong(
                format!("{text:?} has an empty segment, or one of dots"),
                "write the path as it arrives, such as \"/api/v1\"",
            );
        }
        Ok(Self(text.into()))
    }
}

impl Form for RouteText {
    const FORMAT: &'static str = "herder-route";
    const WHAT: &'static str = "a route";
    const PATTERN: &'static str = "^((\\*\\.)?[A-Za-z0-9_.-]+)?(/[^?#]*)?$";

    fn read(text: &str) -> Result<Self, Wrong> {
        if text.is_empty() {
            return wrong(
                "\"\" is not a route".to_owned(),
                "write \"shop.example.com\", \"/api\" or \"shop.example.com/api\"",
            );
        }
        if let Some((_, rest)) = text.split_once("://") {
            return wrong(
                format!("{text:?} has a scheme, and routes have none"),
                format!("write {:?}", rest.trim_end_matches('/')),
            );
        }
        let (host, path) = text.split_at(text.find('/').unwrap_or(text.len()));
        let host = if host.is_empty() { None } else { Some(Host::read(host)?.0) };
        let path = if path.is_empty() { "/" } else { path };
        Ok(Self { host, path: PathPrefix::read(path)?.0 })
    }
}

impl HasDefault for RouteText {
    const DEFAULT: &'static str = "/";
}

impl Form for ProbePath {
    const FORMAT: &'static str = "herder-probe-path";
    const WHAT: &'static str = "a path";
    const PATTERN: &'static str = "^/[^#]*$";

    fn read(text: &str) -> Result<Self, Wrong> {
        request_path(text)?;
        if text.contains('#') {
            return wrong(
                format!("{text:?} has a fragment, which no request carries"),
                "write what stands before the `#`",
            );
        }
        Ok(Self(text.into()))
    }
}

/// What paths of routes and of probes have in common.
fn request_path(text: &str) -> Result<(), Wrong> {
    if let Some((_, rest)) = text.split_once("://") {
        let path = rest.find('/').map_or("/", |at| &rest[at..]);
        return wrong(
            format!("{text:?} is not a path: it has a scheme and a host"),
            format!("write {path:?}"),
        );
    }
    if !text.starts_with('/') {
        return wrong(
            format!("{text:?} is not a path: it does not begin with a slash"),
            format!("write {:?}", format!("/{text}")),
        );
    }
    if !text.bytes().all(|b| b.is_ascii_graphic()) {
        return wrong(
            format!("{text:?} has characters that no request line carries"),
            "percent-encode them, as %20 for a space",
        );
    }
    Ok(())
}
