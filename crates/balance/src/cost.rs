//! What a request would cost at an endpoint, and the cheapest of a few.
//! It is told whom to look at.

use std::sync::Arc;

use model::{Ask, Endpoint, InFlight, Live};

use crate::begin;

/// Most endpoints that one pick compares.
pub(crate) const CHOICES: usize = 8;

/// Costs of one request up to so many times the least are the same: requests differ, and with them
/// what was learned of endpoints that do not.
pub(crate) const BAND: f32 = 2.0;

/// Latencies below are alike, in microseconds: a machine's own noise is as large, and requests in
/// flight tell which of two such instances has too much to do.
const FLOOR_US: f32 = 1000.0;

/// 2^64 by the golden ratio: its multiples divide any range more evenly than chance does.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// Endpoints that may take a request, with what is known of them at one moment.
#[derive(Debug)]
pub(crate) struct Choices {
    found: [Choice; CHOICES],
    count: usize,
}

#[derive(Clone, Copy, Debug)]
struct Choice {
    at: usize,
    /// Microseconds; 0 as long as nothing is known.
    estimate: f32,
    surcharge: f32,
    in_flight: f32,
    /// What of its weight counts now.
    weight: f32,
    load: f32,
}

const NOBODY: Choice =
    Choice { at: 0, estimate: 0.0, surcharge: 1.0, in_flight: 0.0, weight: 1.0, load: 0.0 };

impl Choices {
    pub(crate) fn none() -> Self {
        Self { found: [NOBODY; CHOICES], count: 0 }
    }

    /// Adds an endpoint, if it may take the request and there is room.
    pub(crate) fn consider(&mut self, at: usize, endpoint: &Endpoint, ask: &Ask<'_>) {
        if self.count == CHOICES || !crate::may_take(endpoint, ask) {
            return;
        }
        let latency = endpoint.latency();
        self.found[self.count] = Choice {
            at,
            estimate: latency.estimate_us(ask.now).map_or(0.0, |us| us.max(FLOOR_US)),
            surcharge: latency.surcharge(ask.now),
            in_flight: endpoint.in_flight() as f32,
            weight: endpoint.weight as f32 * endpoint.share() as f32,
            load: 0.0,
        };
        self.count += 1;
    }

    /// Begins a request at the cheapest; among equals in turn, by weight. None when there is none,
    /// or when it was closed or became full meanwhile.
    pub(crate) fn begin(
        &mut self,
        endpoints: &[Arc<Endpoint>],
        live: &Live,
        ask: &Ask<'_>,
    ) -> Option<InFlight> {
        let found = &mut self.found[..self.count];
        let least = weigh(found);
        let equals = || found.iter().filter(|choice| choice.load <= least);
        let mut only = equals();
        let cheapest = match (only.next(), only.next()) {
            (Some(one), None) => one,
            _ => in_turn(equals, live.take_turn())?,
        };
        begin(&endpoints[cheapest.at], ask)
    }
}

/// Fills in the loads and returns the least.
///
/// The load is `cost² · (in flight + 1) / weight`, with the cost of one request as a multiple of
/// the least among those at hand, and as 1 within [`BAND`]. Squared, because one that is slow is
/// slow for certain, and one more in flight at a fast one may make no difference: instances work on
/// several at once, and where they do not, the estimate grows with what is in flight. An endpoint
/// of which nothing is known costs as little as the best, so that it is tried; what it has in
/// flight keeps it from being flooded. One that is idle and costs 1 has no load, whatever its
/// weight: the turn looks at that.
fn weigh(found: &mut [Choice]) -> f32 {
    let mut best = f32::INFINITY;
    for choice in found.iter().filter(|choice| choice.estimate > 0.0) {
        best = best.min(choice.estimate * choice.surcharge);
    }
    let unknown = if best.is_finite() { best } else { FLOOR_US };
    let mut cheapest = f32::INFINITY;
    for choice in found.iter_mut() {
        let estimate = if choice.estimate > 0.0 { choice.estimate } else { unknown };
        choice.estimate = estimate * choice.surcharge;
        cheapest = cheapest.min(choice.estimate);
    }
    let mut least = f32::INFINITY;
    for choice in found.iter_mut() {
        let cost = choice.estimate / cheapest;
        choice.load = match (cost <= BAND, choice.in_flight == 0.0) {
            (true, true) => 0.0,
            (true, false) => (choice.in_flight + 1.0) / choice.weight,
            (false, _) => cost * cost * (choice.in_flight + 1.0) / choice.weight,
        };
        least = least.min(choice.load);
    }
    least
}

/// Whose turn it is: one after the other, or by weight.
fn in_turn<'a, E>(equals: impl Fn() -> E, turn: u64) -> Option<&'a Choice>
where
    E: Iterator<Item = &'a Choice>,
{
    let first = equals().next()?;
    if equals().all(|choice| choice.weight == first.weight) {
        let nth = turn % equals().count() as u64;
        return equals().nth(usize::try_from(nth).ok()?);
    }
    let mut left = part(turn) * equals().map(|choice| choice.weight).sum::<f32>();
    let is_it = |choice: &&Choice| {
        left -= choice.weight;
        left < 0.0
    };
    equals().find(is_it).or(Some(first))
}

/// Where a turn falls, from 0 to below 1: as even as it can be over any number of turns.
fn part(turn: u64) -> f32 {
    (turn.wrapping_mul(GOLDEN) >> 40) as f32 / (1_u32 << 24) as f32
}
