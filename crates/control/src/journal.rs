//! The bounded list of recent decisions, transitions and refusals, each with its reason.
//! It decides nothing and logs nothing; the shell hands its entries on.

use std::collections::VecDeque;
use std::time::Duration;

use model::{InstanceId, ServiceName, Time};

use crate::{Entry, Kind};

/// A ring of entries. At its limit the oldest one is dropped for the newest; the sequence numbers
/// go on, so that a reader sees the gap.
#[derive(Debug)]
pub struct Journal {
    entries: VecDeque<Entry>,
    /// Entries kept; 0 keeps none and still counts.
    max: usize,
    /// The number of the newest entry, dropped ones included.
    seq: u64,
}

impl Journal {
    pub(crate) fn new(max: usize) -> Self {
        Self { entries: VecDeque::new(), max, seq: 0 }
    }

    /// The entries that are newer than the one with the number `seq`, oldest first. 0 asks for all
    /// that are kept.
    pub fn after(&self, seq: u64) -> Vec<Entry> {
        let kept_from = self.entries.partition_point(|entry| entry.seq <= seq);
        self.entries.range(kept_from..).cloned().collect()
    }

    /// The number of the newest entry; 0 before the first.
    pub fn last_seq(&self) -> u64 {
        self.seq
    }

    /// Something that concerns Herder as a whole.
    pub(crate) fn herder(&mut self, at: Time, kind: Kind, text: String) {
        self.push(at, kind, (None, None), text);
    }

    /// Something that concerns a service.
    pub(crate) fn service(&mut self, at: Time, kind: Kind, name: &ServiceName, text: String) {
        self.push(at, kind, (Some(name.clone()), None), text);
    }

    /// Something that concerns an instance.
    pub(crate) fn instance(&mut self, at: Time, kind: Kind, id: &InstanceId, text: String) {
        self.push(at, kind, (Some(id.service.clone()), Some(id.clone())), text);
    }

    fn push(
        &mut self,
        at: Time,
        kind: Kind,
        (service, instance): (Option<ServiceName>, Option<InstanceId>),
        text: String,
    ) {
        self.seq += 1;
        self.entries.push_back(Entry { seq: self.seq, at, kind, service, instance, text });
        while self.entries.len() > self.max {
            self.entries.pop_front();
        }
    }
}

/// A duration as a tired person reads it: `240 ms`, `1.2 s`, `60 s`, `5 min`.
pub(crate) fn span(duration: Duration) -> String {
    let ms = duration.as_millis();
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..10_000 if ms % 1_000 >= 100 => format!("{}.{} s", ms / 1_000, ms % 1_000 / 100),
        1_000..180_000 => format!("{} s", ms / 1_000),
        _ => format!("{} min", ms / 60_000),
    }
}

/// A count with its noun: `1 instance`, `3 instances`.
pub(crate) fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_entries_make_room_and_the_numbers_go_on() {
        let mut journal = Journal::new(3);
        for n in 1..=5 {
            journal.herder(Time::from_ms(n), Kind::Ordered, format!("entry {n}"));
        }
        let check = |after: u64, expected: &[u64]| {
            let got: Vec<u64> = journal.after(after).iter().map(|entry| entry.seq).collect();
            assert_eq!(got, expected, "after {after}");
        };
        check(0, &[3, 4, 5]);
        check(3, &[4, 5]);
        check(5, &[]);
        check(99, &[]);
        assert_eq!(journal.last_seq(), 5);
    }

    #[test]
    fn a_journal_without_room_still_counts() {
        let mut journal = Journal::new(0);
        journal.herder(Time::default(), Kind::Ordered, "lost".to_owned());
        assert_eq!((journal.after(0), journal.last_seq()), (vec![], 1));
    }

    #[test]
    fn spans() {
        let check = |ms, text: &str| assert_eq!(span(Duration::from_millis(ms)), text);
        check(0, "0 ms");
        check(999, "999 ms");
        check(1_000, "1 s");
        check(1_099, "1 s");
        check(1_250, "1.2 s");
        check(10_900, "10 s");
        check(60_000, "60 s");
        check(300_000, "5 min");
    }
}
