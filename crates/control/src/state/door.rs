//! Requests that are refused at the door because too many fail, as the journal tells it: when that
//! begins and when it is over. It refuses nobody; the data plane does, and says how many.

use std::time::Duration;

use model::Time;

use crate::Kind;
use crate::journal::Journal;
use crate::state::service::ServiceState;

/// It is over only after so long without: a service at the edge would fill the journal otherwise.
/// So there are at most two entries in this time.
const QUIET: Duration = Duration::from_secs(10);

/// What the journal says of the door of a service. None while everybody is let in.
pub(crate) type Door = Option<Refusing>;

/// Since when requests are refused.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Refusing {
    since: Time,
    /// When some were refused last.
    last: Time,
    percent_max: u32,
}

impl ServiceState {
    /// Looks at how many are refused, and tells the journal what is new.
    pub(crate) fn watch_door(&mut self, now: Time, journal: &mut Journal) {
        let is_on = self.policy.admission.is_on;
        let percent = if is_on { self.live.refused_percent() } else { 0 };
        let name = &self.policy.name;
        match &mut self.door {
            None if percent > 0 => {
                let least = self.policy.admission.success_percent;
                let text = format!(
                    "{name}: refuses {percent} % of the requests from now on, because fewer than \
                     {least} % of them end well"
                );
                journal.service(now, Kind::Admission, name, text);
                self.door = Some(Refusing { since: now, last: now, percent_max: percent });
            }
            None => {}
            Some(refusing) if percent > 0 => {
                refusing.last = now;
                refusing.percent_max = refusing.percent_max.max(percent);
            }
            Some(refusing) if is_on && now.since(refusing.last) < QUIET => {}
            Some(Refusing { since, last, percent_max }) => {
                let seconds = last.since(*since).as_secs();
                let text = format!(
                    "{name}: refuses no request any more; it did for {seconds} s, {percent_max} % \
                     of them at most"
                );
                journal.service(now, Kind::Admission, name, text);
                self.door = None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use model::{Admission, Line, Service, Source};

    use super::*;

    /// The line of a service of which so many percent are refused.
    #[derive(Debug, Default)]
    struct Refuses(AtomicU32);

    impl Line for Refuses {
        fn freed(&self) {}

        fn oldest(&self) -> Option<Duration> {
            None
        }

        fn refused_percent(&self) -> u32 {
            self.0.load(Ordering::Relaxed)
        }
    }

    #[test]
    fn the_journal_tells_when_it_begins_and_when_it_is_over_and_not_more() {
        let name = "shop".parse().unwrap();
        let unbounded = Service::unbounded(name, Source::Static(Vec::new()));
        let admission = Admission { is_on: true, success_percent: 50, ..unbounded.admission };
        let mut service = ServiceState::new(Arc::new(Service { admission, ..unbounded }), 0);
        let refuses = service.live.line::<Refuses>();
        let mut journal = Journal::new(100);
        let mut look = |s: u64, percent: u32| {
            let before = journal.last_seq();
            refuses.0.store(percent, Ordering::Relaxed);
            service.watch_door(Time::from_ms(s * 1000), &mut journal);
            let new = journal.after(before);
            new.into_iter().map(|entry| entry.text).collect::<Vec<_>>()
        };
        assert!(look(1, 0).is_empty());
        let begins = "shop: refuses 20 % of the requests from now on, because fewer than 50 % of \
                      them end well";
        assert_eq!(look(2, 20), [begins]);
        for (s, percent) in [(3, 80), (4, 0), (9, 0), (10, 30), (15, 0), (19, 0)] {
            assert!(look(s, percent).is_empty(), "{s}");
        }
        let ends = "shop: refuses no request any more; it did for 8 s, 80 % of them at most";
        assert_eq!(look(20, 0), [ends]);
        assert!(look(40, 0).is_empty());
    }
}
