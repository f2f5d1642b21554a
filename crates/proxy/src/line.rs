//! The queue of one service between threads: a lock around `balance`'s discipline, and wakers.
//! It is touched only by requests that wait, and by whoever frees a place while one waits.

use std::cell::Cell;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Waker;
use std::time::{Duration, Instant};

use balance::queue::{Queue, QueueRules, Standing, Takes, Ticket, Why, Wish};
use model::{Admission, Live, Pool, Priority, QueuePolicy, Time};

use crate::error::Error;
use crate::exchange::{Exchanged, Failure};
use crate::gate::Gate;
use crate::rate::Rates;

/// Who waits for an endpoint of one service, over all workers, and how often it was asked.
///
/// Nobody waits while there is a place that nobody was called for. There are three ways to a place:
/// one becomes free, and [`model::Line::freed`] calls one more; a limit is raised or a table has
/// more endpoints, and whoever then looks calls as many as there are places ([`Line::look`]); or
/// one that was called goes without taking its place, and calls another on its way out. Whoever
/// comes or is sent back looks after it was counted, so that it sees each place that was free
/// before; see [`Live`] for those that become free after.
#[derive(Debug)]
pub(crate) struct Line {
    start: Instant,
    queue: Mutex<Queue<Waker>>,
    /// Made when the service has a rate limit for the first time.
    rates: OnceLock<Rates>,
    gate: Gate,
}

/// One request in the line. It leaves when dropped, whatever happened.
pub(crate) struct InLine<'a> {
    line: &'a Line,
    live: &'a Live,
    ticket: Ticket,
    has_place: Cell<bool>,
}

/// How long a request waits at most, and as what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    pub(crate) class: Priority,
    pub(crate) takes: Takes,
    /// From now, until a place is of no use to it.
    pub(crate) left: Duration,
}

impl Default for Line {
    fn default() -> Self {
        Self {
            start: Instant::now(),
            queue: Mutex::default(),
            rates: OnceLock::new(),
            gate: Gate::default(),
        }
    }
}

impl model::Line for Line {
    fn freed(&self) {
        self.change(|queue, now, wake| queue.freed(now, wake));
    }

    fn oldest(&self) -> Option<Duration> {
        let now = self.now();
        self.queue().oldest().map(|entered| now.since(entered))
    }

    fn refused_percent(&self) -> u32 {
        self.gate.refused_percent(self.now())
    }
}

impl Line {
    /// Lets a request in.
    ///
    /// # Errors
    /// Why it cannot wait.
    pub(crate) fn enter<'a>(
        &'a self,
        live: &'a Live,
        policy: &QueuePolicy,
        patience: Patience,
        waker: Waker,
    ) -> Result<InLine<'a>, Why> {
        let rules = QueueRules {
            waiting_max: policy.waiting_max,
            codel: policy.codel,
            sheds: policy.sheds,
        };
        let ticket = self.change(|queue, now, wake| {
            let Patience { class, takes, left } = patience;
            let wish = Wish { class, takes, expires: now + left };
            let ticket = queue.enter(&rules, (now, wish), waker, wake);
            count(live, queue);
            ticket
        })?;
        Ok(InLine { line: self, live, ticket, has_place: Cell::new(false) })
    }

    /// Who is at what of the service's rates.
    pub(crate) fn rates(&self) -> &Rates {
        self.rates.get_or_init(Rates::default)
    }

    /// Lets a request of the service in at the door, or refuses it.
    ///
    /// # Errors
    /// `NotAdmitted`.
    pub(crate) fn admit(
        &self,
        policy: Admission,
        class: Priority,
        chance: f64,
    ) -> Result<(), Error> {
        self.gate.admit(policy, self.now(), class, chance)
    }

    /// Takes note of what became of a request that was let in, with its status.
    pub(crate) fn learn(
        &self,
        policy: Admission,
        class: Priority,
        ended: (&Result<Exchanged, Failure>, u16),
    ) {
        self.gate.learn(policy, self.now(), class, ended);
    }

    /// Calls as many as there are places in this pool.
    pub(crate) fn look(&self, pool: &Pool) {
        let room = room(pool);
        self.change(|queue, now, wake| queue.call_within(room, now, wake));
    }

    /// Changes the queue, then wakes who has to know: not while it is locked, for they will want
    /// the lock.
    fn change<R>(&self, change: impl FnOnce(&mut Queue<Waker>, Time, &mut Vec<Waker>) -> R) -> R {
        let mut wake = Vec::new();
        let result = {
            let mut queue = self.queue();
            let now = self.now();
            change(&mut queue, now, &mut wake)
        };
        wake.into_iter().for_each(Waker::wake);
        result
    }

    fn now(&self) -> Time {
        Time::default() + self.start.elapsed()
    }

    /// Nothing that is done while it is locked can panic half-way.
    fn queue(&self) -> MutexGuard<'_, Queue<Waker>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl InLine<'_> {
    /// How it stands. Whatever changes that wakes the owner of `waker`.
    pub(crate) fn standing(&self, waker: &Waker) -> Standing {
        self.line.queue().standing(self.ticket, |kept| kept.clone_from(waker))
    }

    /// It was called and found no place.
    pub(crate) fn send_back(&self) {
        self.line.queue().send_back(self.ticket);
    }

    /// It has a place, and leaves. There may be more of them in this pool.
    pub(crate) fn take_place(self, pool: &Pool) {
        self.has_place.set(true);
        let line = self.line;
        drop(self);
        if pool.live.waiting() > 0 {
            line.look(pool);
        }
    }
}

impl Drop for InLine<'_> {
    fn drop(&mut self) {
        self.line.change(|queue, now, wake| {
            let stood = queue.leave(self.ticket);
            count(self.live, queue);
            if stood == Some(Standing::Called) && !self.has_place.get() {
                queue.freed(now, wake);
            }
        });
    }
}

/// While the queue is locked, so that the counts are those of the last change.
fn count(live: &Live, queue: &Queue<Waker>) {
    live.count_waiting(queue.depth(), queue.in_line());
}

/// How many requests could begin now.
fn room(pool: &Pool) -> u32 {
    let rooms = pool.endpoints.iter().map(|endpoint| endpoint.room());
    rooms.fold(0, u32::saturating_add).min(pool.live.room())
}

#[cfg(test)]
mod tests;
