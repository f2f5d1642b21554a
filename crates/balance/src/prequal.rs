//! Prequal (NSDI 2024): probes of a few endpoints per request fill a small pool, and the rule "hot
//! or cold" picks from it. It asks nobody over the network: see [`look`].

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use model::{Ask, Endpoint, InFlight, Live, SHARE_FULL, Select, Time};

use crate::cost::BAND;
use crate::least_latency::LeastLatency;
use crate::{begin, may_take};

/// Below so many endpoints there is too little to choose from, and least latency picks: gains were
/// seen with a hundred that differ, and none with a few.
pub(crate) const ENDPOINTS_MIN: usize = 16;
/// Probes in the pool at most.
const PROBES: usize = 16;
/// Probes made per request.
const PROBES_PER_PICK: usize = 3;
/// With fewer usable probes least latency picks.
const USABLE_MIN: usize = 2;
/// A probe is forgotten after about a second, in units of 16 ms.
const AGE_MAX: u64 = 63;
/// Of so many hundredths of the probes, those with the most in flight, is said that they are hot.
const HOT_OF_100: usize = 16;
/// The most that four bits can count.
const USES_MAX: u64 = 15;
/// One request in flight at an endpoint of weight 1; fractions are those of heavier ones.
const ONE: u32 = 16;

/// The rules of the pool are the paper's. A new probe replaces the oldest; after each request one
/// more is removed, in turn the oldest and the worst; using a probe counts as one more in flight
/// there; and each is used as often as keeps the pool filled.
///
/// Of the cold ones, nearly equal latencies are equal, and then requests in flight decide: the
/// latency here is a peak-EWMA, which moves less than the paper's median but is not the same for
/// equal endpoints.
#[derive(Debug)]
pub(crate) struct Prequal {
    fallback: LeastLatency,
    /// Each a packed [`Probe`], or 0: one word, so that workers share it without waiting. When two
    /// change one at the same moment, one of the changes is lost.
    pool: [AtomicU64; PROBES],
    /// How often a probe may be used.
    uses_max: u64,
}

/// What was seen of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Probe {
    /// Its index, below 65,535.
    pub(crate) at: usize,
    /// What it had in flight, by weight; below 65,536.
    pub(crate) in_flight: u32,
    /// What answers took, in microseconds; 0 when nothing is known.
    pub(crate) us: f32,
    /// How often it was used.
    uses: u64,
    /// When, modulo 4096 units.
    made: u64,
}

/// Looks at an endpoint. In one process the balancer sees every request itself, so that a look
/// reads what is counted anyway. Where several Herders share instances, each counts but its own
/// part: then this is the place where what the instance or the other Herders say comes in.
fn look(at: usize, endpoint: &Endpoint, now: Time) -> Probe {
    let latency = endpoint.latency();
    let in_flight = endpoint.in_flight().saturating_mul(one(endpoint));
    let surcharge = latency.surcharge(now);
    let us = match latency.estimate_us(now) {
        Some(us) => us * surcharge,
        None if surcharge > BAND => f32::MAX,
        None => 0.0,
    };
    Probe { at, in_flight: in_flight.min(u32::from(u16::MAX)), us, uses: 0, made: moment(now) }
}

impl Prequal {
    pub(crate) fn new(endpoints: Arc<[Arc<Endpoint>]>, live: Arc<Live>) -> Self {
        let uses_max = uses_max(endpoints.len());
        let pool = [const { AtomicU64::new(0) }; PROBES];
        Self { fallback: LeastLatency { endpoints, live }, pool, uses_max }
    }

    /// Makes new probes, each in place of the oldest.
    fn refill(&self, ask: &Ask<'_>, rng: &mut fastrand::Rng) {
        let endpoints = &self.fallback.endpoints;
        for _ in 0..PROBES_PER_PICK {
            let at = rng.usize(..endpoints.len().min(usize::from(u16::MAX)));
            if may_take(&endpoints[at], ask) {
                let oldest = self.pool.iter().max_by_key(|word| age(word, ask.now));
                if let Some(place) = oldest {
                    place.store(look(at, &endpoints[at], ask.now).pack(), Ordering::Relaxed);
                }
            }
        }
    }

    /// The probes that may be used, with their places.
    fn usable(&self, ask: &Ask<'_>, found: &mut [(usize, Probe); PROBES]) -> usize {
        let mut count = 0;
        for (place, word) in self.pool.iter().enumerate() {
            let Some(probe) = Probe::unpack(word.load(Ordering::Relaxed)) else { continue };
            let endpoint = self.fallback.endpoints.get(probe.at);
            if probe.age(ask.now) <= AGE_MAX && endpoint.is_some_and(|e| may_take(e, ask)) {
                found[count] = (place, probe);
                count += 1;
            }
        }
        count
    }

    /// Counts a use, and takes the probe out after the last one.
    fn used(&self, place: usize, probe: Probe) {
        let uses = probe.uses + 1;
        let one = one(&self.fallback.endpoints[probe.at]);
        let in_flight = (probe.in_flight + one).min(u32::from(u16::MAX));
        let word = match uses < self.uses_max {
            true => Probe { uses, in_flight, ..probe }.pack(),
            false => 0,
        };
        self.pool[place].store(word, Ordering::Relaxed);
    }

    /// Takes one out, in turn the oldest and the worst.
    fn remove(&self, turn: u64, probes: &[(usize, Probe)], now: Time) {
        let removed = match turn % 2 {
            0 => probes.iter().max_by_key(|(_, probe)| probe.age(now)),
            _ => probes.iter().max_by(|(_, a), (_, b)| {
                let is_hot = |probe: &Probe| probe.in_flight > hot_above(probes);
                let key = |p: &Probe| if is_hot(p) { (1, p.in_flight as f32) } else { (0, p.us) };
                key(a).partial_cmp(&key(b)).unwrap_or(std::cmp::Ordering::Equal)
            }),
        };
        if let Some((place, _)) = removed {
            self.pool[*place].store(0, Ordering::Relaxed);
        }
    }
}

impl Select for Prequal {
    fn pick(&self, ask: &Ask<'_>, rng: &mut fastrand::Rng) -> Option<InFlight> {
        let endpoints = &self.fallback.endpoints;
        if endpoints.len() < ENDPOINTS_MIN {
            return self.fallback.pick(ask, rng);
        }
        self.refill(ask, rng);
        let mut found = [(0, Probe::seen(0, 0, 0.0)); PROBES];
        let count = self.usable(ask, &mut found);
        let probes = &found[..count];
        let best = if count < USABLE_MIN { None } else { best(probes) };
        let Some(&(place, probe)) = best else {
            return self.fallback.pick(ask, rng);
        };
        self.remove(self.fallback.live.take_turn(), probes, ask.now);
        self.used(place, probe);
        begin(&endpoints[probe.at], ask).or_else(|| self.fallback.pick(ask, rng))
    }
}

/// The fastest of the cold ones; of nearly equal ones that with the least in flight.
pub(crate) fn best(probes: &[(usize, Probe)]) -> Option<&(usize, Probe)> {
    let limit = hot_above(probes);
    let cold = || probes.iter().filter(|(_, probe)| probe.in_flight <= limit);
    let known = cold().map(|(_, probe)| probe.us).filter(|&us| us > 0.0);
    let fast = known.fold(f32::INFINITY, f32::min) * BAND;
    cold().filter(|(_, probe)| probe.us <= fast).min_by_key(|(_, probe)| probe.in_flight)
}

/// What the hottest of those that are cold has in flight.
fn hot_above(probes: &[(usize, Probe)]) -> u32 {
    let hot = probes.len() * HOT_OF_100 / 100;
    let mut most = [0; PROBES * HOT_OF_100 / 100 + 1];
    for (_, probe) in probes {
        let mut rising = probe.in_flight;
        for place in &mut most[..=hot] {
            if rising > *place {
                std::mem::swap(&mut rising, place);
            }
        }
    }
    most[hot]
}

/// The paper's reuse of a probe, `max(1, (1 + δ) / ((1 - m / n) · made - removed))` with `δ` 1, for
/// a pool of `m` probes of `n` endpoints.
pub(crate) fn uses_max(endpoints: usize) -> u64 {
    let others = 1.0 - PROBES as f64 / endpoints.max(PROBES) as f64;
    let gained = others * PROBES_PER_PICK as f64 - 1.0;
    (1..USES_MAX).find(|&uses| uses as f64 * gained >= 2.0).unwrap_or(USES_MAX)
}

/// What one request in flight counts.
fn one(endpoint: &Endpoint) -> u32 {
    let weight = u64::from(endpoint.weight) * u64::from(endpoint.share());
    let one = u64::from(ONE * SHARE_FULL).div_ceil(weight.max(1));
    u32::try_from(one).unwrap_or(u32::MAX)
}

/// The oldest is what is not there.
fn age(word: &AtomicU64, now: Time) -> u64 {
    Probe::unpack(word.load(Ordering::Relaxed)).map_or(u64::MAX, |probe| probe.age(now))
}

fn moment(now: Time) -> u64 {
    (now.as_ms() >> 4) & 0xfff
}

impl Probe {
    pub(crate) fn seen(at: usize, in_flight: u32, us: f32) -> Self {
        Self { at, in_flight, us, uses: 0, made: 0 }
    }

    fn age(&self, now: Time) -> u64 {
        moment(now).wrapping_sub(self.made) & 0xfff
    }

    /// Index and one, in flight, the upper half of the latency, uses, and when.
    fn pack(self) -> u64 {
        (self.at as u64 + 1) << 48
            | u64::from(self.in_flight) << 32
            | u64::from(self.us.to_bits() >> 16) << 16
            | self.uses << 12
            | self.made
    }

    fn unpack(word: u64) -> Option<Self> {
        let at = usize::try_from(word >> 48).ok()?.checked_sub(1)?;
        let [_, _, in_flight @ .., high, low, _, _] = word.to_be_bytes();
        Some(Self {
            at,
            in_flight: u32::from(u16::from_be_bytes(in_flight)),
            us: f32::from_be_bytes([high, low, 0, 0]),
            uses: word >> 12 & 0xf,
            made: word & 0xfff,
        })
    }
}
