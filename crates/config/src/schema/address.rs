//! Addresses and ports as the file writes them.
//! Only whether they can be meant: nothing is bound and no name is resolved.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use model::{Network, NetworkError};

use crate::defaults;
use crate::schema::text::{Form, HasDefault, Wrong, wrong};

/// Where a listener accepts: an IP address and a port; port 0 takes any free one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bind(pub SocketAddr);

/// Where the admin API answers over TCP, on this machine only, or `off`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AdminBind(pub Option<SocketAddr>);

/// A range of ports, both ends included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ports(pub u16, pub u16);

/// Where an instance that somebody else runs is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address(pub SocketAddr);

/// Addresses in CIDR notation, or one address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Range(pub Network);

/// Lowest port that needs no privilege.
const PORT_MIN: u16 = 1024;

impl Form for Bind {
    const FORMAT: &'static str = "herder-bind";
    const WHAT: &'static str = "an address";
    const PATTERN: &'static str = "^.+:[0-9]{1,5}$";

    fn read(text: &str) -> Result<Self, Wrong> {
        socket_addr(text).map(Self)
    }
}

impl HasDefault for Bind {
    const DEFAULT: &'static str = defaults::LISTENER_BIND;
}

impl Form for AdminBind {
    const FORMAT: &'static str = "herder-admin-bind";
    const WHAT: &'static str = "an address";
    const PATTERN: &'static str = "^(off|.+:[0-9]{1,5})$";

    fn read(text: &str) -> Result<Self, Wrong> {
        if text == "off" {
            return Ok(Self(None));
        }
        let addr = socket_addr(text)?;
        if addr.ip().is_loopback() {
            return Ok(Self(Some(addr)));
        }
        wrong(
            format!(
                "{text:?} can be reached from other machines, and the admin API asks nobody \
                     for a password"
            ),
            format!("write \"127.0.0.1:{}\", or \"off\"", addr.port()),
        )
    }
}

impl HasDefault for AdminBind {
    const DEFAULT: &'static str = defaults::ADMIN_BIND;
}

impl Form for Ports {
    const FORMAT: &'static str = "herder-ports";
    const WHAT: &'static str = "a range of ports";
    const PATTERN: &'static str = "^[0-9]{4,5}-[0-9]{4,5}$";

    fn read(text: &str) -> Result<Self, Wrong> {
        let ends = text.split_once('-').and_then(|(low, high)| {
            Some((digits(low)?.parse::<u16>().ok()?, digits(high)?.parse::<u16>().ok()?))
        });
        let hint = "write two ports from 1024 to 65535, the lower one first, such as \
                    \"20000-29999\"";
        match ends {
            None => wrong(format!("{text:?} is not a range of ports"), hint),
            Some((low, high)) if low > high => {
                wrong(format!("{text:?} ends before it begins"), hint)
            }
            Some((low, _)) if low < PORT_MIN => {
                wrong(format!("{text:?} contains ports below {PORT_MIN}"), hint)
            }
            Some((low, high)) => Ok(Self(low, high)),
        }
    }
}

impl HasDefault for Ports {
    const DEFAULT: &'static str = defaults::INSTANCE_PORTS;
}

impl Form for Address {
    const FORMAT: &'static str = "herder-address";
    const WHAT: &'static str = "an address";
    const PATTERN: &'static str = "^.+:[0-9]{1,5}$";

    fn read(text: &str) -> Result<Self, Wrong> {
        let addr = socket_addr(text)?;
        if addr.port() == 0 {
            return wrong(
                format!("{text:?} has port 0, which nobody answers on"),
                "write the port that the instance listens on",
            );
        }
        if addr.ip().is_unspecified() {
            return wrong(
                format!("{text:?} is an address to listen on, not one to connect to"),
                format!("write \"127.0.0.1:{}\" for this machine", addr.port()),
            );
        }
        Ok(Self(addr))
    }
}

impl Form for Range {
    const FORMAT: &'static str = "herder-range";
    const WHAT: &'static str = "a range of addresses";
    const PATTERN: &'static str = "^[0-9a-fA-F.:]+(/[0-9]{1,3})?$";

    fn read(text: &str) -> Result<Self, Wrong> {
        let example = "write an address or a range, such as \"10.0.0.0/8\" or \"::1\"";
        match text.parse() {
            Ok(network) => Ok(Self(network)),
            Err(NetworkError::Malformed) => {
                wrong(format!("{text:?} is not a range of addresses"), example)
            }
            Err(NetworkError::HostBits(network)) => wrong(
                format!("{text:?} is an address within {network}, not a range"),
                format!("write \"{network}\", or the address alone"),
            ),
            Err(NetworkError::Mapped) => wrong(
                format!("{text:?} is an IPv4 address written as IPv6"),
                "write it as IPv4, such as \"10.0.0.0/8\": those who connect so count as IPv4",
            ),
        }
    }
}

/// Reads `IP:PORT`, and guesses what was meant by the common other things.
fn socket_addr(text: &str) -> Result<SocketAddr, Wrong> {
    if let Ok(addr) = text.parse() {
        return Ok(addr);
    }
    let message = format!("{text:?} is not an address");
    if let Some(port) = digits(text.strip_prefix(':').unwrap_or(text)) {
        let hint = "for this machine only, or";
        return wrong(
            message,
            format!("write \"127.0.0.1:{port}\" {hint} \"0.0.0.0:{port}\" for the whole network"),
        );
    }
    match text.rsplit_once(':') {
        Some(("localhost", port)) if digits(port).is_some() => {
            wrong(message, format!("write \"127.0.0.1:{port}\""))
        }
        _ if text.parse::<Ipv4Addr>().is_ok() => {
            wrong(message, format!("add a port: \"{text}:8080\""))
        }
        _ if text.parse::<Ipv6Addr>().is_ok() => {
            wrong(message, format!("add brackets and a port: \"[{text}]:8080\""))
        }
        _ => wrong(message, "write IP:PORT, such as \"127.0.0.1:8080\" or \"[::1]:8080\""),
    }
}

fn digits(text: &str) -> Option<&str> {
    let ok = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    ok.then_some(text)
}
