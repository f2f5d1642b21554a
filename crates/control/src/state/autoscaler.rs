//! What the autoscaler of one service sees and decides: counters into samples, samples into a
//! desired number. How they become one is `scale`'s business, who starts and stops is `plan`'s.

use std::collections::BTreeMap;
use std::time::Duration;

use model::{Phase, ScaleMode, ScalePolicy, Source, Time};
use scale::{Bounds, Look, Member, Memory, Sample, Window};

use crate::journal::Journal;
use crate::state::decision::{By, Decision};
use crate::state::service::{ServiceState, Standing};
use crate::{Kind, ScalingView};

/// Between two looks at what is in flight. Ten in a second make a mean; a service that sleeps wakes
/// up within one.
const LOOK: Duration = Duration::from_millis(100);
/// Between two decisions.
const SECOND: Duration = Duration::from_secs(1);
/// Starts that are remembered, to know how long one takes.
const STARTS_MAX: usize = 20;

/// What an autoscaler knows. It is made anew from what runs when the policy changes.
#[derive(Debug)]
pub(crate) struct Autoscaler {
    window: Window,
    memory: Memory,
    gauge: Gauge,
    /// What was counted up to the last sample.
    counted: Counted,
    /// The last decision, and when it was made.
    last: Option<(Time, scale::Decision)>,
}

/// What is in flight and what waits, over the second that runs.
#[derive(Debug)]
struct Gauge {
    began_at: Time,
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

impl Autoscaler {
    fn begin(service: &ServiceState, now: Time) -> Self {
        let autoscale = &service.policy.autoscale;
        let mut begun = Self {
            window: Window::new(scale::span(autoscale)),
            memory: Memory::new(autoscale, service.decision.count, now),
            gauge: Gauge { began_at: now, looked_at: now, in_flight_s: 0.0, queued_s: 0.0 },
            counted: Counted::default(),
            last: None,
        };
        begun.count(service);
        begun
    }

    /// Takes the counters as they stand. Returns how many requests came and how many ended since
    /// the last time; those of an instance that is gone meanwhile have been missed.
    fn count(&mut self, service: &ServiceState) -> (u64, u64) {
        let before = std::mem::take(&mut self.counted);
        let (mut begun, mut ended) = (0, 0);
        for instance in service.staying() {
            let Some(endpoint) = &instance.endpoint else { continue };
            let in_flight = u64::from(endpoint.in_flight());
            let requests = endpoint.requests();
            let now = (requests, requests.saturating_sub(in_flight));
            let was = before.instances.get(&instance.id.number).copied().unwrap_or_default();
            begun += now.0.saturating_sub(was.0);
            ended += now.1.saturating_sub(was.1);
            self.counted.instances.insert(instance.id.number, now);
        }
        self.counted.waiting = service.live.waiting();
        self.counted.turned_away = service.live.turned_away();
        let left = self.counted.turned_away.saturating_sub(before.turned_away);
        // Who began to wait and still does has come; who began before and was served came earlier.
        let came = begun + left + u64::from(self.counted.waiting);
        (came.saturating_sub(u64::from(before.waiting)), ended)
    }
}

impl ServiceState {
    /// Looks at what is in flight, and once a second decides. Nothing, for a service whose number
    /// does not follow anything.
    pub(crate) fn autoscale(&mut self, now: Time, journal: &mut Journal) {
        let follows = self.standing == Standing::Configured
            && !self.policy.autoscale.is_fixed()
            && matches!(self.policy.source, Source::Command(_));
        if !follows {
            self.autoscaler = None;
            return;
        }
        let mut autoscaler = match self.autoscaler.take() {
            Some(autoscaler) => autoscaler,
            None => Autoscaler::begin(self, now),
        };
        self.look(&mut autoscaler, now);
        let passed = now.since(autoscaler.gauge.began_at);
        // Who sleeps does not let the first request wait for the end of a second.
        let wakes = self.decision.count == 0 && self.live.waiting() > 0 && !passed.is_zero();
        if passed >= SECOND || wakes {
            let sample = self.sample(&mut autoscaler, now);
            autoscaler.window.push(sample);
            self.follow(&mut autoscaler, now, journal);
        }
        self.autoscaler = Some(autoscaler);
    }

    /// When it wants to look again.
    pub(crate) fn looks_at(&self) -> Option<Time> {
        Some(self.autoscaler.as_ref()?.gauge.looked_at + LOOK)
    }

    /// Forgets what another policy has seen.
    pub(crate) fn forget_demand(&mut self) {
        self.autoscaler = None;
    }

    /// Remembers how long a start took.
    pub(crate) fn learn_start(&mut self, took: Duration) {
        self.starts.push_back(took);
        if self.starts.len() > STARTS_MAX {
            self.starts.pop_front();
        }
    }

    /// What nine of ten starts took less than.
    fn start_up(&self) -> Option<Duration> {
        let mut starts: Vec<Duration> = self.starts.iter().copied().collect();
        starts.sort_unstable();
        starts.get((starts.len() * 9).div_ceil(10).checked_sub(1)?).copied()
    }

    fn look(&self, autoscaler: &mut Autoscaler, now: Time) {
        let gauge = &mut autoscaler.gauge;
        let passed_s = now.since(gauge.looked_at).as_secs_f64();
        if passed_s > 0.0 {
            let in_flight: u32 = self.staying().map(|instance| instance.in_flight()).sum();
            gauge.in_flight_s += f64::from(in_flight) * passed_s;
            gauge.queued_s += f64::from(self.live.waiting()) * passed_s;
            gauge.looked_at = now;
        }
    }

    fn sample(&self, autoscaler: &mut Autoscaler, now: Time) -> Sample {
        let (arrivals, completions) = autoscaler.count(self);
        let begun = Gauge { began_at: now, looked_at: now, in_flight_s: 0.0, queued_s: 0.0 };
        let gauge = std::mem::replace(&mut autoscaler.gauge, begun);
        let passed_s = now.since(gauge.began_at).as_secs_f64();
        Sample {
            at: now,
            arrivals: arrivals as f64 / passed_s,
            completions: completions as f64 / passed_s,
            in_flight: gauge.in_flight_s / passed_s,
            queued: gauge.queued_s / passed_s,
            queue_time: self.live.oldest_waiting(),
            latency: None,
            cpu: None,
            memory: None,
        }
    }

    fn follow(&mut self, autoscaler: &mut Autoscaler, now: Time, journal: &mut Journal) {
        let members: Vec<Member> = self
            .instances
            .values()
            .map(|instance| Member {
                phase: instance.phase(),
                ordered_at: instance.ordered_at,
                since: instance.since(),
                in_flight: instance.in_flight(),
                cpu: None,
                memory: None,
            })
            .collect();
        let look = Look {
            now,
            window: &autoscaler.window,
            members: &members,
            start_up: self.start_up(),
            is_rolling_out: self.rollout.is_some(),
            is_failing_to_start: self.backoff.holds(now),
            bounds: Bounds {
                min: self.policy.scale.min,
                max: self.policy.scale.max,
                room: None,
                floor: 0,
            },
        };
        let is_obeyed =
            self.policy.autoscale.mode == ScaleMode::Act && self.decision.by != By::Operator;
        let count = self.decision.count;
        if !is_obeyed {
            autoscaler.memory.was_unheeded(count);
        } else if autoscaler.memory.desired() != count {
            // What an operator or a reload has changed meanwhile is where it goes on from.
            autoscaler.memory.set(count);
        }
        let decided = scale::decide(&self.policy.autoscale, &mut autoscaler.memory, &look);
        if is_obeyed {
            let decision =
                Decision { count: decided.desired, reason: decided.reason(), by: By::Autoscaler };
            self.decide(now, decision, journal);
        } else if autoscaler.last.as_ref().is_none_or(|(_, last)| last.desired != decided.desired) {
            let name = &self.policy.name;
            let (desired, reason) = (decided.desired, decided.reason());
            let text = format!("{name}: {desired} would be desired ({reason})");
            journal.service(now, Kind::Decision, name, text);
        }
        autoscaler.last = Some((now, decided));
    }

    /// What the autoscaler has to say, if there is one.
    pub(crate) fn scaling_view(&self) -> Option<ScalingView> {
        let autoscaler = self.autoscaler.as_ref()?;
        let autoscale = &self.policy.autoscale;
        Some(ScalingView {
            policy: match autoscale.policy {
                ScalePolicy::Fixed => "fixed",
                ScalePolicy::Target(_) => "target",
                ScalePolicy::Hpa(_) => "hpa",
                ScalePolicy::Kpa(_) => "kpa",
                ScalePolicy::Step(_) => "step",
            },
            mode: autoscale.mode,
            is_overruled: self.decision.by == By::Operator,
            idle_after: autoscale.idle_after,
            start_up: self.start_up(),
            decision: autoscaler.last.clone(),
            ready: u32::try_from(self.ready().count()).unwrap_or(u32::MAX),
            starting: self.count_phase(Phase::Starting),
        })
    }

    fn count_phase(&self, phase: Phase) -> u32 {
        let count = self.instances.values().filter(|instance| instance.phase() == phase).count();
        u32::try_from(count).unwrap_or(u32::MAX)
    }
}
