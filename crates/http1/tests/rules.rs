//! Rules: what they do to heads, paths and places to lead to, and which there can be none of.
//! That heads without rules stay as they are is asked in `rewrite`.
#![allow(clippy::unwrap_used)]

#[path = "rules/heads.rs"]
mod heads;
#[path = "generated/heads.rs"]
mod heads_at_random;
#[path = "rules/locations.rs"]
mod locations;
#[path = "rules/paths.rs"]
mod paths;
#[path = "rules/properties.rs"]
mod properties;
#[path = "rules/refused.rs"]
mod refused;
#[path = "tables/rows.rs"]
mod rows;

use http1::{
    Direction, Facts, FieldRule, FieldRules, Limits, Progress, RequestEdit, RequestHead,
    ResponseEdit, ResponseHead, Rewritten, Ruled, Ruling, write_request, write_response,
};

const LIMITS: Limits =
    Limits { head_bytes_max: 1 << 20, headers_max: 1000, target_bytes_max: 1 << 16 };

const FACTS: Facts<'static> = Facts {
    client: b"192.0.2.1",
    host: b"a.example",
    path: b"/p?q",
    request_id: b"7f",
    instance: b"shop.3",
    service: b"shop",
    scheme: b"http",
};

/// Rules as they are written, owned.
#[derive(Clone, Debug)]
enum Written {
    Remove(String),
    Set(String, String),
    Add(String, String),
}

fn rules(direction: Direction, written: &[Written]) -> FieldRules {
    let rules: Vec<FieldRule<'_>> = written
        .iter()
        .map(|rule| match rule {
            Written::Remove(name) => FieldRule::Remove(name),
            Written::Set(name, value) => FieldRule::Set(name, value),
            Written::Add(name, value) => FieldRule::Add(name, value),
        })
        .collect();
    FieldRules::new(direction, &rules).unwrap()
}

fn request(input: &[u8]) -> RequestHead {
    let mut head = RequestHead::default();
    let progress = head.advance(input, &LIMITS);
    assert_eq!(progress, Ok(Progress::Complete), "{}", input.escape_ascii());
    head
}

fn response(input: &[u8]) -> ResponseHead {
    let mut head = ResponseHead::default();
    let progress = head.advance(input, &LIMITS);
    assert_eq!(progress, Ok(Progress::Complete), "{}", input.escape_ascii());
    head
}

fn ruled_request(
    input: &[u8],
    rules: Option<&FieldRules>,
    rewritten: Option<&Rewritten<'_>>,
) -> Vec<u8> {
    let edit = RequestEdit {
        request_id: Some(b"7f"),
        ruling: rules.map(|rules| Ruling { rules, facts: FACTS }),
        rewritten,
        ..RequestEdit::plain(b"192.0.2.1", b"192.0.2.9:81")
    };
    let mut out = Vec::new();
    write_request(&mut out, input, &request(input), &edit);
    out
}

fn ruled_response(input: &[u8], rules: Option<&FieldRules>) -> Vec<u8> {
    let mut lines = Vec::new();
    if let Some(rules) = rules {
        Ruling { rules, facts: FACTS }.write(&mut lines);
    }
    let ruled = rules.map(|rules| Ruled { rules, lines: &lines });
    let edit = ResponseEdit { ruled, ..ResponseEdit::plain() };
    let mut out = Vec::new();
    write_response(&mut out, input, &response(input), &edit);
    out
}
