//! How many requests an instance serves at once, learned from what is seen of it.
//! It decides nothing, and where it was told it is not asked.

use model::Phase;

use crate::look::Look;
use crate::window::Sample;

/// Until more is known: a small server with a few threads.
const UNKNOWN: f64 = 10.0;
/// Below this use of the processor too little is seen, above it requests may wait for it inside.
const CPU_KNOWN: std::ops::Range<f64> = 0.1..0.8;
/// How much of a new second is believed.
const NEW: f64 = 0.05;
/// Less than one request at once is none, and more than this is no bound.
const BOUNDS: (f64, f64) = (1.0, 10_000.0);

/// What is known of one service's instances.
#[derive(Clone, Debug, Default)]
pub(super) struct Knee {
    /// Requests in flight per instance while others had to wait in front: they are given no more.
    limit: Option<f64>,
    /// Requests in flight that would use all of the processor.
    by_cpu: Option<f64>,
    /// The most requests per second that an instance has answered, forgotten slowly.
    answered_most: f64,
    /// The least time that a request took, in seconds, forgotten slowly.
    took_least: Option<f64>,
    /// Requests at once beyond which an instance did not answer more: throughput × time without
    /// waiting, once twice as many were in flight.
    saturated: Option<f64>,
}

impl Knee {
    /// Learns from the newest second.
    pub(super) fn learn(&mut self, look: &Look<'_>, sample: &Sample) {
        let ready = f64::from(look.count(Phase::Ready));
        // While instances come and go it is not clear how many shared the requests.
        let is_settled = look.members.iter().all(|member| {
            member.phase == Phase::Ready && look.now.since(member.since).as_secs() >= 5
        });
        if ready < 1.0 || !is_settled || sample.completions <= 0.0 || sample.in_flight <= 0.0 {
            return;
        }
        let each = sample.in_flight / ready;
        let answered = sample.completions / ready;
        let took = sample.in_flight / sample.completions;
        if sample.queued > sample.in_flight {
            blend(&mut self.limit, each);
        }
        if let Some(cpu) = sample.cpu.filter(|cpu| CPU_KNOWN.contains(cpu)) {
            blend(&mut self.by_cpu, each / cpu);
        }
        self.answered_most = (self.answered_most * 0.9995).max(answered);
        let took_least = self.took_least.map_or(took, |least| (least * 1.0005).min(took));
        self.took_least = Some(took_least);
        let fits = self.answered_most * took_least;
        if each > 2.0 * fits {
            blend(&mut self.saturated, fits);
        }
    }

    /// What is best known.
    pub(super) fn concurrency(&self) -> f64 {
        let inside = self.by_cpu.or(self.saturated);
        let known = match (inside, self.limit) {
            (Some(inside), Some(limit)) => inside.min(limit),
            (Some(inside), None) => inside,
            (None, Some(limit)) => limit,
            (None, None) => UNKNOWN,
        };
        known.clamp(BOUNDS.0, BOUNDS.1)
    }
}

fn blend(known: &mut Option<f64>, new: f64) {
    *known = Some(known.map_or(new, |known| known + NEW * (new - known)));
}
