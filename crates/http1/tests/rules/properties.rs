//! Any good head under any good rules: it stays a good head, its framing stays, the rules hold.

use http1::{Direction, Field, FieldRules, Known, Pattern, Rewrite};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use crate::{Written, heads_at_random, request, response, ruled_request, ruled_response, rules};

fn name() -> impl Strategy<Value = String> {
    let some = ["X-A", "x-b", "Cookie", "X_A", "X-User", "Accept", "Date", "X-Hop", "Via"];
    prop_oneof![4 => select(some.to_vec()).prop_map(str::to_owned), 1 => "X-[A-Za-z_!-]{1,8}"]
}

fn value() -> impl Strategy<Value = String> {
    let some = ["1", "{client}", "{{{host}}}", "a {path}", "{instance}/{service}", "\u{e4}, b"];
    prop_oneof![3 => select(some.to_vec()).prop_map(str::to_owned), 1 => "[!-z][ !-z]{0,9}[!-z]"]
}

/// Rules without contradictions.
fn any_rules() -> impl Strategy<Value = Vec<Written>> {
    let rule = prop_oneof![
        name().prop_map(Written::Remove),
        (name(), value()).prop_map(|(name, value)| Written::Set(name, value)),
        (name(), value()).prop_map(|(name, value)| Written::Add(name, value)),
    ];
    vec(rule, 0..8).prop_map(|rules| {
        let mut names: Vec<String> = Vec::new();
        let is_good = |rule: &Written| match rule {
            Written::Add(..) => true,
            Written::Remove(name) | Written::Set(name, _) => {
                let is_new = !names.contains(&alike(name));
                names.push(alike(name));
                is_new
            }
        };
        rules.into_iter().filter(is_good).collect()
    })
}

/// What names that CGI reads alike have in common.
fn alike(name: &str) -> String {
    name.to_ascii_lowercase().replace('_', "-")
}

/// The fields of rules' names: what rules must have seen to.
fn named<'a>(fields: &[Field], buffer: &'a [u8], name: &str) -> Vec<&'a [u8]> {
    let text = |field: &Field| alike(&String::from_utf8_lossy(field.name.of(buffer)));
    let named = fields.iter().filter(|field| text(field) == alike(name));
    named.map(|field| field.value.of(buffer)).collect()
}

fn judge(written: &[Written], fields: &[Field], buffer: &[u8]) -> Result<(), TestCaseError> {
    for rule in written {
        let (name, least) = match rule {
            Written::Remove(name) => (name, 0),
            Written::Set(name, _) | Written::Add(name, _) => (name, 1),
        };
        let found = named(fields, buffer, name).len();
        prop_assert!(found >= least, "{} {:?}", name, rule);
        if !matches!(rule, Written::Add(..)) {
            let is_added = |other: &&Written| match other {
                Written::Add(added, _) => alike(added) == alike(name),
                _ => false,
            };
            prop_assert_eq!(found, least + written.iter().filter(is_added).count(), "{}", name);
        }
    }
    Ok(())
}

/// What is not for rules: it is the same with rules and without.
fn ours(fields: &[Field], buffer: &[u8]) -> Vec<Vec<u8>> {
    let ours = fields.iter().filter(|field| field.known != Known::Other);
    ours.map(|field| buffer[field.name.start..field.line_end].to_vec()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn a_request_under_rules_is_a_request(
        asked in heads_at_random::request(),
        written in any_rules(),
    ) {
        let input = asked.wire();
        let rules = rules(Direction::Request, &written);
        let ruled = ruled_request(&input, Some(&rules), None);
        let plain = ruled_request(&input, None, None);
        let (after, before) = (request(&ruled), request(&plain));
        prop_assert_eq!(after.len(), ruled.len());
        prop_assert_eq!(after.framing(), asked.framing);
        prop_assert_eq!(after.wants_keep_alive(), before.wants_keep_alive());
        prop_assert_eq!(after.target().of(&ruled), asked.path.as_bytes());
        let host: &[u8] = match asked.authority.as_str() {
            "" => before.authority().of(&plain),
            authority => authority.as_bytes(),
        };
        prop_assert_eq!(after.authority().of(&ruled), host);
        prop_assert_eq!(ours(after.fields(), &ruled), ours(before.fields(), &plain));
        judge(&written, after.fields(), &ruled)?;
    }

    #[test]
    fn a_response_under_rules_is_a_response(
        answer in heads_at_random::response(),
        written in any_rules(),
    ) {
        let input = answer.wire();
        let rules = rules(Direction::Response, &written);
        let (ruled, plain) = (ruled_response(&input, Some(&rules)), ruled_response(&input, None));
        let (after, before) = (response(&ruled), response(&plain));
        prop_assert_eq!(after.len(), ruled.len());
        prop_assert_eq!(after.status(), before.status());
        let has_length = answer.length.is_some() && !answer.is_chunked;
        let framing = after.framing(http1::Method::Get);
        prop_assert!(has_length || !matches!(framing, http1::Framing::Length(_)));
        for method in [http1::Method::Get, http1::Method::Head] {
            prop_assert_eq!(after.framing(method), before.framing(method));
        }
        prop_assert_eq!(ours(after.fields(), &ruled), ours(before.fields(), &plain));
        judge(&written, after.fields(), &ruled)?;
    }

    #[test]
    fn a_rewritten_target_is_a_target(
        asked in heads_at_random::request(),
        strip in select(vec!["", "/a", "/a/b"]),
        pattern in prop::option::of((
            select(vec!["^/(.*)$", "a+", "(/[^/]*)$", "", ".", "%", "^/a(/.*)?$"]),
            select(vec!["/x/$1", "$1", "/", "", "b$0", "/$$", "//x$0"]),
        )),
        add in select(vec!["", "/v1", "/v1/v2"]),
        target_bytes_max in 1..80_usize,
    ) {
        let input = asked.wire();
        let pattern = pattern.and_then(|(pattern, with)| Pattern::new(pattern, with).ok());
        let rewrite = Rewrite::new(strip, pattern, add).unwrap();
        let head = request(&input);
        let target = head.path(&input);
        let Ok(rewritten) = rewrite.apply(target, target_bytes_max) else { return Ok(()) };
        let out = ruled_request(&input, None, Some(&rewritten));
        let after = request(&out);
        let got = after.target().of(&out);
        prop_assert_eq!(after.len(), out.len());
        prop_assert_eq!(after.framing(), head.framing());
        prop_assert_eq!(after.method_span().of(&out), head.method_span().of(&input));
        if target == b"*" {
            prop_assert_eq!(got, b"*");
            return Ok(());
        }
        prop_assert!(got.starts_with(add.as_bytes()) && got.starts_with(b"/"));
        prop_assert!(got.len() <= target_bytes_max);
        let query = |target: &[u8]| {
            target.iter().position(|&byte| byte == b'?').map(|at| target[at..].to_vec())
        };
        prop_assert_eq!(query(got), query(target));
    }
}

/// Rules without any effect leave every byte as it was.
#[test]
fn no_rules_are_no_change() {
    let input = b"GET / HTTP/1.1\r\nHost: a\r\nX-A:  b\r\n\r\n";
    let none = FieldRules::default();
    assert!(none.is_empty());
    assert_eq!(ruled_request(input, Some(&none), None), ruled_request(input, None, None));
}
