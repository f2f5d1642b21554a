//! The thread that writes the history: a minute of all services at a time, and at once when a
//! number of instances changes. What a disk refuses is lost; it says so, and goes on.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use control::Sampled;
use model::ServiceName;

use super::minute::{Minute, Second};
use super::store::{Error, Last, Store};

/// Minutes between two deletions of what is too old.
const FORGET_EVERY: u64 = 60;

/// What the thread is told.
#[derive(Debug)]
pub(super) enum Message {
    /// What was measured at one moment.
    Seen(Vec<Seen>),
    /// Write what is left, and end.
    End,
}

/// What one service was asked in one second.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    service: ServiceName,
    /// Seconds since 1970.
    at_s: u64,
    second: Second,
}

/// What is not written yet.
#[derive(Debug)]
pub(super) struct Writer {
    store: Arc<Store>,
    kept_s: u64,
    /// The minute that runs.
    number: u64,
    services: BTreeMap<ServiceName, (Minute, Last)>,
    /// The minute of the last deletion.
    forgot: u64,
    /// Whether the last attempt failed, so that a full disk is told once.
    fails: bool,
}

impl Seen {
    pub(super) fn of(sampled: &Sampled, at_s: u64) -> Self {
        let sample = &sampled.sample;
        let second = Second {
            arrivals: sample.arrivals,
            completions: sample.completions,
            in_flight: sample.in_flight,
            queued: sample.queued,
            desired: sampled.desired,
            ready: sampled.ready,
        };
        Self { service: sampled.service.clone(), at_s, second }
    }
}

impl Second {
    /// Nobody asked for anything.
    fn is_quiet(&self) -> bool {
        self.arrivals + self.completions + self.in_flight + self.queued == 0.0
    }
}

impl Writer {
    pub(super) fn new(store: Arc<Store>, kept_s: u64) -> Self {
        Self { store, kept_s, number: 0, services: BTreeMap::new(), forgot: 0, fails: false }
    }

    /// The body of the thread. It ends when it is told to, or nobody is left to tell it anything.
    pub(super) fn run(mut self, inbox: &Receiver<Message>) {
        while let Ok(Message::Seen(seen)) = inbox.recv() {
            self.take(seen);
        }
        self.flush();
    }

    fn take(&mut self, seen: Vec<Seen>) {
        let mut has_changed = false;
        for Seen { service, at_s, second } in seen {
            let number = at_s / 60;
            if number != self.number {
                // Also when the clock was put back: what is there of that minute is kept.
                self.flush();
                self.begin(number);
            }
            let new = || (Minute { number, rows: Vec::new() }, Last { at_s, desired: u32::MAX });
            let (minute, last) = self.services.entry(service).or_insert_with(new);
            has_changed |= last.desired != second.desired;
            *last = Last { at_s, desired: second.desired };
            if !second.is_quiet() {
                let at = u8::try_from(at_s % 60).expect("a minute has 60 seconds");
                minute.put(at, &second);
            }
        }
        if has_changed {
            self.flush();
        }
    }

    fn begin(&mut self, number: u64) {
        self.number = number;
        // Who was not measured in the minute that ended is not configured any more.
        self.services.retain(|_, (minute, last)| last.at_s / 60 >= minute.number);
        for (minute, _) in self.services.values_mut() {
            *minute = Minute { number, rows: Vec::new() };
        }
        if number.abs_diff(self.forgot) >= FORGET_EVERY {
            self.forgot = number;
            let outcome = self.store.forget(number.saturating_sub(self.kept_s / 60));
            self.told(outcome);
        }
        let lost = self.store.lost().take();
        if lost > 0 {
            tracing::warn!(lost, "the history lacks what was measured while the disk was busy");
        }
    }

    /// Writes the minute that runs, as far as it is known.
    fn flush(&mut self) {
        let outcome = self.write();
        self.told(outcome);
    }

    fn write(&mut self) -> Result<(), Error> {
        for (name, (minute, _)) in &mut self.services {
            let before = self.store.minutes(name, minute.number, minute.number + 1)?;
            before.into_iter().for_each(|before| minute.merge(before.rows));
        }
        let minutes: Vec<_> =
            self.services.iter().map(|(name, (minute, _))| (name, minute)).collect();
        let last: Vec<_> = self.services.iter().map(|(name, &(_, last))| (name, last)).collect();
        self.store.write(&minutes, &last)
    }

    fn told(&mut self, outcome: Result<(), Error>) {
        match outcome {
            Err(error) if !self.fails => {
                tracing::warn!("the history could not be written, and lacks what follows: {error}");
                self.fails = true;
            }
            Ok(()) if self.fails => {
                tracing::info!("the history is written again");
                self.fails = false;
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(service: &str, at_s: u64, arrivals: f64, desired: u32) -> Seen {
        let in_flight = arrivals / 10.0;
        let second =
            Second { arrivals, completions: arrivals, in_flight, queued: 0.0, desired, ready: 1 };
        Seen { service: service.parse().unwrap(), at_s, second }
    }

    struct Stage {
        writer: Writer,
        store: Arc<Store>,
        _dir: tempfile::TempDir,
    }

    fn stage(kept_s: u64) -> Stage {
        let dir = tempfile::tempdir().unwrap();
        let store = Arc::new(Store::open(&dir.path().join("history")).unwrap());
        Stage { writer: Writer::new(Arc::clone(&store), kept_s), store, _dir: dir }
    }

    impl Stage {
        fn take(&mut self, service: &str, at_s: u64, arrivals: f64, desired: u32) {
            self.writer.take(vec![seen(service, at_s, arrivals, desired)]);
        }

        /// Seconds of a service that are on disk.
        fn written(&self, service: &str) -> Vec<u64> {
            let found = self.store.minutes(&service.parse().unwrap(), 0, u64::MAX).unwrap();
            let rows = |minute: &Minute| {
                let number = minute.number;
                let rows = minute.rows.iter().map(move |row| number * 60 + u64::from(row.0));
                rows.collect::<Vec<u64>>()
            };
            found.iter().flat_map(rows).collect()
        }

        fn desired(&self) -> Vec<u32> {
            self.store.last().unwrap().iter().map(|(_, last)| last.desired).collect()
        }
    }

    #[test]
    fn a_change_is_written_at_once_and_the_rest_with_its_minute() {
        let mut stage = stage(3600);
        stage.take("shop", 600, 5.0, 2);
        assert_eq!((stage.written("shop"), stage.desired()), (vec![600], vec![2]));
        stage.take("shop", 601, 5.0, 2);
        stage.take("shop", 602, 0.0, 2);
        assert_eq!(stage.written("shop"), [600]);
        stage.take("shop", 603, 9.0, 7);
        assert_eq!((stage.written("shop"), stage.desired()), (vec![600, 601, 603], vec![7]));
        stage.take("shop", 604, 9.0, 7);
        stage.take("shop", 660, 9.0, 7);
        assert_eq!(stage.written("shop"), [600, 601, 603, 604]);
        stage.writer.flush();
        assert_eq!(stage.written("shop"), [600, 601, 603, 604, 660]);
    }

    #[test]
    fn a_clock_that_is_put_back_and_a_new_herder_lose_nothing() {
        let mut stage = stage(3600);
        stage.take("shop", 655, 5.0, 2);
        stage.take("shop", 661, 5.0, 2);
        stage.take("shop", 656, 5.0, 2);
        stage.take("shop", 662, 5.0, 2);
        stage.writer = Writer::new(Arc::clone(&stage.store), 3600);
        assert_eq!(stage.written("shop"), [655, 656, 661]);
        stage.take("shop", 663, 5.0, 2);
        assert_eq!(stage.written("shop"), [655, 656, 661, 663]);
    }

    #[test]
    fn who_is_not_measured_any_more_is_not_written_any_more() {
        let mut stage = stage(3600);
        stage.take("old", 600, 5.0, 2);
        stage.take("shop", 661, 5.0, 2);
        stage.take("shop", 721, 5.0, 2);
        stage.take("shop", 781, 5.0, 2);
        let minutes = |name: &str| {
            let found = stage.store.minutes(&name.parse().unwrap(), 0, u64::MAX).unwrap();
            found.iter().map(|minute| minute.number).collect::<Vec<u64>>()
        };
        stage.writer.flush();
        assert_eq!((minutes("old"), minutes("shop")), (vec![10, 11], vec![11, 12, 13]));
    }

    #[test]
    fn what_is_older_than_asked_for_is_deleted_within_the_hour() {
        let mut stage = stage(3600);
        stage.take("shop", 60_000, 5.0, 2);
        stage.take("shop", 61_800, 5.0, 2);
        stage.take("shop", 63_660, 5.0, 2);
        stage.writer.flush();
        assert_eq!(stage.written("shop"), [61_800, 63_660]);
    }
}
