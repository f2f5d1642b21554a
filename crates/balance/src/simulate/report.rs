//! What came of an experiment: latencies, failures, and how the work was shared.
//! It counts; whether that is good is for the reader.

use std::time::Duration;

use super::plant::Kind;
use super::{CLIENT_TIMEOUT, WARM_UP, whole_ns};

/// What clients got and instances did, after [`WARM_UP`].
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// Requests that came.
    pub requests: u64,
    /// The part of them that failed, or that their client gave up on.
    pub failed: f64,
    /// How long half of those that were answered well, or given up, took at most; none if there is
    /// none. Giving up takes [`CLIENT_TIMEOUT`].
    pub p50: Option<Duration>,
    /// 99 %.
    pub p99: Option<Duration>,
    /// 99.9 %.
    pub p999: Option<Duration>,
    /// The least that one of the sound instances got, as a part of what each of them got on
    /// average.
    pub least: f64,
    /// The most.
    pub most: f64,
    /// The part of all requests that the odd instance got, where there is one.
    pub odd: Option<f64>,
    /// The part that those that joined got together, where some did.
    pub new: Option<f64>,
}

#[derive(Debug, Default)]
pub(super) struct Tally {
    requests: u64,
    failed: u64,
    took_us: Vec<u32>,
    picks: Vec<(Kind, u64)>,
}

impl Tally {
    pub(super) fn add(&mut self, kind: Kind) {
        self.picks.push((kind, 0));
    }

    pub(super) fn picked(&mut self, now_ns: u64, at: usize) {
        if counts(now_ns) {
            self.requests += 1;
            self.picks[at].1 += 1;
        }
    }

    /// Nobody took the request.
    pub(super) fn turned_away(&mut self, now_ns: u64) {
        self.requests += u64::from(counts(now_ns));
        self.failed(now_ns);
    }

    pub(super) fn failed(&mut self, began_ns: u64) {
        self.failed += u64::from(counts(began_ns));
    }

    /// It took its client so long to give up, and would have taken longer.
    pub(super) fn given_up(&mut self, began_ns: u64) {
        self.failed(began_ns);
        self.answered(began_ns, CLIENT_TIMEOUT);
    }

    pub(super) fn answered(&mut self, began_ns: u64, took: Duration) {
        if counts(began_ns) {
            self.took_us.push(u32::try_from(took.as_micros()).unwrap_or(u32::MAX));
        }
    }

    pub(super) fn report(mut self) -> Report {
        self.took_us.sort_unstable();
        let of = |kind| self.picks.iter().filter(move |(is, _)| *is == kind).map(|(_, n)| *n);
        let part = |picks: u64| picks as f64 / self.requests.max(1) as f64;
        let all_of = |kind| of(kind).next().map(|_| part(of(kind).sum()));
        let sound = of(Kind::Sound);
        let mean = sound.clone().sum::<u64>() as f64 / sound.clone().count().max(1) as f64;
        let of_mean = |picks: Option<u64>| picks.map_or(1.0, |n| n as f64 / mean.max(1.0));
        Report {
            requests: self.requests,
            failed: part(self.failed),
            p50: self.quantile(500),
            p99: self.quantile(990),
            p999: self.quantile(999),
            least: of_mean(sound.clone().min()),
            most: of_mean(sound.max()),
            odd: all_of(Kind::Odd),
            new: all_of(Kind::New),
        }
    }

    /// The smallest that is not less than so many of a thousand.
    fn quantile(&self, of_1000: usize) -> Option<Duration> {
        let rank = (self.took_us.len() * of_1000).div_ceil(1000);
        let us = self.took_us.get(rank.max(1) - 1)?;
        Some(Duration::from_micros(u64::from(*us)))
    }
}

fn counts(began_ns: u64) -> bool {
    began_ns >= whole_ns(WARM_UP)
}
