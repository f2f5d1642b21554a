//! Admission of requests to a service of which too many fail: what becomes of each is counted, and
//! some are refused at the door. How many is `balance`'s to say.

use std::sync::{Mutex, MutexGuard, PoisonError};

use balance::admission::{Fate, Ledger};
use model::{Admission, Outcome, Priority, Time};

use crate::error::{Blame, Error};
use crate::exchange::{Exchanged, Failure};

/// What became of the requests of one service, over all workers. Survives tables, and so reloads.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    /// With the policy that it was asked by last.
    ledger: Mutex<(Ledger, Option<Admission>)>,
}

impl Gate {
    /// Lets a request of this class in, or counts it as refused. `chance` is from 0 to 1.
    ///
    /// # Errors
    /// `NotAdmitted`.
    pub(crate) fn admit(
        &self,
        policy: Admission,
        now: Time,
        class: Priority,
        chance: f64,
    ) -> Result<(), Error> {
        let (ledger, known) = &mut *self.ledger();
        *known = Some(policy);
        if chance >= ledger.refused(&policy, now, class) {
            return Ok(());
        }
        ledger.count(&policy, now, class, Fate::Refused);
        Err(Error::NotAdmitted)
    }

    /// Takes note of what became of one that was let in. What Herder or the client ended says
    /// nothing of the service.
    pub(crate) fn learn(
        &self,
        policy: Admission,
        now: Time,
        class: Priority,
        (result, status): (&Result<Exchanged, Failure>, u16),
    ) {
        let fate = match result {
            Ok(_) => match Outcome::of(status, None, None) {
                Outcome::ServerError { .. } => Fate::Failed,
                _ => Fate::Accepted,
            },
            Err(failure) if failure.error.blame() == Blame::Instance => Fate::Failed,
            Err(_) => return,
        };
        self.ledger().0.count(&policy, now, class, fate);
    }

    /// How many percent of all requests are refused now, as far as anybody asked.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 100")]
    pub(crate) fn refused_percent(&self, now: Time) -> u32 {
        let (ledger, known) = &*self.ledger();
        let refused = known.map_or(0.0, |policy| ledger.refused_of_all(&policy, now));
        // A part of 1.
        (refused * 100.0).round() as u32
    }

    /// Nothing that is done while it is locked can panic half-way.
    fn ledger(&self) -> MutexGuard<'_, (Ledger, Option<Admission>)> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
