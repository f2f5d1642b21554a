//! The discipline by tables of small queues, and its invariants over random histories.

use std::time::Duration;

use proptest::prelude::*;

use super::*;

const RULES: QueueRules = QueueRules { waiting_max: 100, codel: None, sheds: false };
const CODEL: Codel =
    Codel { target: Duration::from_millis(50), interval: Duration::from_millis(500) };

fn at_ms(ms: u64) -> Time {
    Time::from_ms(ms)
}

fn wish(class: Priority) -> Wish {
    Wish { class, takes: Takes::Any, expires: at_ms(u64::MAX) }
}

/// A queue in which the token of each is its number.
#[derive(Default)]
struct Rig {
    queue: Queue<u32>,
    tickets: Vec<Ticket>,
}

impl Rig {
    fn enter(&mut self, rules: &QueueRules, ms: u64, wish: Wish) -> (Result<u32, Why>, Vec<u32>) {
        let number = u32::try_from(self.tickets.len()).unwrap();
        let mut wake = Vec::new();
        let entered = self.queue.enter(rules, (at_ms(ms), wish), number, &mut wake);
        let entered = entered.map(|ticket| {
            self.tickets.push(ticket);
            number
        });
        (entered, wake)
    }

    fn freed(&mut self, ms: u64) -> Vec<u32> {
        let mut wake = Vec::new();
        self.queue.freed(at_ms(ms), &mut wake);
        wake
    }

    fn standing(&mut self, number: u32) -> Standing {
        self.queue.standing(self.tickets[number as usize], |_| {})
    }

    fn leave(&mut self, number: u32) {
        self.queue.leave(self.tickets[number as usize]).unwrap();
    }
}

#[test]
fn the_oldest_goes_first_and_each_place_calls_one() {
    let mut rig = Rig::default();
    for _ in 0..4 {
        rig.enter(&RULES, 0, wish(Priority::Normal)).0.unwrap();
    }
    assert_eq!((rig.freed(1), rig.freed(1)), (vec![0], vec![1]));
    assert_eq!(rig.standing(0), Standing::Called);
    rig.queue.send_back(rig.tickets[0]);
    assert_eq!((rig.standing(0), rig.freed(2)), (Standing::InLine, vec![0]));
    let mut wake = Vec::new();
    rig.queue.call_within(3, at_ms(2), &mut wake);
    assert_eq!(wake, [2], "two are called already");
    for number in 0..4 {
        rig.leave(number);
    }
    assert_eq!((rig.queue.depth(), rig.queue.in_line(), rig.freed(9)), (0, 0, vec![]));
}

#[test]
fn higher_classes_go_first_and_no_class_is_forgotten() {
    let mut rig = Rig::default();
    for class in [Priority::Low, Priority::Normal, Priority::High] {
        for _ in 0..20 {
            rig.enter(&RULES, 0, wish(class)).0.unwrap();
        }
    }
    let order: Vec<u32> = (0..60).flat_map(|_| rig.freed(1)).collect();
    let low = |number: &&u32| **number < 20;
    let first_low = order.iter().position(|number| *number < 20).unwrap();
    assert_eq!(order[..8], [40, 41, 42, 43, 44, 45, 46, 47]);
    assert!(first_low == 8, "{order:?}");
    assert!((2..=4).contains(&order[..27].iter().filter(low).count()), "{order:?}");
    assert_eq!(order.len(), 60);
}

#[test]
fn a_full_queue_takes_a_higher_class_for_the_newest_of_the_lowest() {
    let rules = QueueRules { waiting_max: 3, ..RULES };
    let mut rig = Rig::default();
    for class in [Priority::Low, Priority::Low, Priority::Normal] {
        rig.enter(&rules, 0, wish(class)).0.unwrap();
    }
    assert_eq!(rig.enter(&rules, 1, wish(Priority::Low)), (Err(Why::Full), vec![]));
    assert_eq!(rig.enter(&rules, 1, wish(Priority::High)), (Ok(3), vec![1]));
    assert_eq!(rig.standing(1), Standing::Dropped(Why::Full));
    assert_eq!(rig.enter(&rules, 1, wish(Priority::Normal)), (Ok(4), vec![0]));
    assert_eq!(rig.enter(&rules, 1, wish(Priority::Normal)), (Err(Why::Full), vec![]));
    rig.leave(1);
    assert_eq!(rig.queue.depth(), 3, "who is dropped does not count, before and after it left");
}

#[test]
fn who_is_too_late_is_passed_over_and_told() {
    let mut rig = Rig::default();
    let late = |ms| Wish { expires: at_ms(ms), ..wish(Priority::Normal) };
    assert_eq!(rig.enter(&RULES, 7, late(7)).0, Err(Why::TooLate));
    rig.enter(&RULES, 0, late(10)).0.unwrap();
    rig.enter(&RULES, 0, late(30)).0.unwrap();
    assert_eq!(rig.freed(10), [0, 1]);
    assert_eq!(rig.standing(0), Standing::Dropped(Why::TooLate));
    assert_eq!(rig.standing(1), Standing::Called);
}

#[test]
fn those_apart_are_told_of_every_place_and_hold_up_nobody() {
    let mut rig = Rig::default();
    let apart = Wish { takes: Takes::Others, ..wish(Priority::Normal) };
    rig.enter(&RULES, 0, apart).0.unwrap();
    assert_eq!((rig.queue.in_line(), rig.queue.depth()), (0, 1));
    rig.enter(&RULES, 1, wish(Priority::Normal)).0.unwrap();
    assert_eq!(rig.freed(2), [0, 1]);
    assert_eq!((rig.standing(0), rig.standing(1)), (Standing::Called, Standing::Called));
    assert_eq!((rig.standing(0), rig.standing(1)), (Standing::Apart, Standing::Called));
    assert_eq!(rig.queue.oldest(), Some(at_ms(0)));
}

#[test]
fn a_standing_queue_is_overloaded_and_then_the_newest_go_first() {
    let rules = QueueRules { codel: Some(CODEL), sheds: true, ..RULES };
    let mut rig = Rig::default();
    for ms in 0..10 {
        rig.enter(&rules, ms, wish(Priority::Normal)).0.unwrap();
    }
    assert_eq!(rig.freed(40), [0], "a burst");
    assert_eq!(rig.freed(100), [1], "above the target, since now");
    assert_eq!(rig.freed(599), [2]);
    assert!(!rig.queue.is_overloaded());
    assert_eq!(rig.freed(600), [3, 9], "one goes without, and the newest goes first");
    assert_eq!(rig.standing(3), Standing::Dropped(Why::Overloaded));
    assert_eq!(rig.enter(&rules, 601, wish(Priority::Low)).0, Err(Why::Overloaded));
    rig.enter(&rules, 602, wish(Priority::Normal)).0.unwrap();
    assert_eq!(rig.freed(603), [10]);
    assert_eq!(rig.freed(1100), [4, 8], "the next drop is due an interval later");
    for number in [5, 6, 7] {
        rig.leave(number);
    }
    rig.enter(&rules, 1200, wish(Priority::Low)).0.unwrap_err();
    for number in [0, 1, 2, 9, 10, 8] {
        rig.leave(number);
    }
    rig.enter(&rules, 1201, wish(Priority::Low)).0.unwrap();
    assert!(!rig.queue.is_overloaded(), "an empty queue is not");
}

#[test]
fn a_queue_that_nobody_leaves_is_not_overloaded() {
    let rules = QueueRules { codel: Some(CODEL), ..RULES };
    let mut rig = Rig::default();
    for _ in 0..3 {
        rig.enter(&rules, 0, wish(Priority::Normal)).0.unwrap();
    }
    let mut wake = Vec::new();
    rig.queue.call_within(0, at_ms(60_000), &mut wake);
    rig.queue.call_within(3, at_ms(60_001), &mut wake);
    assert_eq!(wake, [0, 1, 2], "after an outage everybody is served, in order");
}

/// One step of a random history.
#[derive(Clone, Copy, Debug)]
enum Step {
    Enter(u8, u64),
    Freed,
    Room(u32),
    SendBack(usize),
    Leave(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..3u8, 1..200u64).prop_map(|(class, patience)| Step::Enter(class, patience)),
        Just(Step::Freed),
        (0..5u32).prop_map(Step::Room),
        (0..20usize).prop_map(Step::SendBack),
        (0..20usize).prop_map(Step::Leave),
    ]
}

proptest! {
    #[test]
    fn nobody_is_lost_and_no_bound_is_passed(
        steps in prop::collection::vec((step(), 0..40u64), 1..200),
    ) {
        let rules = QueueRules { waiting_max: 12, codel: Some(CODEL), sheds: false };
        let mut queue: Queue<u64> = Queue::default();
        let mut present: Vec<Ticket> = Vec::new();
        let mut now = 0;
        for (step, passes) in steps {
            now += passes;
            let mut wake = Vec::new();
            match step {
                Step::Enter(class, patience) => {
                    let class = Priority::ALL[usize::from(class)];
                    let wish = Wish { class, takes: Takes::Any, expires: at_ms(now + patience) };
                    if let Ok(ticket) = queue.enter(&rules, (at_ms(now), wish), now, &mut wake) {
                        present.push(ticket);
                    }
                }
                Step::Freed => queue.freed(at_ms(now), &mut wake),
                Step::Room(room) => queue.call_within(room, at_ms(now), &mut wake),
                Step::SendBack(which) => {
                    if let Some(&ticket) = present.get(which) {
                        queue.send_back(ticket);
                    }
                }
                Step::Leave(which) => {
                    if which < present.len() {
                        prop_assert!(queue.leave(present.remove(which)).is_some());
                    }
                }
            }
            let all: Vec<Standing> =
                present.iter().map(|&ticket| queue.standing(ticket, |_| {})).collect();
            let count = |of: fn(&Standing) -> bool| {
                u32::try_from(all.iter().filter(|standing| of(standing)).count()).unwrap()
            };
            let called = count(|standing| *standing == Standing::Called);
            let in_line = count(|standing| *standing == Standing::InLine);
            prop_assert_eq!(queue.in_line(), called + in_line);
            prop_assert_eq!(queue.depth(), called + in_line);
            prop_assert!(queue.depth() <= rules.waiting_max);
            prop_assert_eq!(queue.oldest().is_some(), queue.depth() > 0);
        }
    }
}
