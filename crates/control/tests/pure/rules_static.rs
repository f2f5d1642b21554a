//! Addresses that somebody else runs: probed and balanced, never started, never restarted.
//! A changed list is compared address by address.

use control::Kind;

use crate::desire::{api, command, fixed, s};
use crate::rig::Rig;

const A: (&str, u32) = ("10.0.0.1:80", 1);
const B: (&str, u32) = ("10.0.0.2:80", 2);
const C: (&str, u32) = ("10.0.0.3:80", 1);

fn list(rig: &mut Rig, addresses: &[(&str, u32)]) -> Vec<String> {
    rig.change("api", |service| *service = api(addresses))
}

#[test]
fn each_address_is_an_instance_with_its_weight() {
    let rig = Rig::ready(&[api(&[A, B])]);
    assert_eq!(rig.pool("api"), [1, 2]);
    let endpoints = rig.endpoints("api");
    let got: Vec<_> = endpoints.iter().map(|it| (it.addr.to_string(), it.weight)).collect();
    assert_eq!(got, [("10.0.0.1:80".to_owned(), 1), ("10.0.0.2:80".to_owned(), 2)]);
}

#[test]
fn an_address_that_does_not_answer_is_complained_about_once_and_never_given_up() {
    let mut rig = Rig::with(&[api(&[A, B])]);
    rig.started("api.1");
    rig.started("api.2");
    rig.passes("api.2", 2);
    rig.news();
    assert_eq!(rig.wait(s(3600)), [""; 0]);
    let said = rig.said(Kind::Failure);
    assert_eq!(said, ["api.1 is not ready after 60 s; no probe failed, and too few came back"]);
    rig.passes("api.1", 2);
    assert_eq!(rig.pool("api"), [1, 2]);
}

#[test]
fn an_unready_address_is_waited_for_and_not_replaced() {
    let mut rig = Rig::ready(&[api(&[A, B])]);
    rig.fails("api.1", 3);
    assert_eq!(rig.wait(s(3600)), [""; 0]);
    assert_eq!(rig.phases("api"), "1 unready, 2 ready");
}

#[test]
fn a_changed_list_drains_what_left_and_starts_what_came() {
    let mut rig = Rig::ready(&[api(&[A, B])]);
    assert_eq!(list(&mut rig, &[B, A]), [""; 0], "the order does not matter");
    assert_eq!(list(&mut rig, &[C, B]), ["drain api.1", "start api.3", "forget api.1"]);
    assert_eq!(rig.pool("api"), [2]);
    let reason = rig.instance("api.1").reason;
    assert_eq!(reason, "10.0.0.1:80 was removed from the configuration");
    rig.boot("api.3");
    assert_eq!(rig.pool("api"), [2, 3]);
    assert_eq!(rig.service("api").generation, 1);
}

#[test]
fn a_changed_weight_is_a_new_endpoint_that_takes_over_when_it_is_ready() {
    let mut rig = Rig::ready(&[api(&[A, B])]);
    assert_eq!(list(&mut rig, &[("10.0.0.1:80", 5), B]), ["start api.3"]);
    assert_eq!(rig.pool("api"), [1, 2]);
    assert_eq!(rig.boot("api.3"), ["drain api.1", "forget api.1"]);
    let weights: Vec<u32> = rig.endpoints("api").iter().map(|it| it.weight).collect();
    assert_eq!(weights, [2, 5]);
    assert_eq!(rig.instance("api.1").reason, "replaced, its weight changed");
}

#[test]
fn a_drained_address_stays_out_until_a_reload_has_dropped_it() {
    let mut rig = Rig::ready(&[api(&[A, B])]);
    assert_eq!(rig.drain("api.1").unwrap(), ["drain api.1", "forget api.1"]);
    assert_eq!(rig.quiet("api.1"), ["terminate api.1"]);
    rig.exits("api.1", 0);
    assert_eq!(rig.wait(s(3600)), [""; 0]);
    assert_eq!(list(&mut rig, &[A, B, C]), ["start api.3"], "it is still in the list");
    assert_eq!(list(&mut rig, &[B, C]), [""; 0]);
    assert_eq!(list(&mut rig, &[A, B, C]), ["start api.4"]);
}

#[test]
fn addresses_that_become_a_command_and_back_serve_all_the_while() {
    let mut rig = Rig::ready(&[api(&[A, B])]);
    let ordered = rig.change("api", |service| service.source = command("./api"));
    assert_eq!(ordered, ["start api.3"]);
    assert_eq!(rig.boot("api.3"), ["drain api.2", "start api.4", "forget api.2"]);
    assert_eq!(rig.boot("api.4"), ["drain api.1", "forget api.1"]);
    assert_eq!(rig.pool("api"), [3, 4]);
    let ordered = rig.change("api", |service| service.source = fixed(&[A, B]));
    assert_eq!(ordered, ["start api.5", "start api.6"]);
    assert_eq!(rig.pool("api"), [3, 4]);
    rig.boot("api.6");
    assert_eq!(rig.pool("api"), [6]);
}
