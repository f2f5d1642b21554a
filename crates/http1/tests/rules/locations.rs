//! Where redirects lead to. No path of a request ever becomes a host.

use http1::{Facts, Location, NoHost};
use proptest::prelude::*;

use crate::FACTS;

fn led(to: &str, host: &str, path: &str) -> Result<String, NoHost> {
    let mut out = b"Location: ".to_vec();
    let facts = Facts { host: host.as_bytes(), path: path.as_bytes(), ..FACTS };
    Location::parse(to).unwrap().write(&mut out, &facts)?;
    Ok(String::from_utf8(out).unwrap().strip_prefix("Location: ").unwrap().to_owned())
}

#[test]
fn the_table() {
    let check = |to: &str, path: &str, expected: &str| {
        assert_eq!(led(to, "a.example", path).as_deref(), Ok(expected), "{to} {path}");
    };
    check("https://b.example", "/x?y=1", "https://b.example/x?y=1");
    check("https://b.example:8443", "/", "https://b.example:8443/");
    check("https://b.example", "*", "https://b.example/");
    check("https://b.example/", "/x", "https://b.example/");
    check("https://b.example/new", "/x?y", "https://b.example/new");
    check("https://b.example/new{path}", "/x?y", "https://b.example/new/x?y");
    check("https://b.example/?from={path}", "/x?y", "https://b.example/?from=/x?y");
    check("https://b.example{path}", "/x", "https://b.example/x");
    check("https://{host}", "/x", "https://a.example/x");
    check("https://www.{host}:8443", "/x", "https://www.a.example:8443/x");
    check("https://{host}/{host}", "/x", "https://a.example/a.example");
    check("http://[::1]:80", "/x", "http://[::1]:80/x");
    check("/new", "/x?y", "/new");
    check("/new#part", "/x?y", "/new#part");
    check("/new{path}", "/x?y", "/new/x?y");
    check("/{{{host}}}", "/", "/{a.example}");
    check("{path}", "/x", "/x");
    check("/new{path}", "*", "/new/");
}

#[test]
fn no_path_becomes_a_host() {
    let check = |to: &str, path: &str, expected: &str| {
        assert_eq!(led(to, "a.example", path).as_deref(), Ok(expected), "{to} {path}");
    };
    check("{path}", "//evil.example/x", "/evil.example/x");
    check("{path}", "/\\evil.example/x", "/evil.example/x");
    check("{path}", "///\\/evil.example/x", "/evil.example/x");
    check("/{path}", "/evil.example", "/evil.example");
    check("/{path}", "/\\/evil.example", "/evil.example");
    check("https://b.example", "//evil.example", "https://b.example//evil.example");
    check("https://b.example", "/@evil.example", "https://b.example/@evil.example");
}

#[test]
fn without_a_host_a_place_that_needs_one_is_none() {
    assert_eq!(led("https://{host}", "", "/x"), Err(NoHost));
    assert_eq!(led("/on/{host}", "", "/x"), Err(NoHost));
    assert_eq!(led("https://b.example", "", "/x").as_deref(), Ok("https://b.example/x"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn a_client_cannot_choose_where_it_is_led(
        path in r"/[/\\@:?&.a-z%]{0,12}",
        to in proptest::sample::select(vec![
            "https://b.example", "https://b.example/{path}", "/{path}", "{path}", "{path}{path}",
            "/x{path}", "/.{path}",
        ]),
    ) {
        let place = led(to, "a.example", &path).unwrap();
        match place.strip_prefix("https://") {
            Some(rest) => prop_assert!(rest.starts_with("b.example/"), "{}", place),
            None => {
                prop_assert!(to.starts_with(['/', '{']) && place.starts_with('/'), "{}", place);
                prop_assert!(!place[1..].starts_with(['/', '\\']), "{}", place);
            }
        }
    }
}
