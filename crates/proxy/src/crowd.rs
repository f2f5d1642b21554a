//! How many connections each client address has open at a listener, over all workers.
//! Only kept where there is a bound; what is beyond it is reset by others.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// No bound, and nothing is counted.
const UNLIMITED: u32 = u32::MAX;

/// The open connections by client. Locked once when a connection begins and once when it ends;
/// whoever has none is not in it, so it is never larger than the connections that are open.
#[derive(Debug, Default)]
pub(crate) struct Crowd {
    counts: Mutex<HashMap<IpAddr, u32>>,
}

/// What became of a connection that wanted to be counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    /// It is one of this client's, until [`Crowd::leave`].
    Counted(IpAddr),
    /// Nobody counts.
    Free,
    /// The client has as many as it may.
    Refused,
}

impl Crowd {
    /// Counts a connection, unless the client has `max` already.
    pub(crate) fn enter(&self, address: IpAddr, max: u32) -> Entry {
        if max == UNLIMITED {
            return Entry::Free;
        }
        let client = client_of(address);
        let mut counts = self.counts();
        let count = counts.entry(client).or_insert(0);
        if *count >= max {
            return Entry::Refused;
        }
        *count += 1;
        Entry::Counted(client)
    }

    /// Forgets a connection that was counted for this client.
    pub(crate) fn leave(&self, client: IpAddr) {
        let mut counts = self.counts();
        if let Some(count) = counts.get_mut(&client) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&client);
            }
        }
    }

    /// A panic while it was locked left whole counts.
    fn counts(&self) -> MutexGuard<'_, HashMap<IpAddr, u32>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whom an address belongs to, as far as it shows: whoever has one IPv6 address has the whole /64.
pub(crate) fn client_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(ip) => {
            let [a, b, c, d, ..] = ip.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        ip => ip,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_client_has_so_many_and_those_without_any_are_forgotten() {
        let crowd = Crowd::default();
        let enter = |address: &str, max| crowd.enter(address.parse().unwrap(), max);
        let check = |entry: Entry, client: &str| {
            assert_eq!(entry, Entry::Counted(client.parse().unwrap()));
        };
        check(enter("192.0.2.1", 2), "192.0.2.1");
        check(enter("::ffff:192.0.2.1", 2), "192.0.2.1");
        assert_eq!(enter("192.0.2.1", 2), Entry::Refused);
        check(enter("192.0.2.2", 2), "192.0.2.2");
        check(enter("2001:db8:0:1::1", 2), "2001:db8:0:1::");
        check(enter("2001:db8:0:1:ffff::2", 2), "2001:db8:0:1::");
        assert_eq!(enter("2001:db8:0:1::3", 2), Entry::Refused);
        check(enter("2001:db8:0:2::1", 2), "2001:db8:0:2::");
        crowd.leave("192.0.2.1".parse().unwrap());
        check(enter("192.0.2.1", 2), "192.0.2.1");
        for client in ["192.0.2.1", "192.0.2.1", "192.0.2.2", "2001:db8:0:2::"] {
            crowd.leave(client.parse().unwrap());
        }
        assert_eq!(crowd.counts().len(), 1);
    }

    #[test]
    fn without_a_bound_nothing_is_kept() {
        let crowd = Crowd::default();
        assert_eq!(crowd.enter(Ipv6Addr::LOCALHOST.into(), UNLIMITED), Entry::Free);
        assert!(crowd.counts().is_empty());
    }
}
