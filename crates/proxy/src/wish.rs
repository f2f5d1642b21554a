//! Where a request would like to go: where its client is at home, and what it is told apart by.
//! It looks at a request only if somebody hashes, or clients stay with instances.

use http1::{Field, RequestHead};
use model::{HashOn, Homes, InFlight, Pool};

use crate::client::Client;

/// What a pick is told of a request.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Wish {
    /// See [`model::Ask::hash`].
    pub(crate) hash: u64,
    /// The key of the endpoint that its client stays with; 0, which none has, if with none.
    home: u64,
}

impl Wish {
    /// The wish of the request whose head `client` has.
    pub(crate) fn of_request<C>(client: &Client<C>, pool: &Pool) -> Self {
        let hash = match pool.service.balance.hashes() {
            true => hash(client, &pool.service.hash_on),
            false => 0,
        };
        Self { hash, home: pool.homes.as_ref().map_or(0, |homes| home(client, homes)) }
    }

    /// The wish of a connection of bytes.
    pub(crate) fn of_connection<C>(client: &Client<C>, pool: &Pool) -> Self {
        match pool.service.balance.hashes() {
            true => Self { hash: hash_of_address(client), home: 0 },
            false => Self::default(),
        }
    }

    /// Begins the request where its client is at home, if that is in the pool, was not tried, and
    /// takes it.
    pub(crate) fn begin_at_home(self, pool: &Pool, tried: &[u64]) -> Option<InFlight> {
        if self.home == 0 || tried.contains(&self.home) {
            return None;
        }
        pool.homes.as_ref()?.of_key(self.home)?.endpoint.begin()
    }

    /// Whether its client stays with an endpoint of the pool, as far as it has said so.
    pub(crate) fn has_home(self) -> bool {
        self.home != 0
    }

    /// Whether its client stays with this one.
    pub(crate) fn is_at_home(self, key: u64) -> bool {
        self.home == key
    }
}

/// The first cookie that is known counts: others of the same name may be from elsewhere.
fn home<C>(client: &Client<C>, homes: &Homes) -> u64 {
    let mut brought = cookies(&client.head, client.input.unread(), homes.cookie());
    brought.find_map(|token| homes.of_token(token)).map_or(0, |home| home.endpoint.key)
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
        HashOn::Cookie(name) => cookies(head, buffer, name.as_bytes()).next(),
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

/// The values of a cookie, over all `Cookie` fields (RFC 6265, 4.2).
fn cookies<'a>(
    head: &'a RequestHead,
    buffer: &'a [u8],
    name: &'a [u8],
) -> impl Iterator<Item = &'a [u8]> {
    let all =
        fields(head, buffer, b"cookie").flat_map(|f| f.value.of(buffer).split(|&b| b == b';'));
    let pairs = all.map(|pair| split(pair.trim_ascii(), b'='));
    pairs.filter(move |(key, _)| *key == name).map(|(_, value)| value)
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
        let all = |name| cookies(&head, text, name).collect::<Vec<_>>();
        assert_eq!(all(b"user"), [b"c", b"d"]);
        assert_eq!(all(b"b"), [b"2"]);
        assert_eq!(all(b"User"), Vec::<&[u8]>::new());
        assert_eq!(fields(&head, text, b"x-user").count(), 1);
    }
}
