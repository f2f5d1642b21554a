//! Operators' orders: what they change, and why they are refused.
//! A refusal changes nothing and says what to do.

use control::{Kind, Refusal};
use model::Phase;

use crate::desire::{api, s, shop};
use crate::rig::Rig;

#[test]
fn orders_that_cannot_be_are_refused_with_what_to_do() {
    let check = |tell: &dyn Fn(&mut Rig) -> Result<Vec<String>, Refusal>, expected: &str| {
        let mut rig = Rig::ready(&[shop(2, 8), api(&[("10.0.0.5:80", 1)])]);
        rig.news();
        let before = format!("{:?}", rig.state.view(rig.now));
        assert_eq!(tell(&mut rig).unwrap_err().to_string(), expected);
        assert_eq!(format!("{:?}", rig.state.view(rig.now)), before, "nothing changed");
        let news = rig.news();
        assert_eq!((news.len(), news[0].kind, news[0].text.as_str()), (1, Kind::Refused, expected));
    };
    check(
        &|rig| rig.scale("shop", 12),
        "shop: 12 is above max (8); raise max or ask for at most 8",
    );
    check(&|rig| rig.scale("shop", 0), "shop: 0 is below min (2); lower min or ask for at least 2");
    check(
        &|rig| rig.scale("api", 2),
        "api has static addresses, which Herder does not start; to have more or fewer, change \
         `static` in the configuration and reload",
    );
    check(
        &|rig| rig.restart("api"),
        "api has static addresses, which Herder does not start; restart them where they run",
    );
    let unknown = "there is no service `shopp`; the services: api, shop";
    check(&|rig| rig.scale("shopp", 2), unknown);
    check(&|rig| rig.restart("shopp"), unknown);
    check(&|rig| rig.drain("shopp.1"), unknown);
    check(&|rig| rig.drain("shop.7"), "there is no instance shop.7; those of shop: shop.1, shop.2");
}

#[test]
fn scaling_starts_what_is_missing() {
    let mut rig = Rig::ready(&[shop(2, 8)]);
    rig.news();
    let ordered = rig.scale("shop", 4).unwrap();
    assert_eq!(ordered, ["start shop.3", "start shop.4"]);
    let view = rig.service("shop");
    assert_eq!((view.desired, view.desired_reason.as_str()), (4, "scale shop 4"));
    assert_eq!(rig.said(Kind::Decision), ["shop: 4 desired, was 2 (scale shop 4)"]);
    assert_eq!(rig.instance("shop.3").reason, "4 desired (scale shop 4)");
    assert_eq!(rig.scale("shop", 4).unwrap(), [""; 0]);
}

#[test]
fn a_drained_instance_is_replaced_first() {
    let mut rig = Rig::ready(&[shop(3, 3)]);
    assert_eq!(rig.drain("shop.2").unwrap(), ["start shop.4"]);
    assert_eq!(rig.pool("shop"), [1, 2, 3]);
    assert_eq!(rig.boot("shop.4"), ["drain shop.2", "forget shop.2"]);
    assert_eq!(rig.pool("shop"), [1, 3, 4]);
    assert_eq!(rig.instance("shop.2").reason, "drain shop.2");
    rig.leaves("shop.2");
    assert_eq!(rig.wait(s(600)), [""; 0]);
}

#[test]
fn drains_of_several_replace_one_after_the_other() {
    let mut rig = Rig::ready(&[shop(3, 3)]);
    assert_eq!(rig.drain("shop.1").unwrap(), ["start shop.4"]);
    assert_eq!(rig.drain("shop.2").unwrap(), [""; 0]);
    rig.boot("shop.4");
    assert_eq!(rig.count("shop", Phase::Ready), 3);
    rig.boot("shop.5");
    assert_eq!(rig.pool("shop"), [3, 4, 5]);
}

#[test]
fn draining_twice_is_taken_and_does_nothing_more() {
    let mut rig = Rig::ready(&[shop(1, 1)]);
    rig.drain("shop.1").unwrap();
    rig.boot("shop.2");
    assert_eq!(rig.drain("shop.1").unwrap(), [""; 0]);
    let said = rig.said(Kind::Ordered).pop().unwrap();
    assert_eq!(said, "drain shop.1: it is draining already");
}

#[test]
fn a_drained_instance_that_is_starting_is_replaced_at_once() {
    let mut rig = Rig::with(&[shop(1, 1)]);
    assert_eq!(rig.drain("shop.1").unwrap(), ["terminate shop.1", "start shop.2"]);
}
