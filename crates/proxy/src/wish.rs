//! Where a request would like to go: what it is told apart by, for the algorithms that hash.
//! It picks nothing, and looks at a request only if somebody hashes.

use http1::{Field, RequestHead};
use model::{HashOn, Pool};

use crate::client::Client;

/// What a pick is told of a request.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Wish {
    /// See [`model::Ask::hash`].
    pub(crate) hash: u64,
}

impl Wish {
    /// The wish of the request whose head `client` has.
    pub(crate) fn of_request<C>(client: &Client<C>, pool: &Pool) -> Self {
        match pool.service.balance.hashes() {
            true => Self { hash: hash(client, &pool.service.hash_on) },
            false => Self::default(),
        }
    }

    /// The wish of a connection of bytes.
    pub(crate) fn of_connection<C>(client: &Client<C>, pool: &Pool) -> Self {
        match pool.service.balance.hashes() {
            true => Self { hash: hash_of_address(client) },
            false => Self::default(),
        }
    }
}

fn hash<C>(client: &Client<C>, on: &HashOn) -> u64 {
    let (head, buffer) = (&client.head, client.input.unread());
    let key = match on {
        HashOn::Client => None,
        HashOn::Path => Some(split(head.path(buffer), b'?').0),
        HashOn::Query(name) => query(split(head.path(buffer), b'?').1, name.as_bytes()),
        HashOn::Header(name) => {
            fields(head, buffer, name.as_bytes()).next().map(|field| field.value.of(buffer))
        }
        HashOn::Cookie(name) => cookie(head, buffer, name.as_bytes()),
    };
    key.map_or_else(|| hash_of_address(client), balance::hash)
}

fn hash_of_address<C>(client: &Client<C>) -> u64 {
    match client.address.ip().to_canonical() {
        std::net::IpAddr::V4(ip) => balance::hash(&ip.octets()),
        std::net::IpAddr::V6(ip) => balance::hash(&ip.octets()),
    }
}

fn fields<'a>(
    head: &'a RequestHead,
    buffer: &'a [u8],
    name: &'a [u8],
) -> impl Iterator<Item = &'a Field> {
    head.fields().iter().filter(move |f| f.name.of(buffer).eq_ignore_ascii_case(name))
}

/// The first value of a cookie, over all `Cookie` fields (RFC 6265, 4.2).
pub(crate) fn cookie<'a>(head: &'a RequestHead, buffer: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let all =
        fields(head, buffer, b"cookie").flat_map(|f| f.value.of(buffer).split(|&b| b == b';'));
    all.map(|pair| split(pair.trim_ascii(), b'=')).find(|(key, _)| *key == name).map(|(_, v)| v)
}

/// The first value of a name, as it is sent.
fn query<'a>(query: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let pairs = query.split(|&byte| byte == b'&').map(|pair| split(pair, b'='));
    pairs.into_iter().find(|(key, _)| *key == name).map(|(_, value)| value)
}

/// What is before the first `at`, and what is after it.
fn split(text: &[u8], at: u8) -> (&[u8], &[u8]) {
    match text.iter().position(|&byte| byte == at) {
        Some(place) => (&text[..place], &text[place + 1..]),
        None => (text, &[]),
    }
}

#[cfg(test)]
mod tests {
    use http1::{Limits, Progress};

    use super::*;

    #[test]
    fn what_requests_are_told_apart_by() {
        let text: &[u8] = b"GET /a/b?x=1&user=7&user=8&y HTTP/1.1\r\nHost: h\r\nX-User: u\r\n\
            Cookie: a=1; user=c;b=2\r\ncookie: user=d; =e\r\n\r\n";
        let limits = Limits { head_bytes_max: 1000, headers_max: 10, target_bytes_max: 100 };
        let mut head = RequestHead::default();
        assert_eq!(head.advance(text, &limits), Ok(Progress::Complete));
        let (path, asked) = split(head.path(text), b'?');
        assert_eq!(path, b"/a/b");
        assert_eq!(query(asked, b"user"), Some(&b"7"[..]));
        assert_eq!(query(asked, b"y"), Some(&b""[..]));
        assert_eq!(query(asked, b"use"), None);
        assert_eq!(cookie(&head, text, b"user"), Some(&b"c"[..]));
        assert_eq!(cookie(&head, text, b"b"), Some(&b"2"[..]));
        assert_eq!(cookie(&head, text, b"User"), None);
        assert_eq!(fields(&head, text, b"x-user").count(), 1);
    }
}
