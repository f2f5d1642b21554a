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
    /// The least cost of those of which something is known.
    best: f32,
}

#[derive(Clone, Copy, Debug)]
struct Choice {
    at: usize,
    /// Microseconds, the surcharge included; as long as nothing is known, the surcharge below zero.
    cost: f32,
    in_flight: f32,
    /// What of its weight counts now.
    weight: f32,
}

const NOBODY: Choice = Choice { at: 0, cost: 0.0, in_flight: 0.0, weight: 0.0 };

impl Choices {
    pub(crate) fn none() -> Self {
        Self { found: [NOBODY; CHOICES], count: 0, best: f32::INFINITY }
    }

    /// Adds an endpoint, if it may take the request and there is room.
    pub(crate) fn consider(&mut self, at: usize, endpoint: &Endpoint, ask: &Ask<'_>) {
        if self.count == CHOICES || !crate::may_take(endpoint, ask) {
            return;
        }
        let latency = endpoint.latency();
        let surcharge = latency.surcharge(ask.now);
        let cost = match latency.estimate_us(ask.now) {
            Some(us) => us.max(FLOOR_US) * surcharge,
            None => -surcharge,
        };
        if cost > 0.0 {
            self.best = least_of(self.best, cost);
        }
        self.found[self.count] = Choice {
            at,
            cost,
            in_flight: endpoint.in_flight() as f32,
            weight: endpoint.weight as f32 * endpoint.share() as f32,
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
        let cheapest = match weigh(found, self.best) {
            0 => return None,
            equals if equals.is_power_of_two() => equals.trailing_zeros() as usize,
            equals => in_turn(found, equals, live.take_turn_loosely()),
        };
        begin(&endpoints[found[cheapest].at], ask)
    }
}

/// The choices with the least load, a bit for each.
///
/// The load is `cost² · (in flight + 1) / weight`, with the cost of one request as a multiple of
/// the least among those at hand, and as 1 within [`BAND`]. Squared, because one that is slow is
/// slow for certain, and one more in flight at a fast one may make no difference: instances work on
/// several at once, and where they do not, the estimate grows with what is in flight. An endpoint
/// of which nothing is known costs as little as the best, so that it is tried; what it has in
/// flight keeps it from being flooded. One that is idle and costs 1 has no load, whatever its
/// weight: the turn looks at that.
fn weigh(found: &mut [Choice], best: f32) -> u32 {
    let unknown = if best.is_finite() { best } else { FLOOR_US };
    let mut cheapest = f32::INFINITY;
    for choice in found.iter_mut() {
        choice.cost = if choice.cost > 0.0 { choice.cost } else { -choice.cost * unknown };
        cheapest = least_of(cheapest, choice.cost);
    }
    let unit = 1.0 / cheapest;
    let (mut least, mut equals) = (f32::INFINITY, 0);
    for (at, choice) in found.iter().enumerate() {
        let cost = choice.cost * unit;
        // Whether it is idle is as good as chance: no branch, which would be foretold wrong.
        let factor = if cost <= BAND { least_of(choice.in_flight, 1.0) } else { cost * cost };
        let load = factor * (choice.in_flight + 1.0) / choice.weight;
        let others = if load < least { 0 } else { equals };
        equals = others | u32::from(load <= least) << at;
        least = least_of(least, load);
    }
    equals
}

/// One instruction, other than `f32::min`, which has a word to say about what is no number.
fn least_of(a: f32, b: f32) -> f32 {
    if b < a { b } else { a }
}

/// Whose turn it is among these: one after the other, or by weight.
fn in_turn(found: &[Choice], equals: u32, turn: u64) -> usize {
    let weight = |at: &usize| found[*at].weight;
    let first = equals.trailing_zeros() as usize;
    if bits(equals).all(|at| weight(&at) == weight(&first)) {
        let nth = turn % u64::from(equals.count_ones());
        return bits(equals).zip(0..).find(|(_, n)| *n == nth).map_or(first, |(at, _)| at);
    }
    let mut left = part(turn) * bits(equals).map(|at| weight(&at)).sum::<f32>();
    let is_it = |at: &usize| {
        left -= weight(at);
        left < 0.0
    };
    bits(equals).find(is_it).unwrap_or(first)
}

/// The places of the bits that are set.
fn bits(mut word: u32) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let at = word.trailing_zeros() as usize;
        let is_there = word != 0;
        word &= word.wrapping_sub(1);
        is_there.then_some(at)
    })
}

/// Where a turn falls, from 0 to below 1: as even as it can be over any number of turns.
fn part(turn: u64) -> f32 {
    (turn.wrapping_mul(GOLDEN) >> 40) as f32 / (1_u32 << 24) as f32
}
