//! Tells a service whose instances wait for something that more of them do not make faster: while
//! requests take much longer than usual, each further half of the instances has to prove itself.
//! It caps; it takes nothing away.

use std::time::Duration;

use model::{Phase, Time};

use crate::look::Look;

/// Requests that take so many times as long as usual are slow,
const SLOW_FROM: f64 = 2.0;
/// until they take this many times as long again.
const SLOW_UNTIL: f64 = 1.5;
/// So much of the processor in use is a reason for being slow that more instances mend.
const CPU_BUSY: f64 = 0.7;
/// What is measured of the present.
const PRESENT: Duration = Duration::from_secs(10);
/// What is usual is learned in about this many seconds.
const USUAL_S: f64 = 300.0;
/// What has lasted this long is usual.
const LASTS: Duration = Duration::from_secs(15 * 60);
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

/// How things stood when the present number of instances was allowed.
#[derive(Clone, Copy, Debug)]
struct Trial {
    slow_since: Time,
    began_at: Time,
    desired: u32,
    ready: f64,
    answered: f64,
}

impl Brownout {
    /// The most instances that make sense now, if each serves `concurrency` requests at once. None:
    /// as many as are needed.
    pub(super) fn look(&mut self, concurrency: f64, look: &Look<'_>, was: u32) -> Option<u32> {
        let answered = look.window.mean(look.now, PRESENT, |sample| Some(sample.completions))?;
        let in_flight = look.window.mean(look.now, PRESENT, |sample| Some(sample.in_flight))?;
        let cpu = look.window.mean(look.now, PRESENT, |sample| sample.cpu);
        if answered <= 0.0 {
            return None;
        }
        let ready = f64::from(look.count(Phase::Ready));
        // What waits inside of instances is no reason to call them slow.
        let took_s = in_flight.min(concurrency * ready) / answered;
        let usual_s = *self.usual_s.get_or_insert(in_flight / answered);
        let factor = if self.trial.is_some() { SLOW_UNTIL } else { SLOW_FROM };
        let is_slow = took_s > factor * usual_s && cpu.is_none_or(|cpu| cpu < CPU_BUSY);
        let now = look.now;
        let begin = |slow_since| Trial { slow_since, began_at: now, desired: was, ready, answered };
        let trial = match self.trial {
            Some(trial) if is_slow && now.since(trial.slow_since) < LASTS => trial,
            _ if is_slow && self.trial.is_none() => begin(now),
            _ => {
                let ended = self.trial.take();
                if ended.is_some() && is_slow {
                    self.usual_s = Some(took_s);
                }
                let took_s = (in_flight / answered).min(SLOW_FROM * usual_s);
                self.usual_s = self.usual_s.map(|usual| usual + (took_s - usual) / USUAL_S);
                // What is needed was computed with what was slow, once more.
                return ended.map(|trial| cap(&trial));
            }
        };
        self.slow_at = Some(now);
        if now.since(trial.began_at) < PRESENT {
            // First it is measured what there is: what was answered before is no measure.
            self.trial = Some(Trial { ready, answered, ..trial });
            return Some(trial.desired);
        }
        // Instances were added since, and have had time to answer something.
        let more = ready / trial.ready.max(1.0) - 1.0;
        let proves = more > 0.1 && answered > trial.answered * (1.0 + PROOF * more);
        let next = if proves { begin(trial.slow_since) } else { trial };
        self.trial = Some(next);
        Some(if proves { next.desired } else { cap(&trial) })
    }

    /// Whether requests were slow within the last `span`, and are what they were before.
    pub(super) fn has_ended(&self, now: Time, span: Duration) -> bool {
        self.trial.is_none() && self.slow_at.is_some_and(|slow_at| now.since(slow_at) < span)
    }
}

/// A quarter more than there were.
fn cap(trial: &Trial) -> u32 {
    trial.desired.saturating_add(trial.desired.div_ceil(4))
}
