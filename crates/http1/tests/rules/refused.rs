//! Rules, patterns and places that there can be none of.

use http1::{
    Direction, FieldRule, FieldRules, Location, LocationError, Pattern, RULES_MAX, Rewrite,
    RewriteError, RuleError, TemplateError,
};

fn check(direction: Direction, rule: FieldRule<'_>, expected: &RuleError) {
    let refused = FieldRules::new(direction, &[rule]).err();
    assert_eq!(refused, Some(vec![(0, expected.clone())]), "{direction:?} {rule:?}");
}

#[test]
fn what_decides_about_framing_or_connection_is_not_for_rules() {
    for name in [
        "Connection",
        "content-length",
        "Transfer-Encoding",
        "TE",
        "Trailer",
        "upgrade",
        "Keep-Alive",
        "Proxy-Connection",
        "Expect",
    ] {
        for direction in [Direction::Request, Direction::Response] {
            check(direction, FieldRule::Remove(name), &RuleError::Connection);
            check(direction, FieldRule::Set(name, "1"), &RuleError::Connection);
            check(direction, FieldRule::Add(name, "1"), &RuleError::Connection);
        }
    }
}

#[test]
fn what_herder_says_itself_is_not_for_rules() {
    for name in
        ["X-Forwarded-For", "X-Forwarded-Anything", "Forwarded", "X-Real-IP", "X-Request-ID"]
    {
        check(Direction::Request, FieldRule::Set(name, "1"), &RuleError::Ours);
        check(Direction::Request, FieldRule::Remove(name), &RuleError::Ours);
        let rules = [FieldRule::Set(name, "{request_id}")];
        assert!(FieldRules::new(Direction::Response, &rules).is_ok(), "{name}");
    }
    for name in ["X_Forwarded_For", "content_length", "x_request-id", "Transfer_Encoding"] {
        check(Direction::Request, FieldRule::Set(name, "1"), &RuleError::Disguised);
    }
}

#[test]
fn host_is_only_set_and_only_to_a_host() {
    for rule in [FieldRule::Remove("Host"), FieldRule::Add("host", "a")] {
        check(Direction::Request, rule, &RuleError::HostNotSet);
    }
    check(Direction::Response, FieldRule::Set("Host", "a"), &RuleError::HostNotSet);
    for value in ["", "{client}", "a b", "a/b", "a@b", ":80", "a:b", "http://a", "a\r\nX: y"] {
        check(Direction::Request, FieldRule::Set("Host", value), &RuleError::HostValue);
    }
}

#[test]
fn names_and_values_are_those_of_a_field() {
    for name in ["", "X A", "X:", "X\r\n", "Ä", &"x".repeat(129)] {
        check(Direction::Request, FieldRule::Remove(name), &RuleError::Name);
    }
    let of = |value, error: RuleError| {
        check(Direction::Response, FieldRule::Set("X-A", value), &error);
    };
    of("", RuleError::Empty);
    of(" a", RuleError::Space);
    of("a\t", RuleError::Space);
    for value in ["a\r\nX-B: c", "a\nb", "a\rb", "a\0b", "a\u{1b}b", "a\u{7f}b"] {
        of(value, RuleError::Byte);
    }
    let of = |value: &str, error: TemplateError| {
        check(Direction::Response, FieldRule::Add("X-A", value), &RuleError::Template(error));
    };
    of("{clinet}", TemplateError::Unknown("clinet".into()));
    of("{}", TemplateError::Unknown(String::new()));
    of("{", TemplateError::Brace);
    of("{client", TemplateError::Brace);
    of("a}", TemplateError::Brace);
    of("{{}", TemplateError::Brace);
    of(&"{client}".repeat(17), TemplateError::TooMany);
    of(&"x".repeat(4097), TemplateError::TooLong(4097));
}

#[test]
fn rules_do_not_contradict_each_other_and_are_not_too_many() {
    let clash = |rules: &[FieldRule<'_>]| {
        let refused = FieldRules::new(Direction::Request, rules).unwrap_err();
        assert_eq!(refused, [(1, RuleError::Clash(0))], "{rules:?}");
    };
    clash(&[FieldRule::Remove("X-A"), FieldRule::Set("x-a", "1")]);
    clash(&[FieldRule::Set("X-A", "1"), FieldRule::Set("X_A", "2")]);
    clash(&[FieldRule::Remove("X-A"), FieldRule::Remove("X-a")]);
    clash(&[FieldRule::Set("Host", "a"), FieldRule::Set("HOST", "b")]);
    let names: Vec<String> = (0..=RULES_MAX).map(|number| format!("X-{number}")).collect();
    let rules: Vec<_> = names.iter().map(|name| FieldRule::Add(name, "1")).collect();
    let refused = FieldRules::new(Direction::Request, &rules).unwrap_err();
    assert_eq!(refused, [(RULES_MAX, RuleError::TooMany)]);
    assert!(FieldRules::new(Direction::Request, &rules[1..]).is_ok());
}

#[test]
fn patterns_that_are_none() {
    let of = |pattern: &str, with: &str| Pattern::new(pattern, with).unwrap_err();
    assert_eq!(of("^/(", "/"), RewriteError::Pattern("unclosed group".into()));
    assert!(matches!(of("(a{1000}){1000}", "/"), RewriteError::Pattern(_)));
    assert_eq!(of("^/a", "/b?c"), RewriteError::With('?'));
    assert_eq!(of("^/a", "/b#c"), RewriteError::With('#'));
    assert_eq!(of("^/a", "/b c"), RewriteError::With(' '));
    assert_eq!(of("^/a", "/b\r"), RewriteError::With('\r'));
    assert_eq!(of("^/a", "/ä"), RewriteError::With('ä'));
    for with in ["$", "/$x", "${", "${}", "$ 1", "$-"] {
        let refused = of("^/a", with);
        assert!(matches!(refused, RewriteError::Dollar | RewriteError::With(' ')), "{with}");
    }
    assert_eq!(of("^/(a)", "/$2"), RewriteError::Group("2".into()));
    assert_eq!(of("^/(a)", "/$12"), RewriteError::Group("12".into()));
    assert_eq!(of("^/(a)", "/${name}"), RewriteError::Group("name".into()));
    assert_eq!(of(&"a".repeat(1025), "/"), RewriteError::TooLong);
    let long = format!("/{}", "a".repeat(1024));
    assert_eq!(Rewrite::new(&long, None, "").unwrap_err(), RewriteError::PrefixTooLong);
}

#[test]
fn places_that_are_none() {
    let of = |text: &str| Location::parse(text).unwrap_err();
    for text in ["", "b.example", "ftp://b.example", "HTTPS://b", "x{path}", "{host}/a", "?a"] {
        assert_eq!(of(text), LocationError::Beginning, "{text}");
    }
    for text in ["//b.example", "/\\b.example"] {
        assert_eq!(of(text), LocationError::TwoSlashes, "{text}");
    }
    for text in [
        "https://",
        "https:///x",
        "https://a@b",
        "https://a?b",
        "https://a#b",
        "https://a\\b",
        "https://{path}",
        "https://:80",
        "https://a:b",
        "https://[::1",
        "https://{host}:x/",
    ] {
        assert_eq!(of(text), LocationError::Host, "{text}");
    }
    for (text, bad) in [("https://a/b c", ' '), ("/a\r\nX: y", '\r'), ("/ä", 'ä'), ("/\0", '\0')]
    {
        assert_eq!(of(text), LocationError::Character(bad), "{text}");
    }
    let unknown = |name: &str| LocationError::Template(TemplateError::Unknown(name.into()));
    assert_eq!(of("https://a/{uri}"), unknown("uri"));
    assert_eq!(of("https://a/{client}"), unknown("client"));
    assert_eq!(of("/{"), LocationError::Template(TemplateError::Brace));
}
