//! The recent past of one service, for screens: what was counted within a window that moves on.
//! It reads no clock; whoever calls it says when now is.

use std::collections::VecDeque;
use std::time::Duration;

use model::Time;

use crate::{Snapshot, Summary};

/// Steps that a window is kept in: with one older and the latest, 12 snapshots and 87 KB at most.
const STEPS: u32 = 10;

/// What was counted within the last while.
#[derive(Debug)]
pub struct Recent {
    window: Duration,
    /// Oldest first. The first one may be older than the window by one step; the last one is
    /// replaced until it is a step away from the one before.
    snapshots: VecDeque<(Time, Snapshot)>,
}

impl Recent {
    /// Remembers nothing yet, and never more than `window` and a tenth.
    pub fn new(window: Duration) -> Self {
        Self { window, snapshots: VecDeque::new() }
    }

    /// Remembers how things stood at `now`. Called once a second or so.
    pub fn observe(&mut self, now: Time, snapshot: Snapshot) {
        let mut newest = self.snapshots.iter().rev().map(|(at, _)| *at);
        if let (Some(last), Some(before)) = (newest.next(), newest.next())
            && last.since(before) < self.window / STEPS
        {
            self.snapshots.pop_back();
        }
        self.snapshots.push_back((now, snapshot));
        while self.snapshots.get(1).is_some_and(|(at, _)| now.since(*at) >= self.window) {
            self.snapshots.pop_front();
        }
    }

    /// What was counted within the window, and how long that was; shorter than the window at
    /// first. None before two moments were observed.
    pub fn summary(&self) -> Option<(Summary, Duration)> {
        let (from, before) = self.snapshots.front()?;
        let (to, now) = self.snapshots.back()?;
        let over = to.since(*from);
        if over.is_zero() { None } else { Some((now.since(before).summary(), over)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::series::ServiceSeries;
    use crate::shard::Sample;

    #[test]
    fn forgets_what_is_older_than_the_window_and_stays_small() {
        let series = ServiceSeries::new("shop", 1, &[]);
        let mut recent = Recent::new(Duration::from_secs(10));
        recent.observe(Time::from_ms(0), series.snapshot());
        assert_eq!(recent.summary(), None);
        // One request per 100 ms: slow ones for a minute, then fast ones for a minute.
        for i in 1..=1200 {
            let duration = Duration::from_millis(if i <= 600 { 900 } else { 10 });
            series.worker(0).record(&Sample { status: 200, duration, ..Sample::default() });
            recent.observe(Time::from_ms(i * 100), series.snapshot());
            assert!(recent.snapshots.len() <= STEPS as usize + 2, "{}", recent.snapshots.len());
            let (summary, over) = recent.summary().unwrap();
            assert!(over <= Duration::from_secs(11), "{over:?}");
            let expected = over.as_millis() / 100;
            assert_eq!(u128::from(summary.requests), expected, "over {over:?}");
        }
        let (summary, over) = recent.summary().unwrap();
        assert!(over >= Duration::from_secs(10), "{over:?}");
        assert!(summary.p99.unwrap() < Duration::from_millis(11));
    }
}
