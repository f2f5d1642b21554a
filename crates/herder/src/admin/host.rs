//! Whether a request to the loopback port may be answered, judged by the host it was sent to.
//! Pure; it is the defence against DNS rebinding, and no substitute for rights: those are the
//! socket's file mode.
//!
//! A web page of a stranger can point a name of its own at 127.0.0.1 and have the browser ask us.
//! Such a request carries the stranger's name, so only names that nobody else can own are let in.

use std::net::IpAddr;

/// Says whether a request with these hosts may be answered by a listener bound to `bound`.
///
/// `hosts` are the authority of the target, if it has one, and the values of every `Host` header.
/// Ports do not matter.
///
/// # Errors
/// Why not, and what was expected.
pub(crate) fn admit(hosts: &[&str], bound: IpAddr) -> Result<(), String> {
    if hosts.is_empty() {
        return Err("the request names no host; expected `localhost`".to_owned());
    }
    match hosts.iter().find(|host| !is_ours(host, bound)) {
        None => Ok(()),
        Some(host) => Err(format!(
            "`{host}` is not a name of this address; expected `localhost`, `127.0.0.1`, `[::1]` \
             or `{bound}`"
        )),
    }
}

fn is_ours(host: &str, bound: IpAddr) -> bool {
    let name = without_port(host);
    if name.eq_ignore_ascii_case("localhost") {
        return true;
    }
    let bare = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let address = match bare {
        Some(v6) => v6.parse().map(IpAddr::V6),
        None => name.parse().map(IpAddr::V4),
    };
    let loopback = [IpAddr::from([127, 0, 0, 1]), IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1])];
    address.is_ok_and(|address| address == bound || loopback.contains(&address))
}

/// The host without `:port`. What follows a bracket or the last colon has to be digits to be one.
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_nobody_else_can_own() {
        let check = |hosts: &[&str], expected: bool| {
            let bound = "127.0.0.2".parse().unwrap();
            assert_eq!(admit(hosts, bound).is_ok(), expected, "{hosts:?}");
        };
        for good in [
            "localhost",
            "LocalHost:7070",
            "127.0.0.1",
            "127.0.0.1:80",
            "[::1]",
            "[::1]:7070",
            "[0:0::1]:1",
            "127.0.0.2:7070",
        ] {
            check(&[good], true);
            check(&[good, "localhost"], true);
            check(&[good, "evil.example"], false);
            check(&["evil.example:7070", good], false);
        }
        for bad in [
            "",
            "evil.example",
            "localhost.evil.example",
            "evil.example:7070",
            "localhost:",
            "localhost:x",
            "127.0.0.3",
            "127.0.0.1.evil.example",
            "127.1",
            "0.0.0.0",
            "2130706433",
            "::1",
            "[::1",
            "[127.0.0.1]",
            "[::2]",
            "localhost@evil.example",
            "user@localhost",
        ] {
            check(&[bad], false);
        }
        check(&[], false);
    }
}
