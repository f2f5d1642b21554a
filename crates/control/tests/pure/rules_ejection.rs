//! Ejection, trial and readmission, the cap, panic, priorities and slow start, as rules.
//! Requests are outcomes at endpoints here; how they are sent is the data plane's business.

use control::{AdmissionView, Event, Kind};
use model::{Eject, Outcome, Report, SHARE_FULL, Service, Source, Streak};

use crate::desire::{api, s, shop};
use crate::rig::{Rig, id};

/// The defaults of the documentation.
fn eject() -> Eject {
    Eject {
        is_on: true,
        streak: Streak { errors: 5, gateway: 0, silent: 3 },
        deviations_milli: 1900,
        failure_percent: 0,
        instances_min: 5,
        requests_min: 100,
        interval: s(10),
        time: s(10),
        time_max: s(300),
        percent_max: 50,
    }
}

/// So many processes, from which outliers are ejected.
fn herd(count: u32) -> Service {
    Service { eject: eject(), panic_percent: 50, ..shop(count, count) }
}

const WELL: Outcome = Outcome::Answered(None);
const ERROR: Outcome = Outcome::ServerError { is_gateway: false };

impl Rig {
    /// So many requests with this outcome; the workers tell control when it should look.
    fn requests(&mut self, instance: &str, outcome: Outcome, times: u32) -> Vec<String> {
        let endpoint = self.endpoint(instance);
        let mut ordered = Vec::new();
        for _ in 0..times {
            let begun = endpoint.begin().expect("it is open, and not full");
            if begun.observe(outcome, self.now) == model::Notice::Look {
                drop(begun);
                let report = Report::Look;
                ordered.extend(self.event(Event::Reported { id: id(instance), report }).unwrap());
            }
        }
        ordered
    }
}

#[test]
fn failures_in_a_row_eject_and_are_probed_at_once() {
    let mut rig = Rig::ready(&[herd(3)]);
    rig.news();
    assert_eq!(rig.requests("shop.2", ERROR, 4), [""; 0]);
    assert_eq!(rig.pool("shop"), [1, 2, 3]);
    assert_eq!(rig.requests("shop.2", ERROR, 1), ["hasten shop.2"]);
    assert_eq!((rig.pool("shop"), rig.phases("shop")), (vec![1, 3], three_ready()));
    let said = rig.said(Kind::Ejected);
    let [text] = said.as_slice() else { panic!("{said:?}") };
    assert!(text.starts_with("shop.2 ejected for 10 s, ejection 1: 5 failures in a row"), "{text}");
    assert_eq!(rig.instance("shop.2").ejections, 1);
    assert_eq!(rig.service("shop").ejections, 1);
}

fn three_ready() -> String {
    "1 ready, 2 ready, 3 ready".to_owned()
}

/// Out, tried with one request, and back: what the whole is for.
#[test]
fn one_request_decides_whether_it_comes_back() {
    let mut rig = Rig::ready(&[herd(3)]);
    rig.requests("shop.2", ERROR, 5);
    rig.wait(s(9));
    assert_eq!(rig.pool("shop"), [1, 3]);
    rig.news();
    rig.wait(s(3));
    assert_eq!(rig.pool("shop"), [1, 2, 3]);
    let endpoint = rig.endpoint("shop.2");
    assert_eq!(endpoint.limit(), 1);
    let trial = endpoint.begin().unwrap();
    assert!(endpoint.begin().is_none(), "a second request does not go there");
    drop(trial);
    rig.requests("shop.2", Outcome::Unknown, 1);
    assert_eq!(endpoint.limit(), 1, "that said nothing");
    rig.requests("shop.2", WELL, 1);
    assert_eq!(endpoint.limit(), model::UNLIMITED);
    let told: Vec<_> = rig.news().into_iter().map(|entry| (entry.kind, entry.text)).collect();
    let [(Kind::Trial, trial), (Kind::Admitted, admitted)] = told.as_slice() else {
        panic!("{told:?}")
    };
    assert!(trial.starts_with("shop.2 on trial after 10 s"), "{trial}");
    assert!(admitted.starts_with("shop.2 admitted: its trial request succeeded"), "{admitted}");
}

#[test]
fn a_failed_trial_ejects_again_for_twice_as_long_and_good_intervals_forgive() {
    let mut rig = Rig::ready(&[herd(3)]);
    rig.requests("shop.2", ERROR, 5);
    for (wait, times) in [(s(12), 2), (s(24), 3)] {
        rig.wait(wait);
        assert_eq!(rig.pool("shop"), [1, 2, 3], "on trial");
        assert_eq!(rig.requests("shop.2", Outcome::Failed, 1), ["hasten shop.2"]);
        assert_eq!((rig.pool("shop"), rig.instance("shop.2").ejections), (vec![1, 3], times));
    }
    let said = rig.said(Kind::Ejected);
    assert!(said[1].starts_with("shop.2 ejected for 2"), "{said:?}");
    let before = "ejection 3: its trial request failed; before: its trial request failed";
    assert!(said[2].contains(before), "{said:?}");
    rig.wait(s(50));
    rig.requests("shop.2", WELL, 1);
    assert_eq!(rig.instance("shop.2").ejections, 3);
    rig.wait(s(35));
    assert_eq!(rig.instance("shop.2").ejections, 0, "one for each interval");
}

/// The trap: one kind of request that every instance fails must not empty the pool.
#[test]
fn when_all_fail_the_cap_holds_and_the_journal_says_so() {
    let check = |count: u32, out: usize| {
        let mut rig = Rig::ready(&[herd(count)]);
        rig.news();
        for _ in 0..40 {
            for number in 1..=count {
                let instance = format!("shop.{number}");
                if rig.pool("shop").contains(&number) && !rig.endpoint(&instance).is_closed() {
                    rig.requests(&instance, ERROR, 1);
                }
            }
        }
        let news = rig.news();
        let kinds = |kind| news.iter().filter(|entry| entry.kind == kind).count();
        assert_eq!(kinds(Kind::Ejected), out, "of {count}");
        assert_eq!(rig.pool("shop").len(), count as usize - out, "of {count}");
        assert_eq!(kinds(Kind::Spared), count as usize - out, "each once, of {count}");
        news.into_iter().filter(|it| it.kind == Kind::Spared).map(|it| it.text).next()
    };
    assert!(check(1, 0).unwrap().contains("stays in the pool, no other one is available"));
    let text = check(3, 1).unwrap();
    let because = "stays in the pool, 1 of 3 are out already, and 1 may be: 5 failures in a row";
    assert!(text.contains(because), "{text}");
    check(2, 1);
    check(4, 2);
    check(10, 5);
}

#[test]
fn who_was_spared_goes_once_there_is_room() {
    let mut rig = Rig::ready(&[herd(3)]);
    rig.requests("shop.1", ERROR, 5);
    rig.requests("shop.2", ERROR, 5);
    assert_eq!(rig.pool("shop"), [2, 3]);
    rig.wait(s(12));
    rig.requests("shop.1", WELL, 1);
    assert_eq!(rig.pool("shop"), [1, 3], "its streak goes on");
}

#[test]
fn an_instance_that_fails_more_than_the_others_is_ejected_after_the_interval() {
    let mut rig = Rig::ready(&[herd(5)]);
    rig.wait(s(10));
    rig.news();
    for number in 1..=5 {
        rig.requests(&format!("shop.{number}"), WELL, 100);
    }
    for _ in 0..60 {
        rig.requests("shop.4", ERROR, 1);
        rig.requests("shop.4", WELL, 1);
    }
    rig.wait(s(11));
    assert_eq!(rig.pool("shop"), [1, 2, 3, 5]);
    let said = rig.said(Kind::Ejected);
    let why = "72.7 % of its requests succeeded, less than 73.8 %: the mean of all is 94.5 %";
    assert!(said[0].contains(why), "{said:?}");
}

#[test]
fn an_ejected_instance_that_was_away_and_returns_is_tried_at_once() {
    let mut rig = Rig::ready(&[herd(3)]);
    rig.requests("shop.2", ERROR, 5);
    rig.fails("shop.2", 3);
    rig.wait(s(2));
    rig.passes("shop.2", 1);
    assert_eq!(rig.pool("shop"), [1, 3]);
    rig.passes("shop.2", 1);
    assert_eq!((rig.pool("shop"), rig.endpoint("shop.2").limit()), (vec![1, 2, 3], 1));
    // Probes alone do not let it in.
    rig.passes("shop.2", 10);
    assert_eq!(rig.endpoint("shop.2").limit(), 1);
}

#[test]
fn turning_ejection_off_lets_everybody_in() {
    let mut rig = Rig::ready(&[herd(3)]);
    rig.requests("shop.2", ERROR, 5);
    rig.news();
    rig.change("shop", |shop| shop.eject.is_on = false);
    rig.wait(s(1));
    assert_eq!(rig.pool("shop"), [1, 2, 3]);
    assert_eq!(rig.instance("shop.2").admission, AdmissionView::Admitted);
    assert_eq!(rig.requests("shop.2", ERROR, 50), [""; 0]);
}

#[test]
fn a_rollout_waits_for_a_new_instance_that_is_ejected() {
    let mut rig = Rig::ready(&[herd(2)]);
    assert_eq!(rig.restart("shop").unwrap(), ["start shop.3"]);
    assert_eq!(rig.boot("shop.3"), ["drain shop.2", "start shop.4", "forget shop.2"]);
    rig.leaves("shop.2");
    rig.requests("shop.3", ERROR, 5);
    assert_eq!(rig.boot("shop.4"), [""; 0], "shop.3 answers nothing but errors");
    assert_eq!(rig.pool("shop"), [1, 4]);
    rig.wait(s(12));
    assert_eq!(rig.requests("shop.3", WELL, 1), ["drain shop.1", "forget shop.1", "hasten shop.3"]);
}

#[test]
fn below_half_requests_go_to_all_that_answer_and_the_journal_says_so() {
    let mut rig = Rig::ready(&[herd(4)]);
    rig.news();
    rig.fails("shop.1", 3);
    rig.fails("shop.2", 3);
    assert_eq!(rig.pool("shop"), [3, 4], "half is enough");
    rig.fails("shop.3", 3);
    assert_eq!(rig.pool("shop"), [1, 2, 3, 4]);
    let because = "only 1 of 4 that answer are available, less than 50 %: requests go to all 4";
    assert_eq!(rig.said(Kind::Panic), [format!("shop: panic at priority 0: {because}")]);
    assert_eq!(rig.service("shop").panic.as_deref(), Some(because));
    // Who refuses connections is no use, panic or not.
    rig.unreachable("shop.4");
    rig.silent("shop.3", 1);
    assert_eq!(rig.pool("shop"), [1, 2]);
    rig.passes("shop.1", 2);
    assert_eq!(rig.pool("shop"), [1]);
    assert_eq!(rig.said(Kind::Panic), ["shop: the panic at priority 0 is over"]);
    assert_eq!(rig.service("shop").panic, None);
}

#[test]
fn the_next_priority_takes_over_by_and_by() {
    let addresses = [("10.0.0.1:80", 1), ("10.0.0.2:80", 1), ("10.0.0.3:80", 1)];
    let mut backed = api(&addresses);
    let Source::Static(list) = &mut backed.source else { panic!() };
    list[2].priority = 1;
    let mut rig = Rig::ready(&[backed]);
    assert_eq!(rig.pool("api"), [1, 2]);
    rig.news();
    rig.unreachable("api.1");
    assert_eq!(rig.pool("api"), [2, 3]);
    assert_eq!(
        rig.said(Kind::Failover),
        ["api: requests go 70 % to priority 0, 30 % to priority 1"]
    );
    rig.unreachable("api.2");
    assert_eq!(rig.pool("api"), [3]);
    rig.passes("api.1", 2);
    rig.passes("api.2", 2);
    assert_eq!(rig.pool("api"), [1, 2]);
    let said = rig.said(Kind::Failover);
    assert_eq!(said.last().unwrap(), "api: requests go 100 % to priority 0");
    let ordered = rig.change("api", |api| {
        let Source::Static(list) = &mut api.source else { panic!() };
        list[2].priority = 0;
    });
    assert_eq!(ordered, ["start api.4"]);
    assert_eq!(rig.boot("api.4"), ["drain api.3", "forget api.3"]);
    assert_eq!(rig.instance("api.3").reason, "replaced, its priority changed");
}

#[test]
fn a_new_instance_gets_more_and_more() {
    let slow = Service { slow_start: s(10), ..shop(2, 4) };
    let mut rig = Rig::ready(&[slow]);
    let share = |rig: &Rig, instance: &str| rig.endpoint(instance).share();
    assert_eq!((share(&rig, "shop.1"), share(&rig, "shop.2")), (SHARE_FULL, SHARE_FULL));
    rig.wait(s(60));
    rig.scale("shop", 3).unwrap();
    rig.boot("shop.3");
    let mut before = 0;
    for (wait, expected) in [(0, 102), (5, 512), (4, 921), (1, SHARE_FULL)] {
        rig.wait(s(wait));
        let now = share(&rig, "shop.3");
        assert!(now > before && now.abs_diff(expected) <= 40, "{now}, expected {expected}");
        assert_eq!(share(&rig, "shop.1"), SHARE_FULL);
        before = now;
    }
}
