//! Who has to go when a cache is full: the least recently, or least frequently, used of a few.
//! It looks at a sample, as Redis does: exact orders would cost memory and time with every read.

use crate::db::{Db, Entry, Place, Stamp};

/// What happens when a database takes all the memory that it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Eviction {
    /// Writers are refused: `noeviction`.
    Never,
    /// What was used longest ago goes: `allkeys-lru`.
    Lru,
    /// What is used least often goes: `allkeys-lfu`.
    Lfu,
}

/// Keys that are looked at to evict one. Ten come close to an exact order in the measurements
/// that Redis published.
const SAMPLE: usize = 10;
/// Keys of a database that never evicts, looked at for expired ones before a writer is refused.
const SWEPT_WHEN_FULL: usize = 200;
/// Milliseconds of one step of the clock of LRU, as a shift; it goes round after 17 years.
const LRU_STEP_BITS: u32 = 7;
/// Milliseconds of a minute: the clock of LFU, and how long it takes to forget a use.
const LFU_MINUTE_MS: i64 = 60_000;
/// How often a new key counts as used, so that it can prove itself.
const LFU_START: u32 = 5;
/// The larger, the more uses it takes to be counted once more.
const LFU_LOG_FACTOR: u32 = 10;
/// The largest count.
const LFU_COUNT_MAX: u32 = 255;

impl Eviction {
    /// As `maxmemory-policy` names it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Eviction::Never => "noeviction",
            Eviction::Lru => "allkeys-lru",
            Eviction::Lfu => "allkeys-lfu",
        }
    }
}

impl Db {
    /// Makes room for so many bytes more; false if that does not work out.
    pub(crate) fn make_room(&mut self, needed: usize, stamp: Stamp) -> bool {
        // Nothing would be gained by all keys going.
        if needed > self.bytes_max {
            return false;
        }
        if self.bytes + needed <= self.bytes_max {
            return true;
        }
        if self.eviction == Eviction::Never {
            self.sweep(SWEPT_WHEN_FULL, stamp.now);
            return self.bytes + needed <= self.bytes_max;
        }
        while self.bytes + needed > self.bytes_max {
            let sample = (0..SAMPLE).filter_map(|_| self.random()).collect::<Vec<_>>();
            let worst = sample.into_iter().max_by_key(|&place| self.idleness(place, stamp.now));
            let Some(place) = worst else {
                return false;
            };
            self.evicted_total += 1;
            self.remove_at(place);
        }
        true
    }

    /// Notes that the key at `place` is used.
    pub(super) fn touch(&mut self, place: Place, now: i64) {
        let access = match self.eviction {
            Eviction::Never => return,
            _ if !self.notes_uses => return,
            Eviction::Lru => lru_clock(now),
            Eviction::Lfu => {
                let count = faded(self.entry(place).access, now);
                let above = count.saturating_sub(LFU_START);
                let again = self.rng.u32(..=above * LFU_LOG_FACTOR) == 0;
                lfu(now, if again { (count + 1).min(LFU_COUNT_MAX) } else { count })
            }
        };
        self.entry_mut(place).access = access;
    }

    pub(super) fn access_of_new(&self, now: i64) -> u32 {
        match self.eviction {
            Eviction::Never => 0,
            Eviction::Lru => lru_clock(now),
            Eviction::Lfu => lfu(now, LFU_START),
        }
    }

    /// The more, the sooner it goes; what has expired goes first.
    fn idleness(&self, place: Place, now: i64) -> u32 {
        let entry: &Entry = self.entry(place);
        if entry.is_expired(now) {
            return u32::MAX;
        }
        match self.eviction {
            Eviction::Lfu => LFU_COUNT_MAX - faded(entry.access, now),
            Eviction::Lru | Eviction::Never => lru_clock(now).wrapping_sub(entry.access),
        }
    }
}

fn lru_clock(now: i64) -> u32 {
    low_bits(now >> LRU_STEP_BITS)
}

/// The minute in the upper half, the count in the lower.
fn lfu(now: i64, count: u32) -> u32 {
    low_bits(now / LFU_MINUTE_MS) << 16 | count
}

/// How often a key counts as used: once less for every minute since it was.
fn faded(access: u32, now: i64) -> u32 {
    let minutes = (low_bits(now / LFU_MINUTE_MS) & 0xffff).wrapping_sub(access >> 16) & 0xffff;
    (access & 0xffff).saturating_sub(minutes)
}

fn low_bits(number: i64) -> u32 {
    u32::try_from(number & i64::from(u32::MAX)).unwrap_or_default()
}
