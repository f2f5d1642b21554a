//! What instances want, by their own account: who gets requests then, how many, and what the
//! journal says about it.

use control::{Event, Feedback, Kind};

use model::Service;

use crate::desire::{s, shop};
use crate::rig::{Rig, id};

/// So many processes; too few of them are a panic.
fn herd(count: u32) -> Service {
    Service { panic_percent: 50, ..shop(count, count) }
}

impl Rig {
    fn says(&mut self, instance: &str, feedback: &str) -> Vec<String> {
        let feedback = Feedback::read(feedback);
        self.told(Event::FedBack { id: id(instance), feedback })
    }
}

#[test]
fn one_that_wants_no_more_requests_gets_none_and_stays() {
    let mut rig = Rig::ready(&[herd(3)]);
    rig.news();
    assert_eq!(rig.says("shop.2", "drain"), [""; 0]);
    assert_eq!(rig.pool("shop"), [1, 3]);
    assert_eq!(rig.instance("shop.2").wants_percent, 0);
    assert_eq!(rig.says("shop.2", "drain"), [""; 0]);
    assert_eq!(rig.wait(s(600)), [""; 0], "nobody replaces it");
    rig.says("shop.2", "ready");
    assert_eq!(rig.pool("shop"), [1, 2, 3]);
    let said = ["shop.2 wants no more requests", "shop.2 wants its whole part of the requests"];
    assert_eq!(rig.said(Kind::Feedback), said);
}

#[test]
fn one_that_wants_less_gets_less() {
    let mut rig = Rig::ready(&[herd(2)]);
    rig.news();
    let share = |rig: &Rig| rig.endpoint("shop.1").share();
    assert_eq!(share(&rig), 1024);
    rig.says("shop.1", "50%");
    assert_eq!((share(&rig), rig.pool("shop")), (512, vec![1, 2]));
    // As much as that is not worth an entry.
    rig.says("shop.1", "45%");
    assert_eq!(share(&rig), 460);
    rig.says("shop.1", "1%");
    assert_eq!(share(&rig), 10);
    rig.says("shop.1", "what");
    assert_eq!(share(&rig), 10, "as before");
    rig.says("shop.1", "");
    assert_eq!(share(&rig), 1024);
    let said = [
        "shop.1 wants 50 % of its part of the requests",
        "shop.1 wants 1 % of its part of the requests",
        "shop.1 says \"what\", which is neither a percentage nor `drain` nor `ready`",
        "shop.1 wants its whole part of the requests",
    ];
    assert_eq!(rig.said(Kind::Feedback), said);
}

#[test]
fn those_that_want_none_are_asked_when_nobody_else_is_left() {
    let mut rig = Rig::ready(&[herd(2)]);
    rig.says("shop.1", "drain");
    rig.says("shop.2", "drain");
    assert_eq!(rig.pool("shop"), [1, 2]);
    assert!(rig.service("shop").panic.is_some());
    rig.says("shop.2", "ready");
    assert_eq!(rig.pool("shop"), [2]);
    assert!(rig.service("shop").panic.is_none());
    rig.unreachable("shop.2");
    assert_eq!(rig.pool("shop"), [1]);
}

#[test]
fn nobody_is_listened_to_where_that_is_off() {
    let mut rig = Rig::ready(&[herd(2)]);
    rig.says("shop.1", "drain");
    let mut deaf = herd(2);
    deaf.health.feedback = false;
    rig.configure(&[deaf]).unwrap();
    assert_eq!(rig.pool("shop"), [1, 2]);
    rig.says("shop.1", "drain");
    assert_eq!(rig.pool("shop"), [1, 2]);
    rig.says("shop.9", "drain");
    rig.says("other.1", "drain");
}
