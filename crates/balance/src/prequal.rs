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
const AGE_MAX: u16 = 63;
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
    /// Its place in the pool, if it is there.
    pub(crate) place: u16,
    /// Its index, below 65,535.
    pub(crate) at: u16,
    /// What it had in flight, by weight.
    pub(crate) in_flight: u16,
    /// How often it was used.
    uses: u8,
    /// When, modulo 4096 units.
    made: u16,
    /// What answers took, in microseconds; 0 when nothing is known.
    pub(crate) us: f32,
}

/// Looks at an endpoint. In one process the balancer sees every request itself, so that a look
/// reads what is counted anyway. Where several Herders share instances, each counts but its own
/// part: then this is the place where what the instance or the other Herders say comes in.
fn look(at: u16, endpoint: &Endpoint, now: Time) -> Probe {
    let latency = endpoint.latency();
    let in_flight = fits(endpoint.in_flight().saturating_mul(one(endpoint)));
    let surcharge = latency.surcharge(now);
    let us = match latency.estimate_us(now) {
        Some(us) => us * surcharge,
        None if surcharge > BAND => f32::MAX,
        None => 0.0,
    };
    Probe { place: 0, at, in_flight, us, uses: 0, made: moment(now) }
}

impl Prequal {
    pub(crate) fn new(endpoints: Arc<[Arc<Endpoint>]>, live: Arc<Live>) -> Self {
        let uses_max = uses_max(endpoints.len());
        let pool = [const { AtomicU64::new(0) }; PROBES];
        Self { fallback: LeastLatency { endpoints, live }, pool, uses_max }
    }

    /// Makes new probes, each in place of the oldest.
    fn refill(&self, words: &mut [u64; PROBES], ask: &Ask<'_>, rng: &mut fastrand::Rng) {
        let endpoints = &self.fallback.endpoints;
        let mut ages = ages(words, ask.now);
        for _ in 0..PROBES_PER_PICK {
            let at = rng.u16(..fits_index(endpoints.len()));
            if may_take(&endpoints[usize::from(at)], ask) {
                let place = oldest(&ages);
                let word = look(at, &endpoints[usize::from(at)], ask.now).pack();
                ages[usize::from(place)] = place;
                words[usize::from(place)] = word;
                self.pool[usize::from(place)].store(word, Ordering::Relaxed);
            }
        }
    }

    /// The best of the probes, and how much their hottest cold one has in flight. One whose
    /// endpoint takes nothing any more is forgotten.
    fn choose(&self, probes: &mut Probes, ask: &Ask<'_>) -> Option<(Probe, u16)> {
        loop {
            if probes.count < USABLE_MIN {
                return None;
            }
            let hot_above = hot_above(probes.all());
            let nth = best(probes.all(), hot_above)?;
            let probe = probes.found[nth];
            if may_take(&self.fallback.endpoints[usize::from(probe.at)], ask) {
                return Some((probe, hot_above));
            }
            probes.forget(nth);
        }
    }

    /// Counts a use, and takes the probe out after the last one.
    fn used(&self, probe: Probe) {
        let uses = probe.uses + 1;
        let one = one(&self.fallback.endpoints[usize::from(probe.at)]);
        let in_flight = fits(u32::from(probe.in_flight).saturating_add(one));
        let word = match u64::from(uses) < self.uses_max {
            true => Probe { uses, in_flight, ..probe }.pack(),
            false => 0,
        };
        self.pool[usize::from(probe.place)].store(word, Ordering::Relaxed);
    }

    /// Takes one out, in turn the oldest and the worst.
    fn remove(&self, turn: u64, probes: &[Probe], hot_above: u16, now: Time) {
        let removed = match turn % 2 {
            0 => probes.iter().max_by_key(|probe| probe.age(now)),
            _ => probes.iter().max_by_key(|probe| match probe.in_flight > hot_above {
                true => (true, u32::from(probe.in_flight)),
                // Its bits are in the order of the numbers, as none is below zero.
                false => (false, probe.us.to_bits()),
            }),
        };
        if let Some(probe) = removed {
            self.pool[usize::from(probe.place)].store(0, Ordering::Relaxed);
        }
    }
}

/// The probes that may be used.
struct Probes {
    found: [Probe; PROBES],
    count: usize,
}

impl Probes {
    fn of(words: &[u64; PROBES], now: Time) -> Self {
        let mut probes = Self { found: [Probe::seen(0, 0, 0.0); PROBES], count: 0 };
        for (place, &word) in (0..).zip(words) {
            let probe = Probe { place, ..Probe::unpack(word) };
            probes.found[probes.count] = probe;
            // No branch: the next one takes its place.
            probes.count += usize::from(word != 0 && probe.age(now) <= AGE_MAX);
        }
        probes
    }

    fn all(&self) -> &[Probe] {
        &self.found[..self.count]
    }

    fn forget(&mut self, nth: usize) {
        self.count -= 1;
        self.found.swap(nth, self.count);
    }
}

impl Select for Prequal {
    fn pick(&self, ask: &Ask<'_>, rng: &mut fastrand::Rng) -> Option<InFlight> {
        let endpoints = &self.fallback.endpoints;
        if endpoints.len() < ENDPOINTS_MIN {
            return self.fallback.pick(ask, rng);
        }
        let mut words = [0; PROBES];
        for (word, shared) in words.iter_mut().zip(&self.pool) {
            *word = shared.load(Ordering::Relaxed);
        }
        self.refill(&mut words, ask, rng);
        let mut probes = Probes::of(&words, ask.now);
        let Some((probe, hot_above)) = self.choose(&mut probes, ask) else {
            return self.fallback.pick(ask, rng);
        };
        let turn = self.fallback.live.take_turn_loosely();
        self.remove(turn, probes.all(), hot_above, ask.now);
        self.used(probe);
        let begun = begin(&endpoints[usize::from(probe.at)], ask);
        begun.or_else(|| self.fallback.pick(ask, rng))
    }
}

/// Which is the fastest of the cold ones; of nearly equal ones that with the least in flight.
pub(crate) fn best(probes: &[Probe], hot_above: u16) -> Option<usize> {
    let mut fast = f32::INFINITY;
    for probe in probes {
        let is_known = probe.in_flight <= hot_above && probe.us > 0.0;
        let us = if is_known { probe.us } else { f32::INFINITY };
        fast = if us < fast { us } else { fast };
    }
    fast *= BAND;
    let mut best = None;
    for (nth, probe) in probes.iter().enumerate() {
        let is_good = probe.in_flight <= hot_above && probe.us <= fast;
        if is_good && best.is_none_or(|(least, _)| probe.in_flight < least) {
            best = Some((probe.in_flight, nth));
        }
    }
    best.map(|(_, nth)| nth)
}

/// What the hottest of those that are cold has in flight.
pub(crate) fn hot_above(probes: &[Probe]) -> u16 {
    let mut most = [0; PROBES * HOT_OF_100 / 100 + 1];
    for probe in probes {
        let mut rising = probe.in_flight;
        for place in &mut most {
            (*place, rising) = (rising.max(*place), rising.min(*place));
        }
    }
    most[probes.len() * HOT_OF_100 / 100]
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
    let share = endpoint.share();
    if endpoint.weight == 1 && share == SHARE_FULL {
        return ONE;
    }
    let weight = u64::from(endpoint.weight) * u64::from(share);
    let one = u64::from(ONE * SHARE_FULL).div_ceil(weight.max(1));
    u32::try_from(one).unwrap_or(u32::MAX)
}

fn fits(in_flight: u32) -> u16 {
    u16::try_from(in_flight).unwrap_or(u16::MAX)
}

/// The bound of what is probed in a pool of so many.
fn fits_index(endpoints: usize) -> u16 {
    u16::try_from(endpoints).unwrap_or(u16::MAX)
}

/// The ages of the probes, each above its place; what is not there is older than all.
fn ages(words: &[u64; PROBES], now: Time) -> [u16; PROBES] {
    let now = moment(now);
    let mut ages = [0; PROBES];
    for (place, (age, &word)) in (0_u16..).zip(ages.iter_mut().zip(words)) {
        let made = made(word);
        let empty = if word == 0 { u16::MAX } else { 0 };
        *age = (now.wrapping_sub(made) << 4) | empty & 0xfff0 | place;
    }
    ages
}

/// The place of the oldest.
fn oldest(ages: &[u16; PROBES]) -> u16 {
    let mut oldest = 0;
    for &age in ages {
        oldest = age.max(oldest);
    }
    oldest & 0xf
}

/// After so many units the count of them begins again.
const MADE: u16 = 0xfff;

/// When a probe was made.
fn made(word: u64) -> u16 {
    (word & 0xfff) as u16
}

fn moment(now: Time) -> u16 {
    made(now.as_ms() >> 4)
}

impl Probe {
    pub(crate) fn seen(at: u16, in_flight: u16, us: f32) -> Self {
        Self { place: 0, at, in_flight, us, uses: 0, made: 0 }
    }

    fn age(&self, now: Time) -> u16 {
        moment(now).wrapping_sub(self.made) & MADE
    }

    /// Index and one, in flight, the upper half of the latency, uses, and when.
    fn pack(self) -> u64 {
        (u64::from(self.at) + 1) << 48
            | u64::from(self.in_flight) << 32
            | u64::from(self.us.to_bits() >> 16) << 16
            | u64::from(self.uses) << 12
            | u64::from(self.made)
    }

    /// Nobody's, if the word is 0.
    fn unpack(word: u64) -> Self {
        let [a, b, c, d, high, low, ..] = word.to_be_bytes();
        Self {
            place: 0,
            at: u16::from_be_bytes([a, b]).wrapping_sub(1),
            in_flight: u16::from_be_bytes([c, d]),
            us: f32::from_be_bytes([high, low, 0, 0]),
            uses: (word >> 12 & USES_MAX) as u8,
            made: made(word),
        }
    }
}
