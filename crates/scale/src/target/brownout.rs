//! Tells a service whose instances wait for something that more of them do not make faster: while
//! requests take much longer than usual and all places are taken, each doubling has to prove
//! itself. It caps; it takes nothing away.

use std::time::Duration;

use model::{Phase, Time};

use crate::look::Look;
use crate::window::Sample;

/// Requests that take so many times as long as usual are slow,
const SLOW_FROM: f64 = 2.0;
/// until they take this many times as long again.
const SLOW_UNTIL: f64 = 1.5;
/// So much of the processor in use is a reason for being slow that more instances mend.
const CPU_BUSY: f64 = 0.7;
/// Instances of which so much is in use leave nobody waiting: what is needed is known then, and
/// nothing has to be proved.
const FULL: f64 = 0.9;
/// What is measured of the present.
const PRESENT: Duration = Duration::from_secs(10);
/// What was answered before there are more is measured for at least so long: most of what made
/// requests slow to begin with.
const BEFORE_MIN: Duration = Duration::from_secs(3);
/// What is usual is learned in about this many seconds.
const USUAL_S: f64 = 300.0;
/// What has lasted this long is usual.
const LASTS: Duration = Duration::from_secs(15 * 60);
/// After so long without success it is tried again: what they waited for may have gone.
const RETRY: Duration = Duration::from_secs(300);
/// Of what more instances could answer more, they have to.
const PROOF: f64 = 0.3;

/// What it knows of one service.
#[derive(Clone, Debug, Default)]
pub(super) struct Brownout {
    /// What a request usually takes, in seconds.
    usual_s: Option<f64>,
    trial: Option<Trial>,
    /// When there was last a trial.
    slow_at: Option<Time>,
}

/// Up to twice as many instances as there were, and whether they answer more.
#[derive(Clone, Copy, Debug)]
struct Trial {
    slow_since: Time,
    began_at: Time,
    /// How many were desired, and ready, when it began.
    desired: u32,
    ready: f64,
    /// What those answered.
    before: f64,
    /// Since when there are as many as there are now, if they are more.
    more: Option<(Time, f64)>,
    /// When it turned out that they do not help.
    failed_at: Option<Time>,
}

/// The present, as it is measured.
#[derive(Clone, Copy)]
struct Present {
    answered: f64,
    ready: f64,
    /// What a request takes inside of an instance, in seconds.
    took_s: f64,
    cpu: Option<f64>,
    /// Whether somebody waits for a place.
    is_full: bool,
}

impl Brownout {
    /// The most instances that make sense now, if each serves `concurrency` requests at once. None:
    /// as many as are needed.
    pub(super) fn look(&mut self, concurrency: f64, look: &Look<'_>, was: u32) -> Option<u32> {
        let Some(present) = Present::measure(concurrency, look) else {
            return self.stalled(look, was);
        };
        let now = look.now;
        let usual_s = *self.usual_s.get_or_insert(present.took_s);
        let factor = if self.trial.is_some() { SLOW_UNTIL } else { SLOW_FROM };
        let is_slow =
            present.took_s > factor * usual_s && present.cpu.is_none_or(|cpu| cpu < CPU_BUSY);
        let lasts = self.trial.is_some_and(|trial| now.since(trial.slow_since) >= LASTS);
        if !is_slow || !present.is_full || lasts {
            let ended = self.trial.take();
            if lasts && is_slow {
                self.usual_s = Some(present.took_s);
            }
            let took_s = present.took_s.min(SLOW_FROM * usual_s);
            self.usual_s = self.usual_s.map(|usual| usual + (took_s - usual) / USUAL_S);
            // What is needed was computed with what was slow, once more.
            return ended.filter(|_| !is_slow).map(|trial| double(trial.desired));
        }
        self.slow_at = Some(now);
        let trial = self.trial.take().unwrap_or_else(|| Trial::begin(now, now, was, &present));
        let (trial, most) = trial.go_on(look, was, &present);
        self.trial = Some(trial);
        Some(most)
    }

    /// What is allowed while nothing at all is answered: as much as before that, if it began slowly.
    fn stalled(&self, look: &Look<'_>, was: u32) -> Option<u32> {
        let there = |sample: &Sample| Some(sample.in_flight + sample.queued);
        let there = look.window.mean(look.now, PRESENT, there)?;
        let trial = self.trial.filter(|_| there > 0.0)?;
        Some(if trial.failed_at.is_some() { was } else { double(trial.desired) })
    }

    /// Whether requests were slow within the last `span`, and are what they were before.
    pub(super) fn has_ended(&self, now: Time, span: Duration) -> bool {
        self.trial.is_none() && self.slow_at.is_some_and(|slow_at| now.since(slow_at) < span)
    }
}

impl Present {
    fn measure(concurrency: f64, look: &Look<'_>) -> Option<Self> {
        let mean = |of: fn(&Sample) -> Option<f64>| look.window.mean(look.now, PRESENT, of);
        let answered = mean(|sample| Some(sample.completions)).filter(|&rate| rate > 0.0)?;
        let in_flight = mean(|sample| Some(sample.in_flight))?;
        let queued = mean(|sample| Some(sample.queued))?;
        let ready = f64::from(look.count(Phase::Ready));
        let places = concurrency * ready;
        Some(Self {
            answered,
            ready,
            // What waits inside of instances is no reason to call them slow.
            took_s: in_flight.min(places) / answered,
            cpu: mean(|sample| sample.cpu),
            is_full: in_flight >= FULL * places || queued >= 1.0,
        })
    }
}

impl Trial {
    fn begin(slow_since: Time, now: Time, was: u32, present: &Present) -> Self {
        Self {
            slow_since,
            began_at: now,
            desired: was,
            ready: present.ready,
            before: 0.0,
            more: None,
            failed_at: None,
        }
    }

    /// One second later: how many are allowed now.
    fn go_on(mut self, look: &Look<'_>, was: u32, present: &Present) -> (Self, u32) {
        let now = look.now;
        let next = || {
            let next = Self::begin(self.slow_since, now, was, present);
            (Self { before: present.answered, ..next }, double(was))
        };
        if let Some(failed_at) = self.failed_at {
            return if now.since(failed_at) >= RETRY { next() } else { (self, was) };
        }
        let more = present.ready / self.ready.max(1.0) - 1.0;
        if more <= 0.1 {
            let span = now.since(self.began_at).clamp(BEFORE_MIN, PRESENT);
            let answered = look.window.mean(now, span, |sample| Some(sample.completions));
            self.before = answered.unwrap_or(self.before);
            self.more = None;
            return (self, double(self.desired));
        }
        let (more_since, _) = match self.more {
            Some(there) if there.1 >= present.ready => there,
            _ => (now, present.ready),
        };
        self.more = Some((more_since, present.ready));
        if now.since(more_since) < PRESENT {
            return (self, double(self.desired));
        }
        if present.answered > self.before * (1.0 + PROOF * more) {
            return next();
        }
        self.failed_at = Some(now);
        (self, was)
    }
}

fn double(count: u32) -> u32 {
    count.saturating_mul(2).max(1)
}
