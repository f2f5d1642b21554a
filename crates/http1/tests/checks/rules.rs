//! What must hold of any rules and any head: rules that are taken do what a slow reader of them
//! does, and nothing else; a rewritten path is a target; a redirect leads to the host it names.
//!
//! The input is lines of rules, an empty line (`\n\n`), and a head. What a rule means is said in
//! `Script::read`; a head is a request unless it begins with `HTTP/`.

use http1::{
    Direction, Facts, FieldRule, FieldRules, Limits, Location, Pattern, Progress, RequestEdit,
    RequestHead, ResponseEdit, ResponseHead, Rewrite, Ruled, Ruling, write_request, write_response,
};

use crate::head::{Bounds, Field, is_text, is_token, lower, shown};
use crate::written::{Line, judge_lines, lines};
use crate::{request, response};

const BOUNDS: Bounds = Bounds { head: 8192, headers: 100, target: 4096 };
const UNBOUNDED: Bounds = Bounds { head: usize::MAX, headers: usize::MAX, target: usize::MAX };
const LIMITS: Limits = Limits { head_bytes_max: 8192, headers_max: 100, target_bytes_max: 4096 };
/// A rewritten target may be so long.
const TARGET_BYTES_MAX: usize = 4096;
/// The bounds that the crate documents beside its constants.
const RULES_MAX: usize = 64;
const NAME_BYTES_MAX: usize = 128;
const TEXT_BYTES_MAX: usize = 4096;
const PLACEHOLDERS_MAX: usize = 16;

/// What the rules of an input say.
#[derive(Default)]
struct Script<'a> {
    rules: Vec<FieldRule<'a>>,
    strip: &'a str,
    add: &'a str,
    pattern: Option<(&'a str, &'a str)>,
    location: Option<&'a str>,
}

impl<'a> Script<'a> {
    /// Each line is a sign, a space, and what the sign is about.
    fn read(text: &'a str) -> Self {
        let mut script = Self::default();
        let is_prefix = |text: &str| text.starts_with('/') && !text.ends_with('/');
        let is_path_byte = |b: u8| b.is_ascii_graphic() && !b"?#".contains(&b);
        let is_path = |text: &str| text.bytes().all(is_path_byte);
        for line in text.lines() {
            let Some((sign, rest)) = line.split_once(' ') else { continue };
            let pair = rest.split_once(": ").unwrap_or((rest, ""));
            match sign {
                "-" => script.rules.push(FieldRule::Remove(rest)),
                "~" => script.rules.push(FieldRule::Set(pair.0, pair.1)),
                "+" => script.rules.push(FieldRule::Add(pair.0, pair.1)),
                "<" if is_prefix(rest) && is_path(rest) => script.strip = rest,
                ">" if is_prefix(rest) && is_path(rest) => script.add = rest,
                "/" => script.pattern = rest.split_once(' '),
                "@" => script.location = Some(rest),
                _ => {}
            }
        }
        script
    }
}

/// Panics if something does not hold.
pub(crate) fn check(input: &[u8]) {
    let end = input.windows(2).position(|two| two == b"\n\n").unwrap_or(input.len());
    let Ok(text) = std::str::from_utf8(&input[..end]) else { return };
    let head = input.get(end + 2..).unwrap_or_default();
    let script = Script::read(text);
    for direction in [Direction::Request, Direction::Response] {
        let may_be = (0..script.rules.len()).all(|at| may_be(direction, &script.rules, at));
        let made = FieldRules::new(direction, &script.rules);
        assert_eq!(made.is_ok(), may_be, "{:?}: {:?}", script.rules, made.err());
    }
    if head.starts_with(b"HTTP/") {
        check_response(&script, head);
    } else {
        check_request(&script, head);
    }
}

fn check_request(script: &Script<'_>, input: &[u8]) {
    let Ok(asked) = request::read(input, &BOUNDS) else { return };
    let mut head = RequestHead::default();
    assert_eq!(head.advance(input, &LIMITS), Ok(Progress::Complete), "{}", shown(input));
    let facts = facts(head.host(input), head.path(input));
    let rewrite = rewrite(script);
    let rewritten = rewrite.apply(head.path(input), TARGET_BYTES_MAX).ok();
    let rules = FieldRules::new(Direction::Request, &script.rules).unwrap_or_default();
    let edit = RequestEdit {
        request_id: Some(facts.request_id),
        ..RequestEdit::plain(facts.client, b"192.0.2.9:81")
    };
    let ruled = RequestEdit {
        ruling: Some(Ruling { rules: &rules, facts }),
        rewritten: rewritten.as_ref(),
        ..edit
    };
    let written = |edit: &RequestEdit<'_>| {
        let mut out = Vec::new();
        write_request(&mut out, input, &head, edit);
        let read = request::read(&out, &UNBOUNDED);
        judge_lines(&out);
        let read = read.unwrap_or_else(|refusal| panic!("{refusal}: {}", shown(&out)));
        assert_eq!(read.bytes, out.len(), "{}", shown(&out));
        read
    };
    let (before, after) = (written(&edit), written(&ruled));
    let about = format!("{:?} {}", script.rules, shown(input));
    let is_ruled = may_all_be(Direction::Request, script);
    let mut host = before.authority.clone();
    if let Some(FieldRule::Set(_, value)) = script.rules.iter().find(|rule| is_host(rule)) {
        host = if is_ruled { value.as_bytes().to_vec() } else { host };
    }
    assert_eq!(after.authority, host, "{about}");
    assert_eq!((&after.method, after.is_http10), (&asked.method, false), "{about}");
    assert_eq!(after.section.is_chunked(), asked.section.is_chunked(), "{about}");
    assert_eq!(after.section.length(), asked.section.length(), "{about}");
    assert_eq!(after.section.list("connection"), [""; 0], "{about}");
    judge_target(script, &before.target, &after.target);
    let not_host = |field: &Field| lower(&field.name) != "host";
    let of_client: Vec<Field> = asked.section.fields.clone();
    let wanted = apply(script, is_ruled, &before.section.fields, &of_client, &facts);
    let wanted: Vec<Line> = wanted.into_iter().filter(|line| line.0 != "host").collect();
    assert_eq!(lines(&after.section.fields, not_host), wanted, "{about}");
    if let Some(text) = script.location {
        judge_location(text, &facts);
    }
}

fn check_response(script: &Script<'_>, input: &[u8]) {
    let Ok(answer) = response::read(input, &BOUNDS) else { return };
    if answer.status < 200 {
        return;
    }
    let mut head = ResponseHead::default();
    assert_eq!(head.advance(input, &LIMITS), Ok(Progress::Complete), "{}", shown(input));
    let facts = facts(b"a.example", b"/p?q");
    let rules = FieldRules::new(Direction::Response, &script.rules).unwrap_or_default();
    let mut put_on = Vec::new();
    Ruling { rules: &rules, facts }.write(&mut put_on);
    let plain = ResponseEdit::plain();
    let ruled = ResponseEdit { ruled: Some(Ruled { rules: &rules, lines: &put_on }), ..plain };
    let written = |edit: &ResponseEdit<'_>| {
        let mut out = Vec::new();
        write_response(&mut out, input, &head, edit);
        let read = response::read(&out, &UNBOUNDED);
        judge_lines(&out);
        let read = read.unwrap_or_else(|refusal| panic!("{refusal}: {}", shown(&out)));
        assert_eq!(read.bytes, out.len(), "{}", shown(&out));
        read
    };
    let (before, after) = (written(&plain), written(&ruled));
    let about = format!("{:?} {}", script.rules, shown(input));
    assert_eq!(after.words, before.words, "{about}");
    for is_head in [false, true] {
        assert_eq!(after.body(is_head), before.body(is_head), "{about}");
    }
    let is_ruled = may_all_be(Direction::Response, script);
    let of_instance = answer.section.fields.clone();
    let wanted = apply(script, is_ruled, &before.section.fields, &of_instance, &facts);
    assert_eq!(lines(&after.section.fields, |_| true), wanted, "{about}");
}

fn facts<'a>(host: &'a [u8], path: &'a [u8]) -> Facts<'a> {
    Facts {
        client: b"192.0.2.1",
        host,
        path,
        request_id: b"7f",
        instance: b"shop.3",
        service: b"shop",
        scheme: b"http",
    }
}

fn rewrite(script: &Script<'_>) -> Rewrite {
    let pattern = script.pattern.and_then(|(pattern, with)| Pattern::new(pattern, with).ok());
    Rewrite::new(script.strip, pattern, script.add).unwrap_or_default()
}

/// Whether all rules can be used.
fn may_all_be(direction: Direction, script: &Script<'_>) -> bool {
    (0..script.rules.len()).all(|at| may_be(direction, &script.rules, at))
}

/// Whether a rule can be used: what decides about framing, connection or routing is not for rules,
/// nor what Herder says itself, nor what others could take for one of these.
fn may_be(direction: Direction, rules: &[FieldRule<'_>], at: usize) -> bool {
    const CONNECTION: [&str; 9] = [
        "connection",
        "content-length",
        "expect",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ];
    const OURS: [&str; 3] = ["forwarded", "x-real-ip", "x-request-id"];
    let name = rules[at].name().to_ascii_lowercase();
    let like = name.replace('_', "-");
    let is_known = |name: &str| {
        CONNECTION.contains(&name) && name != "trailer"
            || OURS.contains(&name)
            || name == "host"
            || name.starts_with("x-forwarded-")
    };
    let is_ours = OURS.contains(&name.as_str()) || name.starts_with("x-forwarded-");
    let is_name = is_token(name.as_bytes())
        && name.len() <= NAME_BYTES_MAX
        && !CONNECTION.contains(&name.as_str())
        && (is_known(&name) || !is_known(&like))
        && !(is_ours && direction == Direction::Request)
        && (name != "host" || direction == Direction::Request && is_host(&rules[at]));
    let contradicts = |other: &FieldRule<'_>| {
        !matches!(other, FieldRule::Add(..)) && alike(other.name()) == alike(&name)
    };
    let is_clear = matches!(rules[at], FieldRule::Add(..)) || !rules[..at].iter().any(contradicts);
    let is_value = match rules[at] {
        FieldRule::Remove(_) => true,
        FieldRule::Set(_, value) if name == "host" => is_authority(value),
        FieldRule::Set(_, value) | FieldRule::Add(_, value) => {
            let ends = [value.chars().next(), value.chars().next_back()];
            let is_trimmed = ends.iter().all(|end| !matches!(end, None | Some(' ' | '\t')));
            let filled = fill(value, &facts(b"", b"/"));
            is_trimmed && filled.is_some_and(|text| text.bytes().all(is_text))
        }
    };
    at < RULES_MAX && is_name && is_clear && is_value
}

fn is_host(rule: &FieldRule<'_>) -> bool {
    matches!(rule, FieldRule::Set(name, _) if name.eq_ignore_ascii_case("host"))
}

/// As the second reader of requests judges `Host`.
fn is_authority(text: &str) -> bool {
    let head = format!("GET / HTTP/1.1\r\nHost: {text}\r\n\r\n");
    let read = request::read(head.as_bytes(), &UNBOUNDED);
    read.is_ok_and(|read| !read.authority.is_empty() && read.authority == text.as_bytes())
}

/// What names that CGI reads as one have in common.
fn alike(name: &str) -> String {
    name.to_ascii_lowercase().replace('_', "-")
}

/// The text with its placeholders filled in, or none if it has something else in braces.
fn fill(text: &str, facts: &Facts<'_>) -> Option<String> {
    let mut out = String::new();
    let mut filled = 0;
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let names = ["client", "host", "path", "request_id", "instance", "service", "scheme"];
        let name = names.into_iter().find(|name| rest.starts_with(&format!("{{{name}}}")));
        if rest.starts_with("{{") || rest.starts_with("}}") {
            out.push(first);
            rest = &rest[2..];
        } else if let Some(name) = name {
            let fact = match name {
                "client" => facts.client,
                "host" => facts.host,
                "path" => facts.path,
                "request_id" => facts.request_id,
                "instance" => facts.instance,
                "service" => facts.service,
                _ => facts.scheme,
            };
            out.extend(fact.iter().map(|&byte| char::from(byte)));
            filled += 1;
            rest = &rest[name.len() + 2..];
        } else if first == '{' || first == '}' {
            return None;
        } else {
            out.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    (filled <= PLACEHOLDERS_MAX && text.len() <= TEXT_BYTES_MAX).then_some(out)
}

/// The fields with the rules applied: those of the sender's are taken off, then what is set, then
/// what is added is put on. What Herder writes itself stays where it was.
fn apply(
    script: &Script<'_>,
    is_ruled: bool,
    before: &[Field],
    of_sender: &[Field],
    facts: &Facts<'_>,
) -> Vec<Line> {
    let rules: &[FieldRule<'_>] = if is_ruled { &script.rules } else { &[] };
    let is_off = |name: &str| {
        let takes_off = |rule: &&FieldRule<'_>| !matches!(rule, FieldRule::Add(..));
        rules.iter().filter(takes_off).any(|rule| alike(rule.name()) == alike(name))
    };
    let is_sent = |line: &Line| of_sender.iter().any(|field| lower(&field.name) == line.0);
    let mut fields = lines(before, |_| true);
    fields.retain(|line| !(is_sent(line) && is_off(&line.0)));
    let is_set = |rule: &&FieldRule<'_>| matches!(rule, FieldRule::Set(..)) && !is_host(rule);
    let is_added = |rule: &&FieldRule<'_>| matches!(rule, FieldRule::Add(..));
    for rule in rules.iter().filter(is_set).chain(rules.iter().filter(is_added)) {
        if let FieldRule::Set(name, value) | FieldRule::Add(name, value) = rule {
            let value = fill(value, facts).expect("such a rule is not taken");
            // As the bytes of a field are shown: each one as the letter of that number.
            let value = value.bytes().map(char::from).collect();
            fields.push((name.to_ascii_lowercase(), value));
        }
    }
    fields
}

/// A rewritten path begins with a slash and what is put on, and its query stays.
fn judge_target(script: &Script<'_>, before: &[u8], after: &[u8]) {
    let about = format!("{} to {}", shown(before), shown(after));
    let query = |target: &[u8]| {
        let at = target.iter().position(|&byte| byte == b'?');
        target[at.unwrap_or(target.len())..].to_vec()
    };
    if before == b"*" || rewrite(script).apply(before, TARGET_BYTES_MAX).is_err() {
        assert_eq!(before, after, "{about}");
        return;
    }
    assert!(after.len() <= TARGET_BYTES_MAX.max(before.len()), "{about}");
    assert!(after.starts_with(b"/") && after.starts_with(script.add.as_bytes()), "{about}");
    assert_eq!(query(before), query(after), "{about}");
    if script.pattern.is_none() {
        let path = &before[..before.len() - query(before).len()];
        let below = path.strip_prefix(script.strip.as_bytes());
        let path = match below {
            Some(b"") => b"/",
            Some(below) if below[0] == b'/' => below,
            _ => path,
        };
        let wanted = [script.add.as_bytes(), path, &query(before)].concat();
        assert_eq!(shown(after), shown(&wanted), "{about}");
    }
}

/// A redirect leads to a path, or to the host that its text names: never to one that a request
/// has in its path.
fn judge_location(text: &str, facts: &Facts<'_>) {
    let Ok(location) = Location::parse(text) else { return };
    let mut out = Vec::new();
    if location.write(&mut out, facts).is_err() {
        assert!(facts.host.is_empty(), "{text}");
        return;
    }
    let about = format!("{text}, {}: {}", shown(facts.path), shown(&out));
    assert!(out.iter().all(u8::is_ascii_graphic), "{about}");
    let scheme = ["http://", "https://"].into_iter().find(|scheme| text.starts_with(scheme));
    let Some(scheme) = scheme else {
        assert!(out.starts_with(b"/"), "{about}");
        assert!(!out.starts_with(b"//") && !out.starts_with(b"/\\"), "{about}");
        return;
    };
    // The host ends where the text has its path, or nothing.
    let rest = &text[scheme.len()..];
    let end = [rest.find('/'), rest.find("{path}")].into_iter().flatten().min();
    let authority = fill(&rest[..end.unwrap_or(rest.len())], facts).expect("it was taken");
    let wanted = format!("{scheme}{authority}/");
    assert!(out.starts_with(wanted.as_bytes()), "{about}");
    assert!(is_authority(&authority), "{about}");
}
