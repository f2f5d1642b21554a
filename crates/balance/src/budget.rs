//! How many of all requests may be retries, or second copies: the bound on what Herder itself adds
//! to the load of instances that fail. Which request is worth one is decided elsewhere.
//!
//! A retry has to fit twice, and `Budget::begin` asks both:
//!
//! - At once: of the requests in flight and waiting, at most `percent` are retries, and always
//!   `min`. It is what keeps the others of a pool from a wave when one of them dies. A retry that
//!   does not fit now may fit in a moment.
//! - Over time: retries that come to nothing cost credit. Each request earns `percent` of a retry,
//!   each second earns `min`, and no more is saved up than one for each request that is in flight
//!   or waits, or `min`. A retry that ends well gives back what it took. So the death of an
//!   instance costs nothing, while in an outage of all of them ten requests bring twelve tries:
//!   failures that follow each other within a millisecond are never many at once, and the first
//!   rule alone would let all of them be retried.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use model::{Live, RetryBudget};

/// What one retry costs. A request earns `percent` of it.
const RETRY: u64 = 100;

/// What a budget is measured against, now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Requests of the service in flight and waiting, retries included.
    pub active: u64,
    /// Requests of the service that were answered so far. Never falls.
    pub answered: u64,
    /// For how long that was counted, in milliseconds.
    pub uptime_ms: u64,
}

/// Why there is no retry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoBudget {
    /// Too many are under way; one of them may end in a moment.
    Busy,
    /// Too many have come to nothing.
    Spent,
}

/// A retry under way. Dropping it ends it.
#[derive(Debug)]
pub struct Retrying {
    live: Arc<Live>,
}

/// How many retries may be under way at once, where `active` requests are in flight or wait and
/// `retrying` of them are retries already.
pub fn at_once(budget: RetryBudget, active: u64, retrying: u64) -> u64 {
    let firsts = active.saturating_sub(retrying);
    u64::from(budget.min).max(firsts.saturating_mul(u64::from(budget.percent)) / 100)
}

/// Whether credit for a retry is there, without taking it.
///
/// # Errors
/// [`NoBudget::Spent`].
pub fn afford(budget: RetryBudget, live: &Live, traffic: Traffic) -> Result<(), NoBudget> {
    let spent = live.spent().load(Ordering::Relaxed);
    after_one(budget, spent, traffic).map(drop).ok_or(NoBudget::Spent)
}

/// Whether a retry could begin now, without beginning it.
///
/// # Errors
/// [`NoBudget`]; when there is no credit either, that it is spent.
pub fn fits(budget: RetryBudget, live: &Live, traffic: Traffic) -> Result<(), NoBudget> {
    afford(budget, live, traffic)?;
    let retrying = u64::from(live.retrying().load(Ordering::Relaxed));
    let is_free = retrying < at_once(budget, traffic.active, retrying);
    if is_free { Ok(()) } else { Err(NoBudget::Busy) }
}

/// Begins a retry.
///
/// # Errors
/// [`NoBudget`], and then nothing has changed.
pub fn begin(
    budget: RetryBudget,
    live: &Arc<Live>,
    traffic: Traffic,
) -> Result<Retrying, NoBudget> {
    let (retrying, spent) = (live.retrying(), live.spent());
    let one_more = |now: u32| {
        let fits = u64::from(now) < at_once(budget, traffic.active, u64::from(now));
        fits.then(|| now.saturating_add(1))
    };
    let order = (Ordering::Relaxed, Ordering::Relaxed);
    retrying.fetch_update(order.0, order.1, one_more).map_err(|_| NoBudget::Busy)?;
    let begun = Retrying { live: Arc::clone(live) };
    let paid = spent.fetch_update(order.0, order.1, |now| after_one(budget, now, traffic));
    paid.map_err(|_| NoBudget::Spent)?;
    Ok(begun)
}

/// Takes the cost of a second copy of a request, if `percent` of a hundred requests may have one.
/// It is never given back: a copy is load, whether it was worth its while or not.
pub fn hedge(percent: u32, live: &Live, traffic: Traffic) -> bool {
    let budget = RetryBudget { percent, min: 0 };
    let spent = live.hedged();
    let pay = |now: u64| after_one(budget, now, traffic);
    spent.fetch_update(Ordering::Relaxed, Ordering::Relaxed, pay).is_ok()
}

/// What was spent once one more retry is paid for; none if there is no credit for it.
fn after_one(budget: RetryBudget, spent: u64, traffic: Traffic) -> Option<u64> {
    let (percent, min) = (u64::from(budget.percent), u64::from(budget.min));
    let per_time = traffic.uptime_ms.saturating_add(1000).saturating_mul(min);
    let earned = percent
        .saturating_mul(traffic.answered)
        .saturating_add(per_time.saturating_mul(RETRY) / 1000);
    let saved_max = min.max(traffic.active).saturating_mul(RETRY);
    let after = spent.max(earned.saturating_sub(saved_max)).saturating_add(RETRY);
    (after <= earned).then_some(after)
}

impl Retrying {
    /// It was worth its while: it costs nothing.
    pub fn succeeded(&self) {
        let less = |spent: u64| Some(spent.saturating_sub(RETRY));
        let order = Ordering::Relaxed;
        // Cannot fail: there is always a number.
        self.live.spent().fetch_update(order, order, less).ok();
    }
}

impl Drop for Retrying {
    fn drop(&mut self) {
        self.live.retrying().fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUDGET: RetryBudget = RetryBudget { percent: 20, min: 3 };

    #[test]
    fn a_fifth_of_the_first_tries_and_always_three() {
        let check = |active, retrying, expected| {
            assert_eq!(at_once(BUDGET, active, retrying), expected, "{active} {retrying}");
        };
        check(0, 0, 3);
        check(15, 0, 3);
        check(19, 0, 3);
        check(20, 0, 4);
        check(100, 0, 20);
        // 100 first tries and their 20 retries are 1.2 times the load, and no more.
        check(119, 19, 20);
        check(120, 20, 20);
        check(5, 9, 3);
        let none = RetryBudget { percent: 0, min: 0 };
        assert_eq!(at_once(none, 1_000_000, 0), 0);
        let all = RetryBudget { percent: 100, min: u32::MAX };
        assert_eq!(at_once(all, 0, 0), u64::from(u32::MAX));
    }

    #[test]
    fn a_guard_counts_until_it_is_dropped() {
        let live = Arc::new(Live::default());
        let traffic = Traffic { active: 10, answered: 1000, uptime_ms: 1000 };
        let guards: Vec<_> = (0..3).map(|_| begin(BUDGET, &live, traffic).unwrap()).collect();
        assert_eq!(begin(BUDGET, &live, traffic).unwrap_err(), NoBudget::Busy);
        assert_eq!(fits(BUDGET, &live, traffic), Err(NoBudget::Busy));
        assert_eq!(live.retrying().load(Ordering::Relaxed), 3);
        drop(guards);
        assert_eq!(live.retrying().load(Ordering::Relaxed), 0);
        assert_eq!(fits(BUDGET, &live, traffic), Ok(()));
        begin(BUDGET, &live, traffic).unwrap();
    }

    /// A service of which every try fails, or ends well, at once. What each request does to the
    /// budget, by turns: ask twice at most, and be answered.
    fn retries(budget: RetryBudget, requests: u64, per_s: u64, ends_well: fn(u64) -> bool) -> u64 {
        let live = Arc::new(Live::default());
        let mut retries = 0;
        for nth in 0..requests {
            let uptime_ms = nth * 1000 / per_s;
            let traffic = Traffic { active: 20, answered: nth, uptime_ms };
            for _ in 0..2 {
                let afforded = fits(budget, &live, traffic);
                let Ok(begun) = begin(budget, &live, traffic) else {
                    assert_eq!(afforded, Err(NoBudget::Spent));
                    break;
                };
                assert_eq!(afforded, Ok(()));
                retries += 1;
                if ends_well(nth) {
                    begun.succeeded();
                    break;
                }
            }
        }
        retries
    }

    #[test]
    fn an_outage_brings_a_fifth_more_and_a_success_costs_nothing() {
        let per_s = |requests, per_s| retries(BUDGET, requests, per_s, |_| false);
        // 20 % of 100,000, 3 for each of the 100 seconds, and 3 to begin with.
        assert_eq!(per_s(100_000, 1000), 20_000 + 300 + 2);
        // One request a second: every one of them is worth its two retries.
        assert_eq!(per_s(1000, 1), 2000);
        assert_eq!(retries(BUDGET, 10_000, 1000, |_| true), 10_000);
        let strict = RetryBudget { percent: 0, min: 0 };
        assert_eq!(retries(strict, 1000, 1000, |_| true), 0);
        let free = RetryBudget { percent: 100, min: u32::MAX };
        assert_eq!(retries(free, 1000, 1000, |_| false), 2000);
    }

    #[test]
    fn two_of_a_hundred_requests_may_have_a_copy() {
        let live = Live::default();
        let copies = (0..10_000)
            .filter(|&answered| hedge(2, &live, Traffic { active: 10, answered, uptime_ms: 0 }))
            .count();
        assert_eq!(copies, 199, "the 200th when 10,000 are answered");
    }

    #[test]
    fn good_times_save_up_one_retry_for_each_request_in_flight() {
        let live = Arc::new(Live::default());
        let traffic = Traffic { active: 1000, answered: 1_000_000, uptime_ms: 0 };
        let begun: Vec<_> = (0..1000).map_while(|_| begin(BUDGET, &live, traffic).ok()).collect();
        assert_eq!(begun.len(), 166, "a fifth of the other 834");
        begun.iter().for_each(Retrying::succeeded);
        drop(begun);
        let all = (0..2000).take_while(|_| begin(BUDGET, &live, traffic).is_ok()).count();
        assert_eq!(all, 1000);
    }
}
