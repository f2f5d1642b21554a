//! The autoscaler of one service as it runs: samples into a desired number.
//! How they become one is `scale`'s business, who starts and stops is `plan`'s.

use std::time::Duration;

use model::{Phase, ScaleMode, ScalePolicy, Source, Time};
use scale::{Bounds, Calendar, Foresight, Look, Member, Memory, Minute, Sample, Window};

use crate::journal::Journal;
use crate::state::decision::{By, Decision};
use crate::state::room::Rooms;
use crate::state::service::{ServiceState, Standing};
use crate::{Kind, Sampled, ScalingView};

/// Starts that are remembered, to know how long one takes.
const STARTS_MAX: usize = 20;

/// What an autoscaler knows. It is made anew from what runs when the policy changes.
#[derive(Debug)]
pub(crate) struct Autoscaler {
    window: Window,
    memory: Memory,
    calendar: Calendar,
    /// The last decision, and when it was made.
    last: Option<(Time, scale::Decision)>,
}

impl Autoscaler {
    fn begin(service: &ServiceState, now: Time) -> Self {
        let autoscale = &service.policy.autoscale;
        Self {
            window: Window::new(scale::span(autoscale)),
            memory: Memory::new(autoscale, service.decision.count, now),
            calendar: Calendar::new(&autoscale.schedules)
                .expect("a configuration whose schedules cannot be read is refused"),
            last: None,
        }
    }
}

impl ServiceState {
    /// Decides, from the samples so far and the one of the last second. Nothing, for a service
    /// whose number does not follow anything.
    pub(crate) fn autoscale(
        &mut self,
        now: Time,
        sample: Sample,
        rooms: &mut Rooms,
        journal: &mut Journal,
    ) {
        if !self.follows_demand() {
            self.autoscaler = None;
            return;
        }
        let mut autoscaler = match self.autoscaler.take() {
            Some(autoscaler) => autoscaler,
            None => Autoscaler::begin(self, now),
        };
        autoscaler.window.push(sample);
        let was = self.decision.count;
        self.follow(&mut autoscaler, now, rooms.bounds(self), journal);
        rooms.take(self, was);
        if let (Some(foresight), Some((_, decided))) = (&mut self.foresight, &autoscaler.last) {
            foresight.note(&sample, decided);
        }
        self.autoscaler = Some(autoscaler);
    }

    /// Whether its number of instances is its policy's to decide.
    pub(crate) fn follows_demand(&self) -> bool {
        self.standing == Standing::Configured
            && !self.policy.autoscale.is_fixed()
            && matches!(self.policy.source, Source::Command(_))
    }

    /// What the wall clock says.
    fn wall(&self, now: Time) -> Time {
        Time::from_ms(now.as_ms().saturating_add_signed(self.wall_ahead_ms))
    }

    /// Forgets what another policy has seen.
    pub(crate) fn forget_demand(&mut self) {
        self.autoscaler = None;
        self.forget_told();
    }

    /// The last decision of its policy, if its number of instances is what was decided.
    pub(crate) fn heeded(&self) -> Option<&scale::Decision> {
        let acts = self.policy.autoscale.mode == ScaleMode::Act;
        let decided = self.autoscaler.as_ref()?.last.as_ref().map(|(_, decision)| decision);
        decided.filter(|_| acts && self.decision.by != By::Operator)
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

    /// Has a past from now on, or none any more, as its configuration says.
    pub(crate) fn settle_foresight(&mut self, now: Time) {
        let forecasts = self.policy.autoscale.forecasts && self.follows_demand();
        if !forecasts {
            self.foresight = None;
        } else if self.foresight.is_none() {
            // Not all services in the same second.
            let apart = Duration::from_secs((self.slot % 60) as u64);
            self.foresight = Some(Foresight::new(now + apart));
        }
    }

    /// Hears what it was asked in the past, if that matters to it.
    pub(crate) fn recall(&mut self, minutes: &[Minute]) {
        if let Some(foresight) = &mut self.foresight {
            foresight.recall(minutes);
        }
    }

    fn follow(
        &mut self,
        autoscaler: &mut Autoscaler,
        now: Time,
        (room, share): (Option<u32>, Option<u32>),
        journal: &mut Journal,
    ) {
        let members: Vec<Member> = self
            .instances
            .values()
            .map(|instance| Member {
                phase: instance.phase(),
                ordered_at: instance.ordered_at,
                since: instance.since(),
                in_flight: instance.in_flight(),
                cpu: self.cpu_part(instance, now),
                memory: self.memory_part(instance, now),
            })
            .collect();
        let start_up = self.start_up();
        let foresight = self.foresight.as_mut();
        let forecast = foresight.map_or(0, |foresight| foresight.floor(now, start_up));
        let look = Look {
            now,
            window: &autoscaler.window,
            members: &members,
            start_up,
            is_rolling_out: self.rollout.is_some(),
            is_failing_to_start: self.backoff.holds(now),
            bounds: Bounds {
                min: self.policy.scale.min,
                max: self.policy.scale.max,
                room,
                share,
                calendar: autoscaler.calendar.floor(self.wall(now)),
                forecast,
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

    /// A sample, with what there was to serve it.
    pub(crate) fn sampled(&self, sample: Sample) -> Sampled {
        Sampled {
            service: self.policy.name.clone(),
            sample,
            desired: self.decision.count,
            ready: self.ready_count(),
        }
    }

    /// What the autoscaler has to say, if there is one.
    pub(crate) fn scaling_view(&self) -> Option<ScalingView> {
        let autoscaler = self.autoscaler.as_ref()?;
        let autoscale = &self.policy.autoscale;
        let last = autoscaler.last.as_ref();
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
            calendar: autoscaler.calendar.words(),
            forecast: self.foresight.as_ref().and_then(Foresight::told),
            turn: last.and_then(|(_, decision)| decision.turn(&autoscale.policy)),
            ready: self.ready_count(),
            starting: self.count_phase(Phase::Starting),
        })
    }

    fn ready_count(&self) -> u32 {
        u32::try_from(self.ready().count()).unwrap_or(u32::MAX)
    }

    fn count_phase(&self, phase: Phase) -> u32 {
        let count = self.instances.values().filter(|instance| instance.phase() == phase).count();
        u32::try_from(count).unwrap_or(u32::MAX)
    }
}
