//! In turn, smoothly by weight: a precomputed sequence and one counter that all workers share.
//! The counter only says whose turn it is; it never skips because an endpoint is slow.

use std::sync::Arc;

use model::{Ask, Endpoint, InFlight, Live, Select};

use crate::{begin, keeps_turn};

/// Longest sequence. Weights whose sum is larger, once divided by their greatest common divisor,
/// are scaled down to it, each to at least 1: the shares then are near and no longer exact.
const SEQUENCE_MAX: u64 = 4096;

/// The smooth weighted sequence of nginx, written out for one whole period: in each step every
/// endpoint gains its weight, the highest wins and loses the sum of all weights. Weights 5, 1, 1
/// give `a a b a c a a`: each endpoint comes exactly `weight` times and as evenly as it can.
///
/// Endpoints past the 65,536th get no turn.
pub(crate) fn sequence(weights: &[u32]) -> Box<[u16]> {
    let count = u16::try_from(weights.len()).unwrap_or(u16::MAX);
    let weights = reduce(&weights[..usize::from(count)]);
    if weights.iter().all(|&weight| weight == 1) {
        return (0..count).collect();
    }
    let sum: i64 = weights.iter().sum();
    let mut credit = vec![0_i64; weights.len()];
    let mut out = Vec::new();
    for _ in 0..sum {
        let mut best = 0_u16;
        for (index, weight) in (0..count).zip(&weights) {
            credit[usize::from(index)] += weight;
            if credit[usize::from(index)] > credit[usize::from(best)] {
                best = index;
            }
        }
        credit[usize::from(best)] -= sum;
        out.push(best);
    }
    out.into()
}

/// Takes the next turn. When the endpoint whose turn it is does not take the request, the next one
/// in the sequence steps in and keeps its own turn.
#[derive(Debug)]
pub(crate) struct RoundRobin {
    endpoints: Arc<[Arc<Endpoint>]>,
    live: Arc<Live>,
    /// Indices of endpoints; empty when there are none.
    sequence: Box<[u16]>,
}

impl RoundRobin {
    pub(crate) fn new(endpoints: Arc<[Arc<Endpoint>]>, live: Arc<Live>) -> Self {
        let weights: Vec<u32> = endpoints.iter().map(|endpoint| endpoint.weight).collect();
        Self { endpoints, live, sequence: sequence(&weights) }
    }
}

impl Select for RoundRobin {
    fn pick(&self, ask: &Ask<'_>, rng: &mut fastrand::Rng) -> Option<InFlight> {
        let period = u64::try_from(self.sequence.len()).ok().filter(|&period| period > 0)?;
        let at = usize::try_from(self.live.take_turn() % period).ok()?;
        let first = usize::from(*self.sequence.get(at)?);
        let endpoint = self.endpoints.get(first)?;
        if keeps_turn(endpoint, rng)
            && let Some(begun) = begin(endpoint, ask)
        {
            return Some(begun);
        }
        let (before, after) = self.sequence.split_at(at);
        let mut last = first;
        let others = after.iter().chain(before).map(|&index| usize::from(index));
        let stepped_in = others.filter(|&index| index != first).find_map(|index| {
            if index == last {
                return None;
            }
            last = index;
            begin(self.endpoints.get(index)?, ask)
        });
        stepped_in.or_else(|| begin(endpoint, ask))
    }
}

/// The weights divided by their greatest common divisor, then scaled so that their sum is at most
/// `SEQUENCE_MAX`.
fn reduce(weights: &[u32]) -> Vec<i64> {
    let divisor = weights.iter().fold(0, |a, &b| gcd(a, b)).max(1);
    let sum: u64 = weights.iter().map(|&weight| u64::from(weight / divisor)).sum();
    let scale = |weight: u32| {
        let weight = u64::from(weight / divisor);
        let scaled = if sum > SEQUENCE_MAX { weight * SEQUENCE_MAX / sum } else { weight };
        i64::try_from(scaled.max(1)).unwrap_or(i64::MAX)
    };
    weights.iter().map(|&weight| scale(weight)).collect()
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}
