//! How often requests may come to a service: what counts together, shared by all workers.
//! How one rate is kept is `balance`'s; what a refused request is told, `reply`'s.

use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use balance::rate::{Buckets, Rate};
use model::{RateKey, RateLimit};

use crate::client::Client;
use crate::crowd::client_of;
use crate::error::Error;
use crate::stream::Stream;

/// Clients, or values of a header, that one service tells apart at once: 1 MiB. Beyond, those that
/// have used the least of their burst are forgotten.
const KEYS_MAX: usize = 64 * 1024;

/// Parts that are locked apart from each other.
const SHARDS: usize = 16;

/// Who is at what, for all rates of one service. Survives tables, and so reloads.
#[derive(Debug)]
pub(crate) struct Rates {
    start: Instant,
    /// Chosen by chance, so that nobody can choose who shares a place in the table with whom.
    hasher: RandomState,
    shards: Box<[Mutex<Buckets>]>,
}

impl Default for Rates {
    fn default() -> Self {
        let shard = |_| Mutex::new(Buckets::new(KEYS_MAX / SHARDS));
        Self {
            start: Instant::now(),
            hasher: RandomState::new(),
            shards: (0..SHARDS).map(shard).collect(),
        }
    }
}

impl Rates {
    /// Counts the request that the client is at, by each limit in turn.
    ///
    /// # Errors
    /// `RateLimited` by the first that does not let it pass; those after it have not counted it.
    pub(crate) fn count<C: Stream>(
        &self,
        client: &Client<C>,
        limits: &[RateLimit],
    ) -> Result<(), Error> {
        let now_ns = u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        for (index, limit) in limits.iter().enumerate() {
            let key = match &limit.key {
                RateKey::Client => self.hasher.hash_one((index, client_of(client.address.ip()))),
                RateKey::Header(name) => self.hasher.hash_one((index, client.field(name))),
                RateKey::Route => self.hasher.hash_one(index),
            };
            let rate = Rate::new(limit.count, limit.per, limit.burst);
            let shard = usize::try_from(key).unwrap_or(0) % SHARDS;
            let mut buckets = self.shards[shard].lock().unwrap_or_else(PoisonError::into_inner);
            buckets.take(key, &rate, now_ns).map_err(|wait| Error::RateLimited(whole_s(wait)))?;
        }
        Ok(())
    }
}

/// In whole seconds, as `Retry-After` has it: never sooner.
fn whole_s(wait: Duration) -> u32 {
    u32::try_from(wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).unwrap_or(u32::MAX)
}
