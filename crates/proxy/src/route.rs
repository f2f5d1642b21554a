//! Host, then longest path prefix: who answers a request.
//! Pure; the order of the routes is the table's and not looked at again.

use model::{Destination, HostPattern, Table};

/// Whom a host and path lead to. `host` is without port and of any case;
/// `path` may have a query.
pub(crate) fn route(table: &Table, host: &[u8], path: &[u8]) -> Option<Destination> {
    let host = host.strip_suffix(b".").unwrap_or(host);
    let end = path.iter().position(|&byte| byte == b'?').unwrap_or(path.len());
    let path = &path[..end];
    let found = table
        .routes
        .iter()
        .find(|route| host_matches(&route.host, host) && path_matches(route.path.as_bytes(), path));
    found.map(|route| route.to)
}

fn host_matches(pattern: &HostPattern, host: &[u8]) -> bool {
    match pattern {
        HostPattern::Any => true,
        HostPattern::Exact(exact) => host.eq_ignore_ascii_case(exact.as_bytes()),
        HostPattern::Suffix(suffix) => {
            let from = host.len().saturating_sub(suffix.len());
            from > 0 && host[from..].eq_ignore_ascii_case(suffix.as_bytes())
        }
    }
}

/// Whether `path` is `prefix` or below it: `/api` leads to `/api` and `/api/x`, not to `/apix`.
/// `*`, the target of `OPTIONS *`, belongs to whoever has `/`.
fn path_matches(prefix: &[u8], path: &[u8]) -> bool {
    let prefix = prefix.strip_suffix(b"/").unwrap_or(prefix);
    let Some(below) = path.strip_prefix(prefix) else {
        return false;
    };
    prefix.is_empty() || below.is_empty() || below.starts_with(b"/")
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Route;

    fn table(rules: &[(Option<&str>, &str)]) -> Table {
        let mut routes: Vec<Route> = rules
            .iter()
            .enumerate()
            .map(|(pool, (host, path))| Route {
                host: HostPattern::of(*host),
                path: (*path).into(),
                to: Destination::Pool(pool),
            })
            .collect();
        routes.sort_by_key(Route::precedence);
        Table { version: 1, routes, ..Table::default() }
    }

    #[test]
    fn the_most_specific_host_then_the_longest_path() {
        let table = table(&[
            (None, "/"),
            (None, "/api"),
            (Some("shop.example.com"), "/"),
            (Some("shop.example.com"), "/api/"),
            (Some("*.example.com"), "/"),
            (Some("*.eu.example.com"), "/"),
        ]);
        let check = |host: &str, path: &str, expected: Option<usize>| {
            let expected = expected.map(Destination::Pool);
            assert_eq!(route(&table, host.as_bytes(), path.as_bytes()), expected, "{host} {path}");
        };
        check("", "/", Some(0));
        check("other.org", "/apix", Some(0));
        check("other.org", "/api", Some(1));
        check("other.org", "/api?x=/", Some(1));
        check("other.org", "/api/x", Some(1));
        check("other.org", "/x?/api", Some(0));
        check("shop.example.com", "/x", Some(2));
        check("SHOP.Example.COM", "/x", Some(2));
        check("shop.example.com.", "/api", Some(3));
        check("www.example.com", "/api", Some(4));
        check("a.eu.example.com", "/", Some(5));
        check("example.com", "/", Some(0));
        check(".example.com", "/", Some(0));
        check("x", "*", Some(0));
    }

    #[test]
    fn nothing_matches_where_nothing_is_configured() {
        let table = table(&[(Some("a.org"), "/x")]);
        assert_eq!(route(&table, b"b.org", b"/x"), None);
        assert_eq!(route(&table, b"a.org", b"/"), None);
        assert_eq!(route(&Table::default(), b"a.org", b"/"), None);
    }
}
