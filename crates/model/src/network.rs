//! Ranges of addresses, such as `10.0.0.0/8`, and whom they contain.
//! It knows nothing about what somebody in a range may do.

use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;

/// A range of addresses in CIDR notation, or one address. Never one of IPv4 in IPv6's clothes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network(IpNet);

/// Any number of ranges; without any, nobody is in them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks(Box<[Network]>);

/// Why a text is not a range of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// Neither an address nor an address with the length of a prefix.
    #[error("neither an address nor a range")]
    Malformed,
    /// Bits are set that the prefix leaves open, so one of the two is not what was meant.
    #[error("an address within {0}")]
    HostBits(Network),
    /// `::ffff:10.0.0.1`: whoever connects so is looked up as IPv4.
    #[error("an IPv4 address written as IPv6")]
    Mapped,
}

impl Network {
    /// Whether an address is in the range. A peer that IPv6 shows as `::ffff:10.0.0.1` is 10.0.0.1.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }
}

impl Networks {
    /// Whether an address is in one of them.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(address))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<Network> for Networks {
    fn from_iter<I: IntoIterator<Item = Network>>(networks: I) -> Self {
        Self(networks.into_iter().collect())
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let alone = || text.parse::<IpAddr>().map(IpNet::from);
        let network = text.parse().or_else(|_| alone()).map_err(|_| NetworkError::Malformed)?;
        if matches!(network, IpNet::V6(v6) if v6.addr().to_ipv4_mapped().is_some()) {
            return Err(NetworkError::Mapped);
        }
        if network.addr() != network.network() {
            return Err(NetworkError::HostBits(Self(network.trunc())));
        }
        Ok(Self(network))
    }
}

impl std::fmt::Display for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(networks: &[&str], address: &str, expected: bool) {
        let all: Networks = networks.iter().map(|one| one.parse().unwrap()).collect();
        let contains = all.contains(address.parse().unwrap());
        assert_eq!(contains, expected, "{networks:?} {address}");
    }

    #[test]
    fn who_is_in_a_range() {
        check(&[], "127.0.0.1", false);
        check(&["127.0.0.1"], "127.0.0.1", true);
        check(&["127.0.0.1"], "127.0.0.2", false);
        check(&["10.0.0.0/8"], "10.255.0.1", true);
        check(&["10.0.0.0/8"], "11.0.0.0", false);
        check(&["10.0.0.0/8"], "::ffff:10.1.2.3", true);
        check(&["10.0.0.0/8"], "::10.1.2.3", false);
        check(&["0.0.0.0/0"], "192.0.2.1", true);
        check(&["0.0.0.0/0"], "2001:db8::1", false);
        check(&["::/0"], "2001:db8::1", true);
        check(&["::/0"], "192.0.2.1", false);
        check(&["::/0"], "::ffff:192.0.2.1", false);
        check(&["::1", "2001:db8::/32"], "2001:db8:ffff::1", true);
        check(&["::1", "2001:db8::/32"], "2001:db9::1", false);
    }

    #[test]
    fn what_is_no_range() {
        let check = |text: &str, expected: &str| {
            assert_eq!(text.parse::<Network>().unwrap_err().to_string(), expected, "{text}");
        };
        let malformed = ["", "a", "10.0.0.0/33", "10.0.0/8", "10.0.0.1:80", "::/129", " ::1"];
        for text in malformed {
            check(text, "neither an address nor a range");
        }
        check("10.0.0.1/8", "an address within 10.0.0.0/8");
        check("2001:db8::1/32", "an address within 2001:db8::/32");
        check("::ffff:10.0.0.0/104", "an IPv4 address written as IPv6");
        check("::ffff:10.0.0.1", "an IPv4 address written as IPv6");
    }
}
