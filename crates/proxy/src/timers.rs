//! Deadlines that cost a store to set: one per connection, looked at by one tick per worker.
//! Not exact: a deadline is noticed up to one tick late, and never early.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::time::Instant;

/// Between two looks at all deadlines. 10,000 connections cost about 30 µs per tick.
pub(crate) const TICK: Duration = Duration::from_millis(50);

/// A worker whose tick is later than this had stood still: what it then finds in the kernel had
/// come in time.
const STALL: Duration = TICK.saturating_mul(3);

const NEVER: u64 = u64::MAX;

/// All deadlines of one worker, and its coarse clock.
#[derive(Debug)]
pub(crate) struct Timers {
    start: Instant,
    now_ms: Cell<u64>,
    slots: RefCell<Vec<Rc<Slot>>>,
}

/// The deadline of one connection. Dropping it takes it off the worker's list.
#[derive(Debug)]
pub(crate) struct Deadline {
    timers: Rc<Timers>,
    slot: Rc<Slot>,
}

/// Why a deadline has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// By itself.
    Own,
    /// The time for the whole request is over.
    Request,
    /// Herder ends.
    Stop,
}

#[derive(Debug)]
struct Slot {
    at: Cell<usize>,
    expires_ms: Cell<u64>,
    /// No deadline is later than this one, that of the whole request.
    cap_ms: Cell<u64>,
    waker: RefCell<Option<Waker>>,
}

impl Timers {
    pub(crate) fn new() -> Self {
        Self { start: Instant::now(), now_ms: Cell::new(0), slots: RefCell::default() }
    }

    /// A deadline that is not set.
    pub(crate) fn deadline(self: &Rc<Self>) -> Deadline {
        let mut slots = self.slots.borrow_mut();
        let slot = Rc::new(Slot {
            at: Cell::new(slots.len()),
            expires_ms: Cell::new(NEVER),
            cap_ms: Cell::new(NEVER),
            waker: RefCell::default(),
        });
        slots.push(Rc::clone(&slot));
        Deadline { timers: Rc::clone(self), slot }
    }

    /// Milliseconds since the worker began, as of the last tick.
    pub(crate) fn now_ms(&self) -> u64 {
        self.now_ms.get()
    }

    /// Reads the clock and wakes every connection whose deadline has passed. Time during which the
    /// worker stood still counts against nobody.
    pub(crate) fn tick(&self) {
        let now_ms = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(NEVER - 1);
        let late_ms = now_ms.saturating_sub(self.now_ms.replace(now_ms));
        if u128::from(late_ms) > STALL.as_millis() {
            self.postpone(late_ms);
        }
        for slot in self.slots.borrow().iter().filter(|slot| slot.expires_ms.get() <= now_ms) {
            slot.wake();
        }
    }

    /// From now on every deadline has passed, whatever it is set to: all connections end.
    pub(crate) fn end(&self) {
        self.now_ms.set(NEVER);
        self.wake_all();
    }

    /// Whether no connection is left.
    pub(crate) fn is_empty(&self) -> bool {
        self.slots.borrow().is_empty()
    }

    fn postpone(&self, ms: u64) {
        for slot in self.slots.borrow().iter() {
            slot.expires_ms.set(slot.expires_ms.get().saturating_add(ms));
            slot.cap_ms.set(slot.cap_ms.get().saturating_add(ms));
        }
    }

    /// Wakes every connection, so that it looks at what has changed.
    pub(crate) fn wake_all(&self) {
        for slot in self.slots.borrow().iter() {
            slot.wake();
        }
    }
}

impl Deadline {
    /// Sets the deadline to `after` from now, forgetting the one before. One tick is added because
    /// the coarse clock may be that old.
    pub(crate) fn set(&self, after: Duration) {
        self.slot.expires_ms.set(self.after(after).min(self.slot.cap_ms.get()));
    }

    /// No deadline that is set from now on is later than `after` from now.
    pub(crate) fn cap(&self, after: Duration) {
        self.slot.cap_ms.set(self.after(after));
    }

    /// What is left until the latest that a deadline may be; none if it may be as late as it likes.
    pub(crate) fn left(&self) -> Option<Duration> {
        let cap_ms = self.slot.cap_ms.get();
        let left_ms = cap_ms.saturating_sub(self.timers.now_ms());
        (cap_ms != NEVER).then(|| Duration::from_millis(left_ms))
    }

    /// Deadlines that are set from now on are as late as they say.
    pub(crate) fn uncap(&self) {
        self.slot.cap_ms.set(NEVER);
    }

    fn after(&self, after: Duration) -> u64 {
        let ms = u64::try_from(after.saturating_add(TICK).as_millis()).unwrap_or(NEVER);
        self.timers.now_ms().saturating_add(ms)
    }

    /// Brings the deadline forward to `after` from now, unless it is sooner.
    pub(crate) fn limit(&self, after: Duration) {
        let before = self.slot.expires_ms.get();
        self.set(after);
        self.slot.expires_ms.set(self.slot.expires_ms.get().min(before));
    }

    /// Whether the deadline has passed; if not, the task of `cx` is woken when it does.
    pub(crate) fn has_passed(&self, cx: &Context<'_>) -> bool {
        if self.slot.expires_ms.get() <= self.timers.now_ms() {
            return true;
        }
        let mut waker = self.slot.waker.borrow_mut();
        if waker.as_ref().is_none_or(|waker| !waker.will_wake(cx.waker())) {
            *waker = Some(cx.waker().clone());
        }
        false
    }

    /// Why it has passed.
    pub(crate) fn why(&self) -> Why {
        match self.timers.now_ms() {
            NEVER => Why::Stop,
            now_ms if self.slot.cap_ms.get() <= now_ms => Why::Request,
            _ => Why::Own,
        }
    }

    /// What comes out of `future`, unless the deadline passes before.
    pub(crate) async fn within<T>(
        &self,
        mut future: Pin<&mut impl Future<Output = T>>,
    ) -> Option<T> {
        poll_fn(|cx| match future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if self.has_passed(cx) => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        })
        .await
    }
}

impl Slot {
    fn wake(&self) {
        if let Some(waker) = &*self.waker.borrow() {
            waker.wake_by_ref();
        }
    }
}

impl Drop for Deadline {
    fn drop(&mut self) {
        let mut slots = self.timers.slots.borrow_mut();
        let at = self.slot.at.get();
        slots.swap_remove(at);
        if let Some(moved) = slots.get(at) {
            moved.at.set(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use std::task::Poll;

    #[tokio::test(start_paused = true)]
    async fn a_deadline_is_noticed_never_early_and_at_most_two_ticks_late() {
        let timers = Rc::new(Timers::new());
        let deadline = timers.deadline();
        let began = Instant::now();
        deadline.set(Duration::from_millis(300));
        let mut ticks = tokio::time::interval(TICK);
        let passed = poll_fn(|cx| match deadline.has_passed(cx) {
            true => Poll::Ready(began.elapsed()),
            false => Poll::Pending,
        });
        tokio::pin!(passed);
        let took = loop {
            tokio::select! {
                biased;
                took = &mut passed => break took,
                _ = ticks.tick() => timers.tick(),
            }
        };
        assert!(took >= Duration::from_millis(300) && took <= Duration::from_millis(400));
    }

    #[tokio::test(start_paused = true)]
    async fn a_cap_holds_for_every_deadline_until_it_is_taken_off() {
        let timers = Rc::new(Timers::new());
        let deadline = timers.deadline();
        let cx = Context::from_waker(Waker::noop());
        let pass = async |ms: u64| {
            for _ in 0..ms / 50 {
                tokio::time::advance(TICK).await;
                timers.tick();
            }
            (deadline.has_passed(&cx), deadline.why())
        };
        deadline.cap(Duration::from_millis(300));
        deadline.set(Duration::from_millis(100));
        assert_eq!(pass(150).await, (true, Why::Own));
        deadline.set(Duration::from_secs(100));
        assert_eq!(pass(150).await, (false, Why::Own));
        assert_eq!(pass(50).await, (true, Why::Request));
        deadline.set(Duration::from_secs(100));
        assert_eq!(pass(0).await, (true, Why::Request));
        deadline.uncap();
        deadline.set(Duration::from_secs(100));
        assert_eq!(pass(10_000).await, (false, Why::Own));
        timers.end();
        deadline.set(Duration::MAX);
        assert_eq!((deadline.has_passed(&cx), deadline.why()), (true, Why::Stop));
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_of_a_worker_that_stood_still_counts_against_nobody() {
        let timers = Rc::new(Timers::new());
        let deadline = timers.deadline();
        let cx = Context::from_waker(Waker::noop());
        deadline.set(Duration::from_millis(1000));
        tokio::time::advance(Duration::from_secs(60)).await;
        timers.tick();
        assert!(!deadline.has_passed(&cx));
        for _ in 0..21 {
            tokio::time::advance(TICK).await;
            timers.tick();
        }
        assert!(deadline.has_passed(&cx));
    }

    #[test]
    fn dropping_one_keeps_the_others() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let timers = Rc::new(runtime.block_on(async { Timers::new() }));
        let mut deadlines: Vec<_> = (0..5).map(|_| timers.deadline()).collect();
        drop(deadlines.remove(1));
        drop(deadlines.remove(0));
        for (at, slot) in timers.slots.borrow().iter().enumerate() {
            assert_eq!(slot.at.get(), at);
        }
        deadlines.clear();
        assert!(timers.slots.borrow().is_empty());
    }
}
