//! What an autoscaler is worth: what its clients got, what it cost, and how restless it was.
//! It judges the course of an experiment; it does not know who ran it.

use crate::simulate::Moment;

/// More than this part of a second's requests is bad: the second is.
const BAD_SECOND: f64 = 0.05;
/// So many good seconds in a row end a time of bad ones.
const RECOVERED_S: u32 = 5;

/// What came of an experiment, or the mean of several.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Verdict {
    /// See [`Verdict::of`].
    pub cost: f64,
    /// Requests that waited for more than [`WAIT_SLO`](super::WAIT_SLO), were refused or were
    /// lost, of 100.
    pub bad_percent: f64,
    /// Instances × hours, from the order to the end.
    pub instance_h: f64,
    /// The same of the oracle, which starts in no time.
    pub oracle_h: f64,
    /// θ_U: what was missing, in percent of the demand, over the whole time.
    pub theta_under: f64,
    /// θ_O: what was too much.
    pub theta_over: f64,
    /// τ_U: the part of the time in which something was missing, in percent.
    pub tau_under: f64,
    /// τ_O: in which something was too much.
    pub tau_over: f64,
    /// Changes of the desired number in the other direction than the one before, per hour.
    pub reversals_per_h: f64,
    /// Changes of the desired number, per hour.
    pub changes_per_h: f64,
    /// The longest time in which more than 1 of 20 requests was bad, in seconds.
    pub recover_s: f64,
    /// Instances that became ready while somebody waited for them.
    pub awaited: f64,
}

impl Verdict {
    /// Judges a course. Cost is instance-hours ÷ the oracle's + percent of bad requests ÷ 2 +
    /// reversals per hour ÷ 60: one bad request of 100 is as bad as half of the bill, and a change
    /// of mind every minute as bad as all of it.
    pub fn of(course: &[Moment]) -> Self {
        let hours = course.len().max(1) as f64 / 3600.0;
        let sum = |of: fn(&Moment) -> f64| course.iter().map(of).sum::<f64>();
        let percent = |of: fn(&Moment) -> f64| 100.0 * sum(of) / course.len().max(1) as f64;
        let instance_h = sum(|it| f64::from(it.running)) / 3600.0;
        let oracle_h = sum(|it| f64::from(it.oracle)) / 3600.0;
        let bad_percent = 100.0 * sum(|it| it.bad as f64) / sum(|it| it.arrivals as f64).max(1.0);
        let part = |more: u32, less: u32, of: u32| {
            f64::from(more.saturating_sub(less)) / f64::from(of.max(1))
        };
        let (changes, reversals) = changes(course);
        let reversals_per_h = reversals / hours;
        Self {
            cost: instance_h / oracle_h.max(f64::MIN_POSITIVE)
                + bad_percent / 2.0
                + reversals_per_h / 60.0,
            bad_percent,
            instance_h,
            oracle_h,
            theta_under: percent_of(course, |it| part(it.oracle, it.ready, it.oracle)),
            theta_over: percent_of(course, |it| part(it.ready, it.oracle, it.oracle)),
            tau_under: percent(|it| f64::from(u8::from(it.oracle > it.ready))),
            tau_over: percent(|it| f64::from(u8::from(it.oracle < it.ready))),
            reversals_per_h,
            changes_per_h: changes / hours,
            recover_s: longest_bad(course),
            awaited: sum(|it| it.awaited as f64),
        }
    }
}

/// The mean of several, number by number; of none it is nothing.
pub fn mean(verdicts: &[Verdict]) -> Verdict {
    let count = verdicts.len().max(1) as f64;
    let of = |of: fn(&Verdict) -> f64| verdicts.iter().map(of).sum::<f64>() / count;
    Verdict {
        cost: of(|it| it.cost),
        bad_percent: of(|it| it.bad_percent),
        instance_h: of(|it| it.instance_h),
        oracle_h: of(|it| it.oracle_h),
        theta_under: of(|it| it.theta_under),
        theta_over: of(|it| it.theta_over),
        tau_under: of(|it| it.tau_under),
        tau_over: of(|it| it.tau_over),
        reversals_per_h: of(|it| it.reversals_per_h),
        changes_per_h: of(|it| it.changes_per_h),
        recover_s: of(|it| it.recover_s),
        awaited: of(|it| it.awaited),
    }
}

fn percent_of(course: &[Moment], of: impl Fn(&Moment) -> f64) -> f64 {
    100.0 * course.iter().map(of).sum::<f64>() / course.len().max(1) as f64
}

/// How often the desired number changed, and how often in the other direction than before.
fn changes(course: &[Moment]) -> (f64, f64) {
    let (mut changes, mut reversals, mut before) = (0.0, 0.0, None);
    for pair in course.windows(2) {
        let way = pair[1].desired.cmp(&pair[0].desired);
        if way.is_eq() {
            continue;
        }
        changes += 1.0;
        reversals += f64::from(u8::from(before.is_some_and(|before| before != way)));
        before = Some(way);
    }
    (changes, reversals)
}

fn longest_bad(course: &[Moment]) -> f64 {
    let (mut longest, mut began, mut good) = (0, None, 0);
    for (at, moment) in course.iter().enumerate() {
        let is_bad = moment.bad > 0 && moment.bad as f64 > BAD_SECOND * moment.arrivals as f64;
        good = if is_bad { 0 } else { good + 1 };
        if is_bad {
            longest = longest.max(at + 1 - *began.get_or_insert(at));
        } else if good >= RECOVERED_S {
            began = None;
        }
    }
    longest as f64
}
