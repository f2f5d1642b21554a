//! What must hold of any bytes that a client sends as a head: the second reader sees the same, and
//! what is written of a good head says the same and is legal. What a head means is the reader's.

use std::net::{Ipv4Addr, SocketAddr};

use http1::{
    Claims, Forwarded, Limits, Progress, RequestEdit, RequestHead, Upgrade, Via, write_request,
};

use crate::head::{Bounds, Field, lower, number, shown};
use crate::request::{Request, read};
use crate::requests::outcome;
use crate::splits::splits;
use crate::written::{Line, judge_lines, lines};

/// The usual bounds, and some that a short head meets.
const BOUNDS: [Bounds; 3] = [
    Bounds { head: 8192, headers: 100, target: 4096 },
    Bounds { head: 64, headers: 3, target: 16 },
    Bounds { head: 24, headers: 1, target: 5 },
];
/// Enough for whatever is written of a head within the usual bounds.
const UNBOUNDED: Bounds = Bounds { head: usize::MAX, headers: usize::MAX, target: usize::MAX };
const PEER: &[u8] = b"192.0.2.1";
const INSTANCE: &[u8] = b"192.0.2.9:81";
const NEW_ID: &[u8] = b"a-new-id";

/// Panics if something does not hold.
pub(crate) fn check(input: &[u8]) {
    for bounds in &BOUNDS {
        agree(input, bounds);
    }
    let Ok(request) = read(input, &BOUNDS[0]) else { return };
    let limits = limits(&BOUNDS[0]);
    let mut head = RequestHead::default();
    assert_eq!(head.advance(input, &limits), Ok(Progress::Complete), "{}", shown(input));
    let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
    let claims = Claims::read(input, &head, peer, |ip| ip.is_loopback());
    let plain = RequestEdit { request_id: Some(NEW_ID), ..RequestEdit::plain(PEER, INSTANCE) };
    let has_id = request.request_id().is_some();
    let full = RequestEdit {
        upgrade: Upgrade::Pass,
        via: Via::Add,
        forwarded: Forwarded::Add,
        request_id: if has_id { None } else { Some(NEW_ID) },
        ..plain
    };
    for edit in [plain, full, RequestEdit { claims: Some(&claims), ..full }] {
        let mut out = Vec::new();
        write_request(&mut out, input, &head, &edit);
        judge_written(&request, &out, &edit);
    }
}

/// Both readers say the same, however the bytes arrive.
fn agree(input: &[u8], bounds: &Bounds) {
    let want = match read(input, bounds) {
        Ok(request) => request.describe(input),
        Err(refusal) => refusal.to_owned(),
    };
    for ends in splits(input) {
        let got = outcome(input, ends.iter().copied(), &limits(bounds));
        assert_eq!(got, want, "{} in {} pieces", shown(input), ends.len());
    }
}

fn limits(bounds: &Bounds) -> Limits {
    Limits {
        head_bytes_max: bounds.head,
        headers_max: bounds.headers,
        target_bytes_max: bounds.target,
    }
}

/// What was written is a head of HTTP/1.1 that asks for the same.
fn judge_written(request: &Request, out: &[u8], edit: &RequestEdit<'_>) {
    let about = shown(out);
    let written = read(out, &UNBOUNDED).unwrap_or_else(|refusal| panic!("{refusal}: {about}"));
    judge_lines(out);
    assert_eq!(written.bytes, out.len(), "{about}");
    assert!(!written.is_http10, "{about}");
    assert_eq!(written.method, request.method, "{about}");
    assert_eq!((&written.target, &written.path), (&request.path, &request.path), "{about}");
    let names_host = !request.authority.is_empty() || request.section.values("host").len() == 1;
    let authority = if names_host { &request.authority[..] } else { edit.host };
    // Host may have other letters than the target.
    assert_eq!(lower(&written.authority), lower(authority), "{about}");
    assert_eq!(written.section.is_chunked(), request.section.is_chunked(), "{about}");
    assert_eq!(written.section.length(), request.section.length(), "{about}");
    let switches = edit.upgrade == Upgrade::Pass && request.wants_upgrade();
    assert_eq!(written.wants_upgrade(), switches, "{about}");
    let options: &[&str] = if switches { &["upgrade"] } else { &[] };
    assert_eq!(written.section.list("connection"), options, "{about}");
    assert_eq!(written.section.values("te").len(), 0, "{about}");
    let id = edit.request_id.or(request.request_id());
    let ids = written.section.values("x-request-id");
    assert_eq!(ids, Vec::from_iter(id), "{about}");
    if edit.claims.is_none() {
        judge_origin(request, &written, edit);
    }
    let fields = lines(&written.section.fields, |field| !is_ours(field));
    assert_eq!(fields, wanted(request, switches, edit), "{about}");
}

/// What an instance is told about a client that nobody speaks for.
fn judge_origin(request: &Request, written: &Request, edit: &RequestEdit<'_>) {
    let values = |name| written.section.values(name);
    assert_eq!(values("x-forwarded-for"), [PEER]);
    assert_eq!(values("x-forwarded-proto"), [edit.scheme]);
    let host = Some(&request.authority[..]).filter(|host| !host.is_empty());
    assert_eq!(values("x-forwarded-host"), Vec::from_iter(host));
    assert_eq!(values("forwarded").len(), usize::from(edit.forwarded == Forwarded::Add));
    let others = ["x-forwarded-port", "x-forwarded-prefix", "x-real-ip"];
    assert!(others.into_iter().all(|name| values(name).is_empty()));
}

/// The fields of the request that an instance is to get, in their order.
fn wanted(request: &Request, switches: bool, edit: &RequestEdit<'_>) -> Vec<Line> {
    let has_body = request.section.is_chunked() || request.section.length().unwrap_or(0) > 0;
    let may_expect = has_body && !request.is_http10;
    let mut lines = lines(&request.section.fields, |field| match lower(&field.name).as_str() {
        "upgrade" => switches,
        _ if field.is_hop || is_ours(field) => false,
        "expect" => may_expect,
        _ => true,
    });
    for (name, value) in &mut lines {
        if name == "content-length" {
            let plain = number(value.as_bytes()).expect("the second reader has read it");
            *value = plain.to_string();
        }
    }
    if edit.via == Via::Add {
        let version = if request.is_http10 { "1.0" } else { "1.1" };
        lines.push(("via".to_owned(), format!("{version} herder")));
    }
    lines
}

/// Fields that Herder writes itself, whatever the client sent; they are judged one by one.
fn is_ours(field: &Field) -> bool {
    let name = lower(&field.name);
    let ours = ["connection", "forwarded", "host", "transfer-encoding", "x-real-ip"];
    ours.contains(&name.as_str()) || name == "x-request-id" || name.starts_with("x-forwarded-")
}
