//! The discipline of those who wait for an endpoint: who goes next, who goes without, and why.
//! A data structure only: it knows no clock and no thread; `now` and the tokens are arguments.

mod codel;

use std::collections::{BTreeMap, BTreeSet};

use model::{Codel, Priority, Time};

use crate::queue::codel::Overload;

/// How often in a row others go before a class that has somebody waiting. Then it is its turn, so
/// that the lowest class is served slowly and not never: one place in nine at worst, for each of
/// the two lower classes.
const PASSED_MAX: u32 = 8;

/// Classes of requests.
const CLASSES: usize = Priority::ALL.len();

/// Those who wait for an endpoint of one service. `T` is what wakes one of them.
///
/// Each is in one of these states: it stands in line; it was called, because there may be a place
/// for it, and looks; it stands apart, because it does not take any endpoint; it was dropped, and
/// is to learn so. Whoever is woken looks at its [`Standing`].
#[derive(Debug)]
pub struct Queue<T> {
    rules: QueueRules,
    /// Everybody, by arrival.
    waiters: BTreeMap<u64, Waiter<T>>,
    /// Those in line, the lowest class first, by arrival.
    lines: [BTreeSet<u64>; CLASSES],
    /// How often in a row others went before a class.
    passed: [u32; CLASSES],
    called: u32,
    apart: BTreeSet<u64>,
    dropped: u32,
    next: u64,
    overload: Overload,
}

/// The bounds of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueRules {
    /// How many may wait. Beyond: the newest of a lower class goes without, or else who comes.
    pub waiting_max: u32,
    /// When it counts as overloaded; none: never.
    pub codel: Option<Codel>,
    /// Whether the lowest class is refused while it is overloaded.
    pub sheds: bool,
}

/// Who comes.
#[derive(Clone, Copy, Debug)]
pub struct Wish {
    /// Its class.
    pub class: Priority,
    /// What it takes.
    pub takes: Takes,
    /// From when on a place is of no use to it.
    pub expires: Time,
}

/// Which endpoints a request takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// Any.
    Any,
    /// Not those that it was at already: it is told of every place that becomes free, and holds up
    /// nobody.
    Others,
}

/// One of those who wait. Never given twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(u64);

/// How one of them stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It waits in line.
    InLine,
    /// It is to look for a place: one of as many as there may be.
    Called,
    /// It waits, but for no place of its own.
    Apart,
    /// It goes without.
    Dropped(Why),
}

/// Why somebody goes without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// There are as many as may be.
    Full,
    /// The queue is overloaded, and it was its turn to go without.
    Overloaded,
    /// A place would be of no use any more.
    TooLate,
}

#[derive(Debug)]
struct Waiter<T> {
    entered: Time,
    wish: Wish,
    standing: Standing,
    token: T,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self {
            rules: QueueRules { waiting_max: 0, codel: None, sheds: false },
            waiters: BTreeMap::new(),
            lines: Default::default(),
            passed: [0; CLASSES],
            called: 0,
            apart: BTreeSet::new(),
            dropped: 0,
            next: 0,
            overload: Overload::default(),
        }
    }
}

impl<T: Clone> Queue<T> {
    /// Takes one more, by these rules, which hold from now on. The tokens of those who have to
    /// learn something are added to `wake`.
    ///
    /// # Errors
    /// Why it cannot wait.
    pub fn enter(
        &mut self,
        rules: &QueueRules,
        (now, wish): (Time, Wish),
        token: T,
        wake: &mut Vec<T>,
    ) -> Result<Ticket, Why> {
        self.rules = *rules;
        if wish.expires <= now {
            return Err(Why::TooLate);
        }
        if self.rules.sheds && self.overload.is_on() && wish.class == Priority::Low {
            return Err(Why::Overloaded);
        }
        if self.depth() >= self.rules.waiting_max && !self.displace(wish.class, wake) {
            return Err(Why::Full);
        }
        let number = self.next;
        self.next += 1;
        let standing = match wish.takes {
            Takes::Any => Standing::InLine,
            Takes::Others => Standing::Apart,
        };
        match wish.takes {
            Takes::Any => self.lines[at(wish.class)].insert(number),
            Takes::Others => self.apart.insert(number),
        };
        self.waiters.insert(number, Waiter { entered: now, wish, standing, token });
        Ok(Ticket(number))
    }

    /// There is one place more than before: calls the next one, and all who stand apart.
    pub fn freed(&mut self, now: Time, wake: &mut Vec<T>) {
        for number in &self.apart {
            if let Some(waiter) = self.waiters.get_mut(number) {
                waiter.standing = Standing::Called;
                wake.push(waiter.token.clone());
            }
        }
        self.call(now, wake);
    }

    /// There are `room` places: calls the next ones until as many are called.
    pub fn call_within(&mut self, room: u32, now: Time, wake: &mut Vec<T>) {
        while self.called < room && self.call(now, wake) {}
    }

    /// One that was called found no place: it stands where it stood before.
    pub fn send_back(&mut self, ticket: Ticket) {
        let Some(waiter) = self.waiters.get_mut(&ticket.0) else { return };
        if waiter.standing == Standing::Called && waiter.wish.takes == Takes::Any {
            waiter.standing = Standing::InLine;
            self.lines[at(waiter.wish.class)].insert(ticket.0);
            self.called -= 1;
        }
    }

    /// How one of them stands; `renew` may change its token. One that stands apart is called until
    /// it has asked.
    pub fn standing(&mut self, ticket: Ticket, renew: impl FnOnce(&mut T)) -> Standing {
        let Some(waiter) = self.waiters.get_mut(&ticket.0) else { return Standing::Apart };
        renew(&mut waiter.token);
        match waiter.wish.takes {
            Takes::Any => waiter.standing,
            Takes::Others => std::mem::replace(&mut waiter.standing, Standing::Apart),
        }
    }

    /// It waits no longer, whatever became of it.
    pub fn leave(&mut self, ticket: Ticket) -> Option<Standing> {
        let waiter = self.waiters.remove(&ticket.0)?;
        match waiter.standing {
            Standing::Dropped(_) => self.dropped -= 1,
            _ if waiter.wish.takes == Takes::Others => {
                self.apart.remove(&ticket.0);
            }
            Standing::Called => self.called -= 1,
            Standing::InLine | Standing::Apart => {
                self.lines[at(waiter.wish.class)].remove(&ticket.0);
            }
        }
        if self.in_line() == 0 {
            self.overload = Overload::default();
        }
        Some(waiter.standing)
    }

    /// How many wait.
    pub fn depth(&self) -> u32 {
        u32::try_from(self.waiters.len()).unwrap_or(u32::MAX).saturating_sub(self.dropped)
    }

    /// How many of them take any endpoint: those in line and those who were called.
    pub fn in_line(&self) -> u32 {
        let in_lines: usize = self.lines.iter().map(BTreeSet::len).sum();
        u32::try_from(in_lines).unwrap_or(u32::MAX).saturating_add(self.called)
    }

    /// When the one that waits longest came.
    pub fn oldest(&self) -> Option<Time> {
        let stays = |waiter: &&Waiter<T>| !matches!(waiter.standing, Standing::Dropped(_));
        self.waiters.values().find(stays).map(|waiter| waiter.entered)
    }

    /// Whether it is overloaded, as of the last call.
    pub fn is_overloaded(&self) -> bool {
        self.overload.is_on()
    }

    /// Calls the next one for whom a place is of use. False when nobody is in line.
    fn call(&mut self, now: Time, wake: &mut Vec<T>) -> bool {
        self.look_at_load(now, wake);
        while let Some(number) = self.take_next() {
            let Some(waiter) = self.waiters.get_mut(&number) else { continue };
            wake.push(waiter.token.clone());
            if waiter.wish.expires > now {
                waiter.standing = Standing::Called;
                self.called += 1;
                return true;
            }
            waiter.standing = Standing::Dropped(Why::TooLate);
            self.dropped += 1;
        }
        false
    }

    /// Takes the next one off its line: of the highest class, unless a lower one was passed over
    /// too often; the oldest of the class, or under overload the newest.
    ///
    /// Under overload the oldest are about to give up, and to serve them means that those behind
    /// them will be as late: the newest still have all their time.
    fn take_next(&mut self) -> Option<u64> {
        let waits = |class: &usize| !self.lines[*class].is_empty();
        let patient = (0..CLASSES).filter(waits).find(|&class| self.passed[class] >= PASSED_MAX);
        let class = patient.or_else(|| (0..CLASSES).rev().find(waits))?;
        for lower in 0..class {
            let was_passed = !self.lines[lower].is_empty();
            self.passed[lower] = if was_passed { self.passed[lower] + 1 } else { 0 };
        }
        self.passed[class] = 0;
        if self.overload.is_on() {
            self.lines[class].pop_last()
        } else {
            self.lines[class].pop_first()
        }
    }

    /// Finds out whether it is overloaded, and drops who has to go without for that.
    fn look_at_load(&mut self, now: Time, wake: &mut Vec<T>) {
        let Some(codel) = self.rules.codel else {
            self.overload = Overload::default();
            return;
        };
        let oldest = self.lines.iter().filter_map(BTreeSet::first).min();
        let entered = oldest.and_then(|number| self.waiters.get(number)).map(|one| one.entered);
        let sojourn = entered.map(|entered| now.since(entered));
        for _ in 0..self.overload.drops(&codel, now, sojourn) {
            let Some(line) = self.lines.iter_mut().find(|line| !line.is_empty()) else { return };
            let number = line.pop_first();
            self.drop_waiter(number, Why::Overloaded, wake);
        }
    }

    /// Makes room for one of this class: the newest of the lowest class below it goes.
    fn displace(&mut self, class: Priority, wake: &mut Vec<T>) -> bool {
        let lower = self.lines[..at(class)].iter_mut().find(|line| !line.is_empty());
        let Some(newest) = lower.and_then(BTreeSet::pop_last) else { return false };
        self.drop_waiter(Some(newest), Why::Full, wake);
        true
    }

    fn drop_waiter(&mut self, number: Option<u64>, why: Why, wake: &mut Vec<T>) {
        if let Some(waiter) = number.and_then(|number| self.waiters.get_mut(&number)) {
            waiter.standing = Standing::Dropped(why);
            self.dropped += 1;
            wake.push(waiter.token.clone());
        }
    }
}

/// Where a class is in the arrays.
fn at(class: Priority) -> usize {
    match class {
        Priority::Low => 0,
        Priority::Normal => 1,
        Priority::High => 2,
    }
}

#[cfg(test)]
mod tests;
