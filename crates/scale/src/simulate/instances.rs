//! Made-up instances: ordered, started, given requests, drained, dead.
//! They decide nothing; who is taken away is decided as for real ones.

use std::collections::VecDeque;

use model::{Phase, Time};

use crate::look::Member;
use crate::simulate::{PARALLEL, STEPS_PER_S, Step};

/// What an idle instance uses of its memory.
const MEMORY: f64 = 0.3;
/// A draining instance with requests is stopped after this.
const DRAIN_MAX: Step = 30 * STEPS_PER_S;

/// One of them.
#[derive(Clone, Debug)]
pub(super) struct Instance {
    /// Tells it from earlier ones at the same place.
    pub(super) number: u64,
    pub(super) phase: Phase,
    ordered: Step,
    since: Step,
    /// When it becomes ready, or is stopped.
    due: Step,
    /// Which rollout it belongs to.
    pub(super) revision: u32,
    /// Requests that it works on.
    pub(super) busy: u32,
    /// Requests that wait inside it, by when they came.
    pub(super) waiting: VecDeque<Step>,
    /// The sum of `busy` over the steps of this second.
    worked: u32,
}

/// All that are not gone.
#[derive(Clone, Debug, Default)]
pub(super) struct Instances {
    places: Vec<Option<Instance>>,
    ever: u64,
    pub(super) revision: u32,
    /// Orders to ready, in steps, of the latest starts.
    starts: VecDeque<Step>,
    /// Of this second.
    pub(super) became_ready: u32,
}

/// How many starts are remembered.
const STARTS_KEPT: usize = 20;

impl Instances {
    pub(super) fn order(&mut self, now: Step, takes: Step) {
        self.ever += 1;
        let instance = Instance {
            number: self.ever,
            phase: Phase::Starting,
            ordered: now,
            since: now,
            due: now + takes,
            revision: self.revision,
            busy: 0,
            waiting: VecDeque::new(),
            worked: 0,
        };
        match self.places.iter_mut().find(|place| place.is_none()) {
            Some(place) => *place = Some(instance),
            None => self.places.push(Some(instance)),
        }
    }

    /// What time does to them. Returns how many requests it cost.
    pub(super) fn step(&mut self, now: Step) -> u32 {
        let mut lost = 0;
        for place in &mut self.places {
            let Some(instance) = place else { continue };
            instance.worked += instance.busy;
            match instance.phase {
                Phase::Starting if now >= instance.due => {
                    (instance.phase, instance.since) = (Phase::Ready, now);
                    self.starts.push_back(now - instance.ordered);
                    self.became_ready += 1;
                }
                Phase::Draining if instance.in_flight() == 0 || now >= instance.due => {
                    lost += instance.in_flight();
                    *place = None;
                }
                _ => {}
            }
        }
        while self.starts.len() > STARTS_KEPT {
            self.starts.pop_front();
        }
        lost
    }

    /// The ready one with the fewest requests in flight, fewer than `below`.
    pub(super) fn least(&self, below: u32) -> Option<usize> {
        let mut found = None;
        let mut least = below;
        for (at, place) in self.places.iter().enumerate() {
            let Some(instance) = place else { continue };
            if instance.phase == Phase::Ready && instance.in_flight() < least {
                (found, least) = (Some(at), instance.in_flight());
                if least == 0 {
                    break;
                }
            }
        }
        found
    }

    pub(super) fn at(&mut self, at: usize) -> Option<&mut Instance> {
        self.places.get_mut(at).and_then(Option::as_mut)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Instance> {
        self.places.iter().flatten()
    }

    pub(super) fn count(&self, phase: Phase) -> u32 {
        super::count(self.all().filter(|instance| instance.phase == phase))
    }

    /// Starting or ready: what is meant to stay.
    pub(super) fn staying(&self) -> u32 {
        self.count(Phase::Starting) + self.count(Phase::Ready)
    }

    /// Those of earlier revisions that are meant to stay.
    pub(super) fn old(&self) -> u32 {
        let old = |it: &&Instance| it.phase != Phase::Draining && it.revision < self.revision;
        super::count(self.all().filter(old))
    }

    /// Takes one away: of an older revision if `old`, the newest of those that start, or the least
    /// busy, and of equally busy ones the newest.
    pub(super) fn take_away(&mut self, now: Step, which: Which) {
        let revision = self.revision;
        let may_go = |it: &Instance| match which {
            Which::Any => it.phase != Phase::Draining,
            Which::Old => it.phase != Phase::Draining && it.revision < revision,
        };
        let rank = |it: &Instance| match it.phase {
            Phase::Starting => (0, 0, std::cmp::Reverse(it.number)),
            _ => (1, it.in_flight(), std::cmp::Reverse(it.number)),
        };
        let victim = self.places.iter_mut().filter(|place| place.as_ref().is_some_and(may_go));
        let Some(place) = victim.min_by_key(|place| place.as_ref().map(rank)) else { return };
        let Some(instance) = place else { return };
        match instance.phase {
            Phase::Starting => *place = None,
            _ => {
                (instance.phase, instance.since) = (Phase::Draining, now);
                instance.due = now + DRAIN_MAX;
            }
        }
    }

    /// So many of 100 ready ones die. Returns how many requests that cost.
    pub(super) fn crash(&mut self, percent: u32) -> u32 {
        let mut left = self.count(Phase::Ready) * percent / 100;
        let mut lost = 0;
        for place in &mut self.places {
            let Some(instance) = place.as_ref().filter(|it| it.phase == Phase::Ready) else {
                continue;
            };
            if left == 0 {
                break;
            }
            (left, lost) = (left - 1, lost + instance.in_flight());
            *place = None;
        }
        lost
    }

    /// As the real herd tells it. `strain`: the part of a request's time in which it is worked on.
    pub(super) fn members(&mut self, strain: f64) -> Vec<Member> {
        let member = |instance: &mut Instance| {
            let worked = f64::from(std::mem::take(&mut instance.worked));
            let steps = worked / f64::from(PARALLEL) / STEPS_PER_S as f64;
            Member {
                phase: instance.phase,
                ordered_at: moment(instance.ordered),
                since: moment(instance.since),
                in_flight: instance.in_flight(),
                cpu: Some(match instance.phase {
                    // Starting is hard work.
                    Phase::Starting => 1.0,
                    _ => steps * strain,
                }),
                memory: Some(MEMORY),
            }
        };
        self.places.iter_mut().flatten().map(member).collect()
    }

    /// What 9 of 10 of the latest starts took at most.
    pub(super) fn start_up(&self) -> Option<std::time::Duration> {
        let mut starts: Vec<Step> = self.starts.iter().copied().collect();
        starts.sort_unstable();
        let rank = (starts.len() * 9).div_ceil(10);
        starts.get(rank.checked_sub(1)?).map(|&steps| moment(steps).since(Time::default()))
    }
}

/// Who may be taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    Any,
    Old,
}

impl Instance {
    pub(super) fn in_flight(&self) -> u32 {
        self.busy + u32::try_from(self.waiting.len()).unwrap_or(u32::MAX)
    }
}

pub(super) fn moment(step: Step) -> Time {
    Time::from_ms(step * (1000 / STEPS_PER_S))
}
