//! What one metric asks for, as Kubernetes' replica calculator counts it: who counts, with what.
//! It remembers nothing and limits nothing but what is within the tolerance.

use std::time::Duration;

use model::{Hpa, Phase, ScaleMetric};

use crate::decision::{Asked, Signal};
use crate::look::{Look, Member};
use crate::window::Sample;

/// The span over which its metrics server measures the use of the processor: what was measured
/// before an instance was ready for so long is no measure of it.
const CPU_WINDOW: Duration = Duration::from_secs(15);
/// What an instance may use, in the unit in which uses are added up.
const ALL: i64 = 1000;

/// What is asked, and by whom.
pub(super) struct Question<'a> {
    pub(super) policy: &'a Hpa,
    pub(super) look: &'a Look<'a>,
    pub(super) was: u32,
    pub(super) target_permille: u64,
}

/// What a metric says.
#[derive(Clone, Copy)]
pub(super) struct Answer {
    pub(super) asked: Asked,
    /// How many, what is within the tolerance being as many as there are. None: it fails.
    pub(super) count: Option<u32>,
}

/// The instances that count, by what is known of them.
#[derive(Clone, Copy, Default)]
struct Groups {
    ready: i64,
    unready: i64,
    missing: i64,
    /// What the ready ones use.
    used: i64,
}

impl Answer {
    /// How many without a tolerance.
    pub(super) fn wants(&self) -> u32 {
        self.asked.wants.map_or(0, ceil)
    }
}

impl Question<'_> {
    pub(super) fn ask(&self, metric: ScaleMetric) -> Answer {
        match metric {
            ScaleMetric::CpuPercent => self.utilisation(Signal::Cpu),
            ScaleMetric::MemoryPercent => self.utilisation(Signal::Memory),
            ScaleMetric::Concurrency => {
                self.average(Signal::Concurrency, |sample| sample.in_flight + sample.queued)
            }
            ScaleMetric::RequestsPerS => self.average(Signal::Requests, |sample| sample.arrivals),
            ScaleMetric::QueueTimeMs => self.queue_time(),
        }
    }

    /// A metric of type `Resource` with a target of type `Utilization`.
    fn utilisation(&self, signal: Signal) -> Answer {
        let target_percent = self.target_permille.max(1) as f64 / 1000.0;
        let asked = Asked { signal, value: None, target: target_percent / 100.0, wants: None };
        let groups = self.groups(signal);
        if groups.ready == 0 {
            return Answer { asked, count: None };
        }
        // It divides whole percents.
        let percent = |used: i64, count: i64| (used.saturating_mul(100) / (count * ALL)) as f64;
        let used_percent = percent(groups.used, groups.ready);
        let ratio = used_percent / target_percent;
        let says = |ratio: f64, of: i64, count: u32| Answer {
            asked: Asked {
                value: Some(used_percent / 100.0),
                wants: Some(ratio * of as f64),
                ..asked
            },
            count: Some(count),
        };
        let is_up_with_unready = groups.unready > 0 && ratio > 1.0;
        if !is_up_with_unready && groups.missing == 0 {
            let count = if self.tolerates(ratio) { self.was } else { times(ratio, groups.ready) };
            return says(ratio, groups.ready, count);
        }
        let (mut used, mut of) = (groups.used, groups.ready);
        if ratio < 1.0 {
            // Fewer: what is not known is as much as can be.
            let each = times(target_percent.max(100.0), ALL) / 100;
            used = used.saturating_add(groups.missing * i64::from(each));
        }
        if ratio != 1.0 {
            of += groups.missing;
        }
        if is_up_with_unready {
            of += groups.unready;
        }
        let again = percent(used, of) / target_percent;
        let turns = (ratio < 1.0 && again > 1.0) || (ratio > 1.0 && again < 1.0);
        if self.tolerates(again) || turns {
            return says(again, of, self.was);
        }
        let count = times(again, of);
        let turns = (again < 1.0 && count > self.was) || (again > 1.0 && count < self.was);
        says(again, of, if turns { self.was } else { count })
    }

    /// A metric of type `External` or `Object` with a target of type `AverageValue`.
    fn average(&self, signal: Signal, of: fn(&Sample) -> f64) -> Answer {
        let target = self.target_permille.max(1) as f64;
        let total = self.mean(|sample| Some(of(sample))).map(|total| milli(total) as f64);
        let wants = total.map(|total| total / target);
        let count = wants.map(|wants| {
            let ratio = total.unwrap_or_default() / (target * f64::from(self.was));
            if self.tolerates(ratio) { self.was } else { ceil(wants) }
        });
        let value = total.map(|total| total / 1000.0);
        Answer { asked: Asked { signal, value, target: target / 1000.0, wants }, count }
    }

    /// A metric of type `External` or `Object` with a target of type `Value`.
    fn queue_time(&self) -> Answer {
        let target = self.target_permille.max(1) as f64;
        let waited_ms = |sample: &Sample| {
            let waited = sample.queue_time.unwrap_or_default();
            Some(waited.as_secs_f64() * 1000.0)
        };
        let value = self.mean(waited_ms).map(|ms| milli(ms) as f64);
        let ready = self.look.count(Phase::Ready);
        let wants = value.map(|value| value / target).and_then(|ratio| match (self.was, ready) {
            (0, _) => Some((ratio, ratio)),
            // Over there it wants none then, however long they wait.
            (_, 0) => None,
            _ => Some((ratio, ratio * f64::from(ready))),
        });
        let count =
            wants.map(
                |(ratio, wants)| {
                    if self.was > 0 && self.tolerates(ratio) { self.was } else { ceil(wants) }
                },
            );
        let asked = Asked {
            signal: Signal::QueueTime,
            value: value.map(|value| value / 1e6),
            target: target / 1e6,
            wants: wants.map(|(_, wants)| wants),
        };
        Answer { asked, count }
    }

    /// The mean since the last time.
    fn mean(&self, of: impl Fn(&Sample) -> Option<f64>) -> Option<f64> {
        let span = self.policy.sync_period.max(Duration::from_secs(1));
        self.look.window.mean(self.look.now, span, of)
    }

    fn groups(&self, signal: Signal) -> Groups {
        let mut groups = Groups::default();
        for member in self.look.members {
            let used = if signal == Signal::Cpu { member.cpu } else { member.memory };
            let used = used.filter(|used| used.is_finite()).map(milli);
            match (member.phase, used) {
                (Phase::Draining | Phase::Gone, _) => {}
                (Phase::Starting, None) => groups.unready += 1,
                (_, None) => groups.missing += 1,
                (_, Some(_)) if signal == Signal::Cpu && self.is_unready(member) => {
                    groups.unready += 1;
                }
                (_, Some(used)) => {
                    groups.ready += 1;
                    groups.used = groups.used.saturating_add(used);
                }
            }
        }
        groups
    }

    /// Whether what it uses of the processor says something of its start only.
    fn is_unready(&self, member: &Member) -> bool {
        let now = self.look.now;
        let is_ready = member.phase == Phase::Ready;
        // One that has never been ready has not been unready since, but from the beginning.
        let turned_at =
            if member.phase == Phase::Starting { member.ordered_at } else { member.since };
        if member.ordered_at + self.policy.cpu_initialization_period > now {
            !is_ready || now < turned_at + CPU_WINDOW
        } else {
            !is_ready && member.ordered_at + self.policy.initial_readiness_delay > turned_at
        }
    }

    fn tolerates(&self, ratio: f64) -> bool {
        let tolerated = |permille: u32| f64::from(permille) / 1000.0;
        if ratio < 1.0 {
            1.0 - ratio <= tolerated(self.policy.down.tolerance_permille)
        } else {
            ratio - 1.0 <= tolerated(self.policy.up.tolerance_permille)
        }
    }
}

/// In thousandths, rounded up, but not for the sake of what arithmetic adds.
#[expect(clippy::cast_possible_truncation, reason = "it saturates, and what is no number is none")]
fn milli(value: f64) -> i64 {
    (value.max(0.0) * 1000.0 - 1e-6).ceil() as i64
}

fn times(ratio: f64, count: i64) -> u32 {
    ceil(ratio * count as f64)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it saturates, and what is no number is none"
)]
fn ceil(number: f64) -> u32 {
    number.ceil() as u32
}
