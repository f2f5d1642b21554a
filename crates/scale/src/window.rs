//! What was seen of a service, second by second, as far back as its policy looks.
//! It measures nothing; the means here are over the samples that there are.

use std::collections::VecDeque;
use std::time::Duration;

use model::{Autoscale, Time};

use crate::decide::span;

/// What is kept at least, for people to see.
const SPAN_MIN: Duration = Duration::from_secs(60);

/// One second of a service.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sample {
    /// When the second ended.
    pub at: Time,
    /// Requests that came in it, whatever became of them.
    pub arrivals: f64,
    /// Requests that an instance answered in it.
    pub completions: f64,
    /// Requests, tunnels included, that were at instances in it: the mean over the second.
    pub in_flight: f64,
    /// Requests that waited for an instance: the mean over the second.
    pub queued: f64,
    /// How long the one had waited that waited longest, at its end. None: nobody waited.
    pub queue_time: Option<Duration>,
    /// What most responses of the last seconds were faster than, waiting included; the policy says
    /// how many of 100 are most. None: there was no response.
    pub latency: Option<Duration>,
    /// Use of the processor: mean over the ready instances, of what each may use, 1 for all of it.
    /// None: not known.
    pub cpu: Option<f64>,
    /// Use of memory, likewise.
    pub memory: Option<f64>,
    /// What a Prometheus answered last. None: nothing lately.
    pub prometheus: Option<f64>,
}

/// The samples of a service, the oldest first; not more than its span.
#[derive(Clone, Debug)]
pub struct Window {
    span: Duration,
    samples: VecDeque<Sample>,
}

impl Window {
    /// An empty one, which keeps samples for `span`.
    pub fn new(span: Duration) -> Self {
        Self { span, samples: VecDeque::new() }
    }

    /// An empty one, which keeps what the policy looks back on.
    pub fn of(autoscale: &Autoscale) -> Self {
        Self::new(span(autoscale).max(SPAN_MIN))
    }

    /// How far back it keeps samples.
    pub fn span(&self) -> Duration {
        self.span
    }

    /// Adds the newest one, and forgets those that are too old. One that is not newer than the
    /// newest is not taken: a second counts once.
    pub fn push(&mut self, sample: Sample) {
        if self.samples.back().is_some_and(|newest| newest.at >= sample.at) {
            return;
        }
        self.samples.push_back(sample);
        while self.samples.front().is_some_and(|oldest| sample.at.since(oldest.at) >= self.span) {
            self.samples.pop_front();
        }
    }

    /// Those of the last `span` before `now`, the newest first.
    pub fn last(&self, now: Time, span: Duration) -> impl Iterator<Item = &Sample> + Clone {
        self.samples.iter().rev().take_while(move |sample| now.since(sample.at) < span)
    }

    /// The mean of what `of` says of the samples of the last `span`; those of which it says
    /// nothing, or nothing finite, do not count. None: nothing is known.
    pub fn mean(
        &self,
        now: Time,
        span: Duration,
        of: impl Fn(&Sample) -> Option<f64>,
    ) -> Option<f64> {
        let known = self.last(now, span).filter_map(of).filter(|value| value.is_finite());
        let (sum, count) = known.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
        (count > 0.0).then(|| sum / count)
    }
}
