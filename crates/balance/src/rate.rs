//! How often: one rate by the generic cell rate algorithm, and a bounded table of who is at what.
//! Pure: `now` is an argument, in nanoseconds from a moment of the caller's choice.

use std::time::Duration;

/// Keys that are looked at for one: the table is as wide.
const WAYS: usize = 8;

/// So many per time, evenly, and so many at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    every_ns: u64,
    burst_ns: u64,
}

/// Who is at what, for a bounded number of keys. A key has one number: when the next request would
/// be due, had all of them come evenly.
#[derive(Debug)]
pub struct Buckets {
    slots: Box<[[Slot; WAYS]]>,
}

/// Free when `due` is past: a key that would have its whole burst is as good as a new one.
#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    key: u64,
    due_ns: u64,
}

impl Rate {
    /// `count` requests in `per`, of which `burst` may come at once. Zeros count as ones.
    pub fn new(count: u32, per: Duration, burst: u32) -> Self {
        let per_ns = u64::try_from(per.as_nanos()).unwrap_or(u64::MAX);
        let every_ns = (per_ns / u64::from(count.max(1))).max(1);
        Self { every_ns, burst_ns: every_ns.saturating_mul(u64::from(burst.max(1))) }
    }

    /// Counts a request if it may come, whose like are due at `due_ns`; when the next is due.
    ///
    /// # Errors
    /// How long until one may come; nothing is counted.
    fn take(&self, due_ns: u64, now_ns: u64) -> Result<u64, Duration> {
        let next_ns = due_ns.max(now_ns).saturating_add(self.every_ns);
        match (next_ns - now_ns).checked_sub(self.burst_ns) {
            None | Some(0) => Ok(next_ns),
            Some(early_ns) => Err(Duration::from_nanos(early_ns)),
        }
    }
}

impl Buckets {
    /// Room for at least so many keys: rounded up to a power of two, and to 8.
    pub fn new(keys: usize) -> Self {
        let sets = keys.div_ceil(WAYS).next_power_of_two();
        Self { slots: vec![[Slot::default(); WAYS]; sets].into() }
    }

    /// How many keys it has room for.
    pub fn keys_max(&self) -> usize {
        self.slots.len() * WAYS
    }

    /// Counts a request of this key if it may come. The key is to be a good hash. When there is no
    /// room for a new one, the one of eight that has used the least of its burst is forgotten, and
    /// may come as if for the first time.
    ///
    /// # Errors
    /// How long until one may come.
    pub fn take(&mut self, key: u64, rate: &Rate, now_ns: u64) -> Result<(), Duration> {
        // The low bits may have chosen the table already.
        let set = usize::try_from(key >> 32).unwrap_or(0) & (self.slots.len() - 1);
        let slots = &mut self.slots[set];
        let is_it = |slot: &&mut Slot| slot.key == key && slot.due_ns > now_ns;
        if let Some(slot) = slots.iter_mut().find(is_it) {
            slot.due_ns = rate.take(slot.due_ns, now_ns)?;
            return Ok(());
        }
        if let Some(slot) = slots.iter_mut().min_by_key(|slot| slot.due_ns) {
            *slot = Slot { key, due_ns: rate.take(now_ns, now_ns)? };
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const S: u64 = 1_000_000_000;

    #[test]
    fn a_burst_comes_at_once_and_the_rest_evenly() {
        let rate = Rate::new(10, Duration::from_secs(1), 3);
        let mut buckets = Buckets::new(1);
        let mut check = |key: u64, ms: u64, expected: Result<(), u64>| {
            let taken = buckets.take(key, &rate, S + ms * 1_000_000);
            assert_eq!(taken, expected.map_err(Duration::from_millis), "{key} at {ms} ms");
        };
        for _ in 0..3 {
            check(1, 0, Ok(()));
        }
        check(1, 0, Err(100));
        check(2, 0, Ok(()));
        check(1, 99, Err(1));
        check(1, 100, Ok(()));
        check(1, 100, Err(100));
        check(1, 1000, Ok(()));
        check(1, 1000, Ok(()));
        check(1, 1000, Ok(()));
        check(1, 1000, Err(100));
    }

    #[test]
    fn the_key_that_matters_least_makes_room() {
        let rate = Rate::new(1, Duration::from_secs(1), 5);
        let mut buckets = Buckets::new(8);
        assert_eq!(buckets.keys_max(), 8);
        for key in 1..=8 {
            for _ in 0..if key == 4 { 1 } else { 5 } {
                buckets.take(key, &rate, 0).unwrap();
            }
        }
        buckets.take(9, &rate, 0).unwrap();
        assert!((1..=8).filter(|&key| key != 4).all(|key| buckets.take(key, &rate, 0).is_err()));
    }

    proptest! {
        #[test]
        fn never_more_than_the_rate_and_the_burst_allow(
            count in 1..1000u32,
            burst in 1..50u32,
            gaps in prop::collection::vec(0..50_000_000u64, 1..300),
        ) {
            let rate = Rate::new(count, Duration::from_secs(1), burst);
            let mut buckets = Buckets::new(8);
            let (mut now, mut taken) = (0, 0u64);
            for gap in gaps {
                now += gap;
                match buckets.take(7, &rate, now) {
                    Ok(()) => taken += 1,
                    Err(wait) => {
                        prop_assert!(wait > Duration::ZERO);
                        let then = now + u64::try_from(wait.as_nanos()).unwrap();
                        now = then;
                        prop_assert!(buckets.take(7, &rate, now).is_ok(), "the wait was enough");
                        taken += 1;
                    }
                }
            }
            let every = S / u64::from(count);
            prop_assert!(taken <= u64::from(burst) + now / every);
        }
    }
}
