//! Overload of a queue, told from a burst by controlled delay (CoDel, RFC 8289 section 4).
//! It counts and says how many go without; who that is, the queue decides.

use std::time::Duration;

use model::{Codel, Time};

/// Most that one look drops: after a long pause many drops may be due, and a queue that is looked
/// at seldom is not emptied for that.
const DROPS_MAX: u32 = 8;

/// How a queue fares.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Overload {
    /// Since when requests stand longer than they may, without a break.
    above_since: Option<Time>,
    /// Drops since it is overloaded, and when the next one is due.
    dropping: Option<(u32, Time)>,
}

impl Overload {
    /// Whether requests have stood for too long, for too long.
    pub(super) fn is_on(&self) -> bool {
        self.dropping.is_some()
    }

    /// Somebody is about to go next, and the oldest in line has stood for `sojourn`; none when
    /// nobody is in line. Returns how many are to go without.
    ///
    /// It is only asked when there is a place: a queue that nobody leaves because no instance is
    /// ready is not overloaded, it waits.
    pub(super) fn drops(&mut self, codel: &Codel, now: Time, sojourn: Option<Duration>) -> u32 {
        if sojourn.is_none_or(|sojourn| sojourn < codel.target) {
            *self = Self::default();
            return 0;
        }
        let since = *self.above_since.get_or_insert(now);
        let (mut count, mut due) = match self.dropping {
            Some(dropping) => dropping,
            None if now.since(since) >= codel.interval => (0, now),
            None => return 0,
        };
        let mut drops = 0;
        while due <= now && drops < DROPS_MAX {
            (count, drops) = (count.saturating_add(1), drops + 1);
            due = due + codel.interval.div_f64(f64::from(count).sqrt());
        }
        if due <= now {
            due = now + codel.interval.div_f64(f64::from(count).sqrt());
        }
        self.dropping = Some((count, due));
        drops
    }
}
