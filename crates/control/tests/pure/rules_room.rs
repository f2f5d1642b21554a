//! The machine's room and what comes from outside: who gets how many instances when not all can
//! have what they want. How a room is shared in numbers is tested in `scale`.

use std::time::Duration;

use control::{Event, Hardware, Kind, Measured, Usage};
use model::{
    Autoscale, Desired, Machine, Phase, PrometheusQuery, Resources, Scale, ScalePolicy,
    ScaleTarget, Service,
};

use crate::desire::{command, desired, s, service};
use crate::rig::Rig;

const GIB: u64 = 1 << 30;

/// From 1 to 20 instances, as many as a Prometheus counts, of this many GiB.
fn wanting(name: &str, gib: Option<u64>) -> Service {
    let query = PrometheusQuery {
        authority: "127.0.0.1:9090".into(),
        prefix: "".into(),
        query: "jobs".into(),
        target_permille: 1000,
        interval: s(15),
        timeout: s(5),
    };
    let target = ScaleTarget {
        prometheus: Some(Box::new(query)),
        down_window: s(1),
        down_half_life: Duration::from_millis(100),
        ..ScaleTarget::default()
    };
    Service {
        autoscale: Autoscale { policy: ScalePolicy::Target(target), ..Autoscale::fixed() },
        resources: Resources { memory_bytes: gib.map(|gib| gib * GIB), cpu_percent: None },
        ..service(name, command("./it"), Scale { min: 1, max: 20 })
    }
}

/// A rig whose machine has 8 GiB.
struct Stage {
    rig: Rig,
    memory_bytes: u64,
    /// What each instance uses.
    used_bytes: u64,
}

impl Stage {
    fn set(services: &[Service]) -> Self {
        Self { rig: Rig::ready(services), memory_bytes: 8 * GIB, used_bytes: GIB / 4 }
    }

    fn configure(&mut self, services: &[Service], machine: Machine) {
        let desired = Desired { machine, ..desired(services) };
        self.rig.told(Event::Configured(desired));
    }

    fn wants(&mut self, name: &str, count: f64) {
        let service = name.parse().unwrap();
        self.rig.told(Event::Answered { service, answer: Ok(count) });
    }

    /// Lets seconds pass in which everything is measured, and whoever is started becomes ready, and
    /// whoever has to leave does.
    fn pass(&mut self, seconds: u32) {
        for _ in 0..seconds {
            let view = self.rig.state.view(self.rig.now);
            let all: Vec<_> = view.services.iter().flat_map(|it| it.instances.clone()).collect();
            for instance in &all {
                let name = instance.id.to_string();
                match instance.phase {
                    Phase::Starting => drop(self.rig.boot(&name)),
                    Phase::Draining => drop(self.rig.leaves(&name)),
                    _ => {}
                }
            }
            let usage = Usage { memory_bytes: self.used_bytes, ..Usage::default() };
            let there = all.iter().filter(|it| it.phase != Phase::Draining);
            let instances = there.map(|it| (it.id.clone(), usage)).collect();
            let hardware =
                Hardware { memory_bytes: self.memory_bytes, free_bytes: 7 * GIB, cores: 4 };
            let hardware = Some(hardware);
            self.rig.told(Event::Measured(Measured { instances, hardware, ..Measured::default() }));
            self.rig.wait(s(1));
        }
    }

    fn counts(&self, names: &[&str]) -> Vec<u32> {
        names.iter().map(|name| self.rig.service(name).desired).collect()
    }
}

#[test]
fn a_ninth_of_1_gib_is_not_started_on_a_machine_of_8() {
    let mut stage = Stage::set(&[wanting("shop", Some(1))]);
    stage.pass(2);
    stage.wants("shop", 12.0);
    stage.pass(10);
    assert_eq!(stage.counts(&["shop"]), [8]);
    let view = stage.rig.service("shop");
    assert!(view.desired_reason.ends_with("the machine carries 8"), "{}", view.desired_reason);
    let room = view.room.unwrap();
    assert_eq!(
        room,
        "the machine carries 8: an instance takes 1.0 GiB of memory, 0 MiB of 8.0 GiB is left; \
         services together want more, its part is 8"
    );
    // Who is alone gets no less for being short.
    stage.pass(30);
    assert_eq!(stage.counts(&["shop"]), [8]);
}

#[test]
fn what_the_file_gives_is_less_than_the_machine_has() {
    let shop = [wanting("shop", Some(1))];
    let mut stage = Stage::set(&shop);
    stage.configure(&shop, Machine { memory_bytes: Some(3 * GIB), cpu_percent: None });
    stage.pass(2);
    stage.wants("shop", 12.0);
    stage.pass(10);
    assert_eq!(stage.counts(&["shop"]), [3]);
    stage.configure(&shop, Machine { memory_bytes: Some(100 * GIB), cpu_percent: None });
    stage.pass(10);
    assert_eq!(stage.counts(&["shop"]), [8]);
}

#[test]
fn services_that_want_more_than_there_is_share_it_and_give_back() {
    let names = ["cart", "shop"];
    let mut stage = Stage::set(&[wanting("cart", Some(1)), wanting("shop", Some(1))]);
    stage.pass(2);
    stage.wants("shop", 12.0);
    stage.pass(10);
    assert_eq!(stage.counts(&names), [1, 7]);
    stage.wants("cart", 12.0);
    stage.pass(20);
    assert_eq!(stage.counts(&names), [4, 4]);
    let view = stage.rig.service("shop");
    assert!(view.desired_reason.ends_with(" the machine carries 4"), "{}", view.desired_reason);
    // Both at once, within the same second: together they never have more than there is.
    stage.wants("cart", 0.0);
    stage.wants("shop", 0.0);
    stage.pass(60);
    assert_eq!(stage.counts(&names), [1, 1]);
    stage.wants("cart", 12.0);
    stage.wants("shop", 12.0);
    for _ in 0..20 {
        stage.pass(1);
        let counts = stage.counts(&names);
        assert!(counts.iter().sum::<u32>() <= 8, "{counts:?}");
    }
    assert_eq!(stage.counts(&names), [4, 4]);
}

#[test]
fn without_a_size_it_is_estimated_and_only_where_somebody_asked_for_it() {
    let shop = [wanting("shop", None)];
    let mut stage = Stage::set(&shop);
    stage.used_bytes = 2 * GIB;
    stage.pass(2);
    stage.wants("shop", 12.0);
    stage.pass(10);
    assert_eq!(stage.counts(&["shop"]), [12], "nobody said what the machine is to give");
    assert_eq!(stage.rig.service("shop").room, None);
    stage.wants("shop", 0.0);
    stage.pass(60);
    stage.configure(&shop, Machine { memory_bytes: Some(7 * GIB), cpu_percent: None });
    stage.wants("shop", 12.0);
    stage.pass(10);
    assert_eq!(stage.counts(&["shop"]), [3]);
    let room = stage.rig.service("shop").room.unwrap();
    assert!(room.contains("an instance takes 2.0 GiB") && room.contains("use now"), "{room}");
}

#[test]
fn what_others_on_the_machine_use_is_not_there() {
    let mut stage = Stage::set(&[wanting("shop", Some(1))]);
    // Of 64 GiB only 7 are free, of which the first instance may take another three quarters.
    stage.memory_bytes = 64 * GIB;
    stage.pass(2);
    stage.wants("shop", 20.0);
    stage.pass(1);
    assert_eq!(stage.counts(&["shop"]), [7]);
}

#[test]
fn a_silent_prometheus_takes_nothing_away_and_is_named_once() {
    let mut stage = Stage::set(&[wanting("shop", None)]);
    stage.wants("shop", 5.0);
    stage.pass(5);
    assert_eq!(stage.counts(&["shop"]), [5]);
    stage.rig.news();
    for _ in 0..10 {
        let service = "shop".parse().unwrap();
        let answer = Err("metrics:9090 answered 500".to_owned());
        stage.rig.told(Event::Answered { service, answer });
        stage.pass(15);
    }
    assert_eq!(stage.counts(&["shop"]), [5]);
    let said = stage.rig.said(Kind::Failure);
    assert_eq!(
        said,
        ["shop: its Prometheus said nothing, and without it no instance is taken away: \
          metrics:9090 answered 500"]
    );
    let trouble = stage.rig.service("shop").trouble.unwrap();
    assert_eq!(trouble, "Prometheus said nothing: metrics:9090 answered 500");
    stage.wants("shop", 0.0);
    stage.pass(30);
    assert_eq!(stage.counts(&["shop"]), [1]);
    assert_eq!(stage.rig.service("shop").trouble, None);
}

#[test]
fn the_processor_is_a_signal_and_its_silence_takes_nothing_away() {
    let target = ScaleTarget {
        cpu_percent: Some(50),
        down_window: s(1),
        down_half_life: Duration::from_millis(100),
        ..ScaleTarget::default()
    };
    let mut stage = Stage::set(&[Service {
        autoscale: Autoscale { policy: ScalePolicy::Target(target), ..Autoscale::fixed() },
        resources: Resources { memory_bytes: None, cpu_percent: Some(200) },
        ..service("shop", command("./it"), Scale { min: 2, max: 20 })
    }]);
    let use_cores = |stage: &mut Stage, cores: f64| {
        for _ in 0..20 {
            let instances = stage.rig.service("shop").instances;
            let usage = Usage { cores: Some(cores), ..Usage::default() };
            let starting = instances.iter().filter(|it| it.phase == Phase::Starting);
            starting.for_each(|it| drop(stage.rig.boot(&it.id.to_string())));
            let instances = instances.iter().map(|it| (it.id.clone(), usage)).collect();
            stage.rig.told(Event::Measured(Measured { instances, ..Measured::default() }));
            stage.rig.wait(s(1));
        }
    };
    // Each of two uses 1.5 of the 2 cores that it may: half of that needs three.
    use_cores(&mut stage, 1.5);
    let counts = stage.counts(&["shop"]);
    assert!(counts[0] >= 3, "{counts:?}");
    stage.rig.wait(s(60));
    assert_eq!(stage.counts(&["shop"]), counts, "nothing is measured any more");
    use_cores(&mut stage, 0.01);
    assert_eq!(stage.counts(&["shop"]), [2]);
}
