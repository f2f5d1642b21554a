//! Ways through a database: a scan in steps, the sweep for what has expired, a key by chance.
//! None of them takes long however many keys there are.

use crate::db::{Db, Entry, Place, SHARDS};

impl Db {
    /// Shows about `count` keys from `cursor` on, without those that have expired, and says where
    /// to go on; a scan begins and ends at 0, as `Dense::scan`.
    pub(crate) fn scan<'a>(
        &'a self,
        cursor: u64,
        count: usize,
        now: i64,
        mut visit: impl FnMut(&'a Entry),
    ) -> u64 {
        let mut shard = usize::try_from(cursor % SHARDS as u64).unwrap_or_default();
        let mut inner = usize::try_from(cursor / SHARDS as u64).unwrap_or(usize::MAX);
        let mut left = count;
        loop {
            let shown = &mut left;
            inner = self.shards[shard].scan(inner, *shown, |entry| {
                *shown -= 1;
                if !entry.is_expired(now) {
                    visit(entry);
                }
            });
            if inner == 0 {
                shard += 1;
            }
            if shard == SHARDS {
                return 0;
            }
            if left == 0 {
                return (inner * SHARDS + shard) as u64;
            }
        }
    }

    /// Removes what has expired of the next `count` keys, going round and round.
    pub(crate) fn sweep(&mut self, count: usize, now: i64) {
        let mut left = count.min(self.keys + SHARDS);
        while left > 0 {
            left -= 1;
            let place = self.swept;
            if place.at >= self.shards[place.shard].len() {
                self.swept = Place { shard: (place.shard + 1) % SHARDS, at: 0 };
            } else if self.entry(place).is_expired(now) {
                // Another key is in its place now.
                self.expired_total += 1;
                self.remove_at(place);
            } else {
                self.swept.at += 1;
            }
        }
    }

    /// A key of those that there are, each as likely as any other.
    pub(crate) fn random(&mut self) -> Option<Place> {
        if self.keys == 0 {
            return None;
        }
        let mut at = self.rng.usize(..self.keys);
        for (shard, dense) in self.shards.iter().enumerate() {
            if at < dense.len() {
                return Some(Place { shard, at });
            }
            at -= dense.len();
        }
        None
    }
}
