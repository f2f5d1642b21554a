//! Who a request comes from, and what an instance is told about it, by a table of chains.
//! What else becomes of a head is asked in `rewrite`.
#![allow(clippy::unwrap_used)]

use std::net::{IpAddr, SocketAddr};

use http1::{Claims, Forwarded, Progress, RequestEdit, RequestHead, Via, write_request};
use proptest::prelude::*;

#[path = "tables/rows.rs"]
mod rows;

const LIMITS: http1::Limits =
    http1::Limits { head_bytes_max: 8192, headers_max: 100, target_bytes_max: 4096 };

fn is_trusted(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.octets()[0] == 10,
        IpAddr::V6(ip) => ip.segments()[..3] == [0x2001, 0xdb8, 0xf],
    }
}

/// The client, and the head that an instance gets.
fn told(peer: SocketAddr, lines: &[u8], edit: RequestEdit<'_>) -> (SocketAddr, Vec<u8>) {
    let input = [b"GET / HTTP/1.1\r\nHost: shop.example\r\n", lines, b"\r\n"].concat();
    let mut head = RequestHead::default();
    assert_eq!(head.advance(&input, &LIMITS), Ok(Progress::Complete), "{}", show(lines));
    let is_believed = is_trusted(peer.ip().to_canonical());
    let claims = is_believed.then(|| Claims::read(&input, &head, peer, is_trusted));
    let mut out = Vec::new();
    let edit = RequestEdit { claims: claims.as_ref(), ..edit };
    write_request(&mut out, &input, &head, &edit);
    (claims.map_or(peer, |claims| claims.client()), out)
}

fn about_the_client(head: &[u8]) -> Vec<u8> {
    let is_about = |line: &&[u8]| {
        let line = line.to_ascii_lowercase();
        let names: [&[u8]; 4] = [b"x-forwarded-", b"x-real", b"x_", b"forwarded"];
        names.into_iter().any(|name| line.starts_with(name))
    };
    let lines = head.split_inclusive(|&byte| byte == b'\n');
    lines.filter(is_about).flatten().copied().collect()
}

#[test]
fn chains_of_the_table() {
    for row in rows::rows(include_str!("tables/rewrite/claims.txt")) {
        let peer: SocketAddr = row.text('p').unwrap().parse().unwrap();
        let text = peer.ip().to_canonical().to_string();
        let edit = RequestEdit {
            forwarded: Forwarded::Add,
            ..RequestEdit::plain(text.as_bytes(), b"192.0.2.9:81")
        };
        let (client, got) = told(peer, &row.bytes('>'), edit);
        assert_eq!(client.to_string(), row.text('c').unwrap(), "{}", row.title);
        assert_eq!(show(&about_the_client(&got)), show(&row.bytes('=')), "{}", row.title);
    }
}

#[test]
fn without_the_switch_nobody_gets_a_forwarded() {
    let lines = b"Forwarded: for=198.51.100.7\r\n";
    let edit = RequestEdit::plain(b"10.0.0.1", b"");
    let (client, got) = told("10.0.0.1:5".parse().unwrap(), lines, edit);
    assert_eq!(client, "198.51.100.7:0".parse().unwrap());
    let expected = "X-Forwarded-For: 198.51.100.7, 10.0.0.1\\r\\nX-Forwarded-Proto: http\\r\\n\
        X-Forwarded-Host: shop.example\\r\\n";
    assert_eq!(show(&about_the_client(&got)), expected);
}

#[test]
fn via_is_appended_with_the_version_received() {
    let edit = RequestEdit { via: Via::Add, ..RequestEdit::plain(b"192.0.2.1", b"") };
    let (_, got) = told("192.0.2.1:5".parse().unwrap(), b"Via: 1.0 fred\r\nX: y\r\n", edit);
    let got = show(&got);
    assert!(got.contains("Via: 1.0 fred\\r\\nX: y\\r\\n"), "{got}");
    assert!(got.ends_with("\\r\\nVia: 1.1 herder\\r\\n\\r\\n"), "{got}");
}

/// The client by the definition: from the right, while they are addresses and trusted.
fn slow_client(peer: SocketAddr, chain: &[&str]) -> IpAddr {
    let mut client = peer.ip();
    for text in chain.iter().rev() {
        let Ok(ip) = text.parse::<IpAddr>() else { break };
        client = ip;
        if !is_trusted(ip) {
            break;
        }
    }
    client
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn both_families_find_the_client_of_the_definition(chain in prop::collection::vec(
        prop::sample::select(vec!["10.0.0.2", "10.0.0.3", "192.0.2.7", "192.0.2.8", "unknown"]),
        1..7,
    )) {
        let peer: SocketAddr = "10.0.0.1:5".parse().unwrap();
        let edit = RequestEdit::plain(b"10.0.0.1", b"");
        let listed = format!("X-Forwarded-For: {}\r\n", chain.join(","));
        let (client, got) = told(peer, listed.as_bytes(), edit);
        prop_assert_eq!(client.ip(), slow_client(peer, &chain));
        let kept = format!("X-Forwarded-For: {}, 10.0.0.1\r\n", chain.join(", "));
        prop_assert!(about_the_client(&got).starts_with(kept.as_bytes()));

        let elements: Vec<String> = chain.iter().map(|ip| format!("for={ip}")).collect();
        let told_of = format!("Forwarded: {}\r\n", elements.join(","));
        let (client, got) = told(peer, told_of.as_bytes(), edit);
        prop_assert_eq!(client.ip(), slow_client(peer, &chain));
        let first = match client == peer {
            true => "X-Forwarded-For: 10.0.0.1\r\n".to_owned(),
            false => format!("X-Forwarded-For: {}", client.ip()),
        };
        prop_assert!(about_the_client(&got).starts_with(first.as_bytes()), "{}", show(&got));
    }

    #[test]
    fn no_words_of_a_peer_break_the_head(
        listed in "[ -~]{0,40}",
        told_of in "(for=|host=|proto=|\"|,|;|\\[|\\]|:|[ -~]){0,30}",
    ) {
        let lines = format!("X-Forwarded-For: {listed}\r\nForwarded: {told_of}\r\n");
        let plain = RequestEdit::plain(b"10.0.0.1", b"");
        let edit = RequestEdit { forwarded: Forwarded::Add, ..plain };
        let (_, got) = told("10.0.0.1:5".parse().unwrap(), lines.as_bytes(), edit);
        let mut head = RequestHead::default();
        prop_assert_eq!(head.advance(&got, &LIMITS), Ok(Progress::Complete));
        prop_assert_eq!(head.len(), got.len());
        let ours = b", for=10.0.0.1;host=shop.example;proto=http\r\n\r\n";
        let alone = b"Forwarded: for=10.0.0.1;host=shop.example;proto=http\r\n\r\n";
        prop_assert!(got.ends_with(ours) || got.ends_with(alone), "{}", show(&got));
    }
}

fn show(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}
