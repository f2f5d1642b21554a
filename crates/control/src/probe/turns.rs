//! Whose probe may be under way: bounds by which those that take long keep nobody else waiting.
//! It knows neither what is asked nor what is answered, only how long the last one took.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::{Rc, Weak};
use std::time::Duration;

use model::ServiceName;
use tokio::sync::{Semaphore, SemaphorePermit};

/// Probes of one service under way at the same time, of instances that answered the last one
/// promptly; and as many of those that did not. Beyond: they wait their turn, first come first
/// served, behind their like alone. So instances that swallow every probe hold up those of their
/// service for one timeout, and those of others not at all.
pub(super) const LANE_MAX: usize = 64;
/// Probes under way at the same time, over all services: each takes a file descriptor. Beyond:
/// each lane of each service has one all the same.
const ALL_MAX: usize = 512;
/// An answer that takes longer is a late one. Far above what a fit instance takes, and below what
/// anybody notices.
pub(super) const PROMPT_MAX: Duration = Duration::from_millis(250);

/// How long an instance took the last time it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pace {
    Prompt,
    Late,
}

/// The turns of all services.
pub(super) struct Turns {
    all: Semaphore,
    lanes: RefCell<HashMap<ServiceName, Weak<Lanes>>>,
}

/// The turns of one service.
pub(super) struct Lanes {
    prompt: Lane,
    late: Lane,
}

struct Lane {
    places: Semaphore,
    /// What is there for the lane alone when all others have taken everything.
    reserve: Semaphore,
}

/// A probe may be under way until this is dropped.
pub(super) struct Turn<'a> {
    _place: SemaphorePermit<'a>,
    _of_all: SemaphorePermit<'a>,
}

impl Pace {
    /// That of an answer that took so long.
    pub(super) fn of(took: Duration) -> Self {
        if took > PROMPT_MAX { Pace::Late } else { Pace::Prompt }
    }
}

impl Turns {
    pub(super) fn new() -> Self {
        Self { all: Semaphore::new(ALL_MAX), lanes: RefCell::default() }
    }

    /// The lanes of a service, which exist as long as somebody has them.
    pub(super) fn lanes(&self, service: &ServiceName) -> Rc<Lanes> {
        let mut lanes = self.lanes.borrow_mut();
        if let Some(there) = lanes.get(service).and_then(Weak::upgrade) {
            return there;
        }
        lanes.retain(|_, lanes| lanes.strong_count() > 0);
        let made = Rc::new(Lanes { prompt: Lane::new(), late: Lane::new() });
        lanes.insert(service.clone(), Rc::downgrade(&made));
        made
    }

    /// Waits until a probe of an instance with this pace may begin.
    pub(super) async fn take<'a>(&'a self, lanes: &'a Lanes, pace: Pace) -> Turn<'a> {
        let lane = match pace {
            Pace::Prompt => &lanes.prompt,
            Pace::Late => &lanes.late,
        };
        let place = lane.places.acquire().await;
        let of_all = tokio::select! {
            biased;
            permit = self.all.acquire() => permit,
            permit = lane.reserve.acquire() => permit,
        };
        let never = "nobody closes a semaphore of this file";
        Turn { _place: place.expect(never), _of_all: of_all.expect(never) }
    }
}

impl Lane {
    fn new() -> Self {
        Self { places: Semaphore::new(LANE_MAX), reserve: Semaphore::new(1) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As many turns as can be had at once, and whether there was one more.
    async fn take_all<'a>(turns: &'a Turns, lanes: &'a Lanes, pace: Pace) -> Vec<Turn<'a>> {
        let mut taken = Vec::new();
        while let Ok(turn) =
            tokio::time::timeout(Duration::from_millis(1), turns.take(lanes, pace)).await
        {
            taken.push(turn);
        }
        taken
    }

    #[tokio::test(start_paused = true)]
    async fn a_lane_is_bounded_and_leaves_the_others_alone() {
        let turns = Turns::new();
        let (shop, blog) = ("shop".parse().unwrap(), "blog".parse().unwrap());
        let (shop, blog) = (turns.lanes(&shop), turns.lanes(&blog));
        let late = take_all(&turns, &shop, Pace::Late).await;
        assert_eq!(late.len(), LANE_MAX);
        let prompt = take_all(&turns, &shop, Pace::Prompt).await;
        assert_eq!(prompt.len(), LANE_MAX);
        assert_eq!(take_all(&turns, &blog, Pace::Late).await.len(), LANE_MAX);
        drop(late);
        assert_eq!(take_all(&turns, &shop, Pace::Late).await.len(), LANE_MAX);
    }

    #[tokio::test(start_paused = true)]
    async fn when_everything_is_taken_each_lane_has_one_all_the_same() {
        let turns = Turns::new();
        let names = (0..=ALL_MAX / LANE_MAX).map(|number| format!("s{number}").parse().unwrap());
        let services: Vec<Rc<Lanes>> = names.map(|name| turns.lanes(&name)).collect();
        let mut held = Vec::new();
        for lanes in &services {
            held.push(take_all(&turns, lanes, Pace::Prompt).await);
        }
        assert_eq!(held.pop().unwrap().len(), 1);
        let late = take_all(&turns, &services[0], Pace::Late).await;
        assert_eq!(late.len(), 1);
        drop(held);
        assert_eq!(take_all(&turns, &services[0], Pace::Late).await.len(), LANE_MAX - 1);
    }

    #[tokio::test]
    async fn lanes_of_a_service_are_the_same_while_anybody_has_them() {
        let turns = Turns::new();
        let shop = "shop".parse().unwrap();
        let one = turns.lanes(&shop);
        assert!(Rc::ptr_eq(&one, &turns.lanes(&shop)));
        drop(one);
        turns.lanes(&"blog".parse().unwrap());
        assert_eq!(turns.lanes.borrow().len(), 1);
    }
}
