//! Whether a ready instance is let into the pool, and how its requests fared before.
//! It is a property of an instance in phase ready, not a phase: an ejected one passes its probes.

use balance::Tally;
use model::{Endpoint, Time};

use crate::AdmissionView as Admission;

/// What is known of one instance.
#[derive(Debug, Default)]
pub(crate) struct Ejection {
    pub(crate) admission: Admission,
    /// Ejections that are not forgiven yet; each makes the next one longer.
    pub(crate) times: u32,
    /// When it was let in again last.
    pub(crate) admitted_at: Time,
    /// Whether the journal has it that it stays in spite of its streak.
    pub(crate) is_spared: bool,
    /// What became of its requests in the interval before this one.
    pub(crate) last: Tally,
    /// The counters as they were when this interval began.
    counted: Tally,
}

impl Ejection {
    /// Whether it is in the pool without reserve.
    pub(crate) fn is_admitted(&self) -> bool {
        self.admission == Admission::Admitted
    }

    /// When something is due with the time alone.
    pub(crate) fn until(&self) -> Option<Time> {
        match self.admission {
            Admission::Ejected { until, .. } => Some(until),
            Admission::Admitted | Admission::Trial { .. } => None,
        }
    }

    /// Ends an interval: what became of the requests that ended in it.
    pub(crate) fn end_interval(&mut self, endpoint: &Endpoint) {
        let now = counted(endpoint);
        self.last = self.since_interval(endpoint);
        self.counted = now;
    }

    /// What became of the requests that ended in this interval so far.
    pub(crate) fn since_interval(&self, endpoint: &Endpoint) -> Tally {
        let now = counted(endpoint);
        Tally {
            requests: now.requests.saturating_sub(self.counted.requests),
            failures: now.failures.saturating_sub(self.counted.failures),
        }
    }
}

/// The requests that ended so far. The counters are read one after the other while requests go on,
/// so that they may be off by a few; the next interval makes up for it.
fn counted(endpoint: &Endpoint) -> Tally {
    let in_flight = u64::from(endpoint.in_flight());
    Tally { requests: endpoint.requests().saturating_sub(in_flight), failures: endpoint.failures() }
}
