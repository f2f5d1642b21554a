//! What becomes of a path: prefixes off and on, a pattern replaced, the query left alone.

use http1::{NotATarget, Pattern, Rewrite};

use crate::ruled_request;

const TARGET_BYTES_MAX: usize = 64;

fn rewrite(strip: &str, pattern: Option<(&str, &str)>, add: &str) -> Rewrite {
    let pattern = pattern.map(|(pattern, with)| Pattern::new(pattern, with).unwrap());
    Rewrite::new(strip, pattern, add).unwrap()
}

/// What the instance gets as its target and as `X-Forwarded-Prefix`, or `None`.
fn sent(rewrite: &Rewrite, target: &str) -> Option<(String, String)> {
    let rewritten = match rewrite.apply(target.as_bytes(), TARGET_BYTES_MAX) {
        Ok(rewritten) => rewritten,
        Err(NotATarget) => return None,
    };
    let input =
        format!("OPTIONS {target} HTTP/1.1\r\nHost: a\r\nX-Forwarded-Prefix: /evil\r\n\r\n");
    let out = String::from_utf8(ruled_request(input.as_bytes(), None, Some(&rewritten))).unwrap();
    let target = out.split(' ').nth(1).unwrap().to_owned();
    let prefix = out.split("X-Forwarded-Prefix: ").nth(1).unwrap_or_default();
    Some((target, prefix.split('\r').next().unwrap().to_owned()))
}

fn check(rewrite: &Rewrite, target: &str, expected: Option<&str>, prefix: &str) {
    let expected = expected.map(|target| (target.to_owned(), prefix.to_owned()));
    assert_eq!(sent(rewrite, target), expected, "{target} {rewrite:?}");
}

#[test]
fn a_prefix_is_taken_off_in_whole_segments() {
    let api = rewrite("/api", None, "");
    check(&api, "/api/a/b?c=/api", Some("/a/b?c=/api"), "/api");
    check(&api, "/api", Some("/"), "/api");
    check(&api, "/api/", Some("/"), "/api");
    check(&api, "/api?c", Some("/?c"), "/api");
    check(&api, "/api//c", Some("//c"), "/api");
    check(&api, "/apis", Some("/apis"), "");
    check(&api, "/API/a", Some("/API/a"), "");
    check(&api, "/%61pi/a", Some("/%61pi/a"), "");
    check(&api, "/x/api", Some("/x/api"), "");
    check(&api, "*", Some("*"), "");
    check(&rewrite("/a/b", None, ""), "/a/b/c", Some("/c"), "/a/b");
}

#[test]
fn a_prefix_is_put_on() {
    let v1 = rewrite("", None, "/v1");
    check(&v1, "/a?b", Some("/v1/a?b"), "");
    check(&v1, "/", Some("/v1/"), "");
    check(&v1, "*", Some("*"), "");
    check(&rewrite("/api", None, "/v1"), "/api/a?b", Some("/v1/a?b"), "/api");
    check(&rewrite("/api", None, "/v1"), "/api", Some("/v1/"), "/api");
    check(&rewrite("/api", None, "/v1"), "/a", Some("/v1/a"), "");
}

#[test]
fn the_first_match_of_a_pattern_is_replaced() {
    let of = |pattern, with| rewrite("", Some((pattern, with)), "");
    check(&of("^/old/(.*)$", "/new/$1"), "/old/a/b?c=/old/", Some("/new/a/b?c=/old/"), "");
    check(&of("^/old/(.*)$", "/new/$1"), "/older", Some("/older"), "");
    check(&of("/a", "/b"), "/a/a", Some("/b/a"), "");
    check(&of("b+", "x"), "/abbbb", Some("/ax"), "");
    check(&of("^/(?P<id>[0-9]+)(/x)?$", "/item-${id}$2/${1}$$"), "/7", Some("/item-7/7$"), "");
    check(&of("^/([a-z])([a-z])$", "/$2$1$0"), "/ab", Some("/ba/ab"), "");
    check(&of("^.*$", "/"), "/a", Some("/"), "");
    check(&of("^/a", ""), "/a/b", Some("/b"), "");
    check(&of(".*", "/"), "*", Some("*"), "");
    let all = rewrite("/api", Some(("^/a", "/b")), "/v1");
    check(&all, "/api/a/c?d", Some("/v1/b/c?d"), "/api");
    check(&all, "/a/c", Some("/v1/b/c"), "");
}

#[test]
fn what_is_no_target_any_more_is_none() {
    let of = |pattern, with| rewrite("", Some((pattern, with)), "");
    check(&of("^/a/", ""), "/a/b", None, "");
    check(&of("^.*$", ""), "/a", None, "");
    check(&of("^/", "*"), "/", None, "");
    check(&of("^/", "http://evil/"), "/a", None, "");
    check(&rewrite("", Some(("^/", "x")), "/v1"), "/a", None, "");
    let most = "a".repeat(TARGET_BYTES_MAX - 4);
    check(&rewrite("", None, "/v1"), &format!("/{most}"), Some(&format!("/v1/{most}")), "");
    check(&rewrite("", None, "/v1"), &format!("/a{most}"), None, "");
    check(&rewrite("", None, "/v1"), &format!("/{most}?"), None, "");
    check(&of("a", &"$0".repeat(500)), "/a", None, "");
}
