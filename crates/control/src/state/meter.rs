//! What is asked of one service: its counters, once a second, as a sample.
//! Every service is measured, whether or not its number follows anything; what a sample means is
//! for the autoscaler, and for whoever keeps samples, to say.

use std::collections::BTreeMap;
use std::time::Duration;

use model::Time;
use scale::Sample;

use crate::state::service::{ServiceState, Standing};

/// Between two looks at what is in flight where the number of instances follows demand. Ten in a
/// second make a mean, and who sleeps wakes up within one.
const LOOK: Duration = Duration::from_millis(100);
/// Between two samples, and two looks elsewhere.
const SECOND: Duration = Duration::from_secs(1);

/// The second that runs, and the counters as they stood before it.
#[derive(Debug)]
pub(crate) struct Meter {
    gauge: Gauge,
    counted: Counted,
}

/// What is in flight and what waits, over the second that runs.
#[derive(Debug)]
struct Gauge {
    began_at: Time,
    /// When it ends.
    until: Time,
    looked_at: Time,
    in_flight_s: f64,
    queued_s: f64,
}

/// Counters as they stood.
#[derive(Debug, Default)]
struct Counted {
    /// By instance: requests begun, and of these ended.
    instances: BTreeMap<u32, (u64, u64)>,
    waiting: u32,
    turned_away: u64,
}

impl Gauge {
    /// That of the second that begins now, after one that was to end at `before`. Seconds follow
    /// each other evenly, however late each is noticed: who counts in whole ones misses none.
    fn begin(now: Time, before: Time) -> Self {
        // After a second that was cut short there is the rest of it, if that is enough to measure.
        let next = if before > now + SECOND / 2 { before } else { before + SECOND };
        let until = if next > now { next } else { now + SECOND };
        Self { began_at: now, until, looked_at: now, in_flight_s: 0.0, queued_s: 0.0 }
    }
}

impl ServiceState {
    /// Looks at what is in flight. Returns a sample when a second is over, or when somebody waits
    /// for a service that sleeps.
    pub(crate) fn measure(&mut self, now: Time) -> Option<Sample> {
        if self.standing != Standing::Configured {
            self.meter = None;
            return None;
        }
        let Some(mut meter) = self.meter.take() else {
            self.meter = Some(Meter { gauge: Gauge::begin(now, now), counted: self.counted() });
            return None;
        };
        self.look(&mut meter.gauge, now);
        let gauge = &meter.gauge;
        // Who sleeps does not let the first request wait for the end of a second.
        let wakes = self.follows_demand()
            && self.decision.count == 0
            && self.live.waiting() > 0
            && now > gauge.began_at;
        let sample = (now >= gauge.until || wakes).then(|| self.sample(&mut meter, now));
        self.meter = Some(meter);
        sample
    }

    /// When it wants to look again.
    pub(crate) fn looks_at(&self) -> Option<Time> {
        let gauge = &self.meter.as_ref()?.gauge;
        let look = if self.follows_demand() { LOOK } else { SECOND };
        Some(gauge.until.min(gauge.looked_at + look))
    }

    fn look(&self, gauge: &mut Gauge, now: Time) {
        let passed_s = now.since(gauge.looked_at).as_secs_f64();
        if passed_s > 0.0 {
            let in_flight: u32 = self.staying().map(|instance| instance.in_flight()).sum();
            gauge.in_flight_s += f64::from(in_flight) * passed_s;
            gauge.queued_s += f64::from(self.live.waiting()) * passed_s;
            gauge.looked_at = now;
        }
    }

    fn sample(&self, meter: &mut Meter, now: Time) -> Sample {
        let before = std::mem::replace(&mut meter.counted, self.counted());
        let begun = Gauge::begin(now, meter.gauge.until);
        let gauge = std::mem::replace(&mut meter.gauge, begun);
        let (arrivals, completions) = meter.counted.since(&before);
        let passed_s = now.since(gauge.began_at).as_secs_f64();
        Sample {
            at: now.min(gauge.until),
            arrivals: arrivals as f64 / passed_s,
            completions: completions as f64 / passed_s,
            in_flight: gauge.in_flight_s / passed_s,
            queued: gauge.queued_s / passed_s,
            queue_time: self.live.oldest_waiting(),
            ..Sample::default()
        }
    }

    fn counted(&self) -> Counted {
        let counters = self.staying().filter_map(|instance| {
            let endpoint = instance.endpoint.as_ref()?;
            let in_flight = u64::from(endpoint.in_flight());
            let requests = endpoint.requests();
            Some((instance.id.number, (requests, requests.saturating_sub(in_flight))))
        });
        Counted {
            instances: counters.collect(),
            waiting: self.live.waiting(),
            turned_away: self.live.turned_away(),
        }
    }
}

impl Counted {
    /// How many requests came and how many ended since then; those of an instance that is gone
    /// meanwhile have been missed.
    fn since(&self, before: &Self) -> (u64, u64) {
        let (mut begun, mut ended) = (0, 0);
        for (number, now) in &self.instances {
            let was = before.instances.get(number).copied().unwrap_or_default();
            begun += now.0.saturating_sub(was.0);
            ended += now.1.saturating_sub(was.1);
        }
        let left = self.turned_away.saturating_sub(before.turned_away);
        // Who began to wait and still does has come; who began before and was served came earlier.
        let came = begun + left + u64::from(self.waiting);
        (came.saturating_sub(u64::from(before.waiting)), ended)
    }
}
