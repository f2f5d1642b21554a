//! A service that does what is decided: instances start, are ready after a while, and go at once.
//! Load comes from outside; nothing here judges a decision.

use std::time::Duration;

use model::{Autoscale, Phase, Time};
use scale::{Bounds, Decision, Look, Member, Memory, Sample, Window, decide};

/// Requests at once that keep an instance busy.
const BUSY: f64 = 10.0;

/// What comes in one second.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Load {
    /// So many requests, which take a second and are all answered.
    Of(f64),
    /// Nobody knows.
    Unknown,
    /// A sample of these numbers, whatever they are.
    Odd([f64; 4]),
}

/// What happened in one second.
#[derive(Clone, Debug)]
pub(crate) struct Tick {
    pub(crate) now: Time,
    pub(crate) decision: Decision,
    /// How many were ready when it was made.
    pub(crate) ready: u32,
    /// How long there has been no sample.
    pub(crate) blind: Duration,
}

#[derive(Clone)]
pub(crate) struct World {
    pub(crate) autoscale: Autoscale,
    pub(crate) memory: Memory,
    pub(crate) window: Window,
    pub(crate) members: Vec<Member>,
    pub(crate) now: Time,
    pub(crate) bounds: Bounds,
    pub(crate) start_up: Duration,
    sampled_at: Time,
}

impl World {
    /// One that has run with so many instances for an hour.
    pub(crate) fn new(autoscale: &Autoscale, count: u32, now: Time) -> Self {
        let mut world = Self {
            autoscale: autoscale.clone(),
            memory: Memory::new(autoscale, count, now),
            window: Window::of(autoscale),
            members: Vec::new(),
            now,
            bounds: Bounds {
                min: 1,
                max: 100_000,
                room: None,
                share: None,
                calendar: 0,
                forecast: 0,
            },
            start_up: Duration::from_secs(3),
            sampled_at: now,
        };
        let long_ago = Time::from_ms(now.as_ms().saturating_sub(3_600_000));
        world.order(count, long_ago);
        for member in &mut world.members {
            member.phase = Phase::Ready;
        }
        world
    }

    fn order(&mut self, count: u32, at: Time) {
        let member = Member {
            phase: Phase::Starting,
            ordered_at: at,
            since: at,
            in_flight: 0,
            cpu: None,
            memory: None,
        };
        self.members.resize(count as usize, member);
    }

    pub(crate) fn ready(&self) -> u32 {
        let ready = self.members.iter().filter(|member| member.phase == Phase::Ready);
        u32::try_from(ready.count()).unwrap()
    }

    /// One second passes.
    pub(crate) fn tick(&mut self, load: Load) -> Tick {
        self.now = self.now + Duration::from_secs(1);
        self.order(self.memory.desired().min(2000), self.now);
        let ready = self.ready();
        let used = match load {
            Load::Of(requests) => Some((requests / (BUSY * f64::from(ready.max(1)))).min(1.0)),
            Load::Unknown => None,
            Load::Odd(odd) => Some(odd[3]),
        };
        for member in &mut self.members {
            if member.phase == Phase::Starting && self.now.since(member.ordered_at) >= self.start_up
            {
                (member.phase, member.since) = (Phase::Ready, self.now);
            }
            let used = used.filter(|_| member.phase == Phase::Ready);
            (member.cpu, member.memory) = (used, used);
        }
        self.sample(load, used);
        let decision = self.decide();
        let blind = self.now.since(self.sampled_at);
        Tick { now: self.now, decision, ready: self.ready(), blind }
    }

    fn sample(&mut self, load: Load, used: Option<f64>) {
        let [arrivals, in_flight, queued, _] = match load {
            Load::Of(requests) => [requests, requests, requests / 10.0, 0.0],
            Load::Unknown => return,
            Load::Odd(odd) => odd,
        };
        let queue_time = Duration::try_from_secs_f64(queued / 1000.0).ok();
        self.sampled_at = self.now;
        self.window.push(Sample {
            at: self.now,
            arrivals,
            completions: arrivals,
            in_flight,
            queued,
            queue_time,
            latency: queue_time,
            cpu: used,
            memory: used,
            prometheus: used,
        });
    }

    /// Decides without letting time pass.
    pub(crate) fn decide(&mut self) -> Decision {
        let look = Look {
            now: self.now,
            window: &self.window,
            members: &self.members,
            start_up: Some(self.start_up),
            is_rolling_out: false,
            is_failing_to_start: false,
            bounds: self.bounds,
        };
        decide(&self.autoscale, &mut self.memory, &look)
    }

    pub(crate) fn run(&mut self, loads: &[Load]) -> Vec<Tick> {
        loads.iter().map(|&load| self.tick(load)).collect()
    }

    /// Herder ends and begins anew: what it saw and remembered is gone, instances run on.
    pub(crate) fn restart(&mut self) {
        self.memory = Memory::new(&self.autoscale, self.memory.desired(), self.now);
        self.window = Window::of(&self.autoscale);
    }
}
