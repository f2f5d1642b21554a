//! The simulation: a state, a fake world and an operator at random, in made-up time, by seed.
//! Everything that happens follows from the seed, so that a failure replays.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use control::{
    AdmissionView, Event, InstanceView, Kind, Order, ServiceView, Settings, State, View, plan,
};
use model::{Endpoint, Phase, Scale, StaticEndpoint, Table, Time};

use crate::desire::s;
use crate::invariants::Invariants;
use crate::operator::{Operator, is_command};
use crate::rig::words;
use crate::world::{Due, Faults, World};

/// Set to a seed, only that one runs, and it tells its journal.
const REPLAY: &str = "HERDER_SIM_SEED";

/// How long things go wrong.
const STORM: Duration = Duration::from_secs(300);

/// By when everything is as desired again after that: the longest back-off, a boot that hangs, an
/// instance that stays unready, one rollout, and the end of what drains.
const CALM_MAX: Duration = Duration::from_secs(400);

/// Events until then.
const CALM_EVENTS_MAX: u32 = 20_000;

/// Planning rounds after one event.
const ROUNDS_MAX: usize = 8;

/// What has to happen in every lot of seeds, as the journal says it: a storm that misses one of
/// these does not test what it is for.
const SEEN: [&str; 31] = [
    ": 0 desired, was ",
    " each: ",
    " unready: failed ",
    " unready: a request was refused",
    "could not start: ",
    "ended without being told to",
    "somebody else had its port",
    "not ready within ",
    "is not ready after ",
    "replaced, unready for ",
    "replaced, its weight changed",
    "drain shop.",
    "only 1 desired",
    "did not finish within ",
    "of SIGTERM; killed",
    "after SIGKILL; killed again",
    "rollout held",
    "is in a crash loop",
    "forgotten, all instances ready",
    "nobody owns it; it is killed",
    " ejected for ",
    " failures in a row",
    " of its requests succeeded, less than ",
    ": its trial request failed; before: ",
    " admitted: its trial request succeeded",
    "no other one is available: ",
    " are out already, and ",
    ": panic at priority 0: ",
    " wants no more requests",
    " % of its part of the requests",
    " wants its whole part of the requests",
];

/// Without faults nothing untrue is reported, and so nothing may look like a defect.
const LIES: [bool; 4] = [false, true, false, true];

#[test]
fn storms_from_0() {
    storms(0);
}

#[test]
fn storms_from_64() {
    storms(64);
}

#[test]
fn storms_from_128() {
    storms(128);
}

#[test]
fn storms_from_192() {
    storms(192);
}

/// Whatever goes wrong, the invariants hold, and afterwards everything is as desired.
fn storms(from: u64) {
    let mut unseen = SEEN.to_vec();
    for seed in replayed().map_or(from..from + 64, |seed| seed..seed + 1) {
        let mut sim = Sim::new(seed, "storms_from_0");
        sim.run_storm();
        unseen.retain(|text| !sim.seen.contains(text));
    }
    assert!(replayed().is_some() || unseen.is_empty(), "never happened: {unseen:?}");
}

/// During a rollout without faults at least as many as desired are ready, at every moment.
#[test]
fn rollouts() {
    for seed in replayed().map_or(0..64, |seed| seed..seed + 1) {
        Sim::new(seed, "rollouts").run_rollouts();
    }
}

/// The only seed that is asked for, if one is.
fn replayed() -> Option<u64> {
    std::env::var(REPLAY).ok().map(|seed| seed.parse().unwrap())
}

struct Sim {
    seed: u64,
    state: State,
    table: Arc<Table>,
    world: World,
    operator: Operator,
    invariants: Invariants,
    told: u64,
    /// Whether the journal goes to the screen.
    tells: bool,
    /// The test that replays it.
    test: &'static str,
    events: u32,
    /// Of `SEEN`, what happened.
    seen: BTreeSet<&'static str>,
    /// Whether as many as desired are ready all the time.
    steady: bool,
}

impl Sim {
    fn new(seed: u64, test: &'static str) -> Self {
        let lies = LIES[usize::try_from(seed % 4).unwrap()];
        let faults = Faults { rate: [0.2, 0.5, 1.0][usize::try_from(seed % 3).unwrap()], lies };
        let mut world = World::new(seed, faults);
        let operator = Operator::new(&mut world.rng);
        Self {
            seed,
            state: State::new(Settings { journal_max: 500, seed }),
            table: Arc::default(),
            world,
            operator,
            invariants: Invariants::default(),
            told: 0,
            tells: replayed().is_some(),
            test,
            events: 0,
            seen: BTreeSet::new(),
            steady: false,
        }
    }

    fn run_storm(&mut self) {
        self.configure();
        for due in [Due::Request, Due::Lie, Due::Order] {
            self.world.plan(s(1), due);
        }
        self.run_until(Time::from_ms(0) + STORM);
        if self.seed.is_multiple_of(5) {
            // Some are stopped in the middle of it all.
            self.world.calm_down();
            return self.stop();
        }
        self.calm_down();
        self.same_again();
        self.stop();
        if LIES[usize::try_from(self.seed % 4).unwrap()] {
            return;
        }
        let entries = self.state.journal().after(0);
        let defect = entries.iter().find(|entry| entry.kind == Kind::Defect);
        assert!(defect.is_none(), "nobody lied: {defect:?}");
    }

    /// Restarts, changed commands and drains at any moment, without faults.
    fn run_rollouts(&mut self) {
        self.world.faults = Faults { rate: 0.0, lies: false };
        self.configure();
        self.world.plan(s(1), Due::Request);
        for name in ["shop", "web"] {
            let Scale { min, max } = self.operator.service(name).unwrap().scale;
            let (service, count) = (name.parse().unwrap(), self.world.rng.u32(min..=max));
            self.tell(Event::Ordered(Order::Scale { service, count }), true);
        }
        self.calm_down();
        self.steady = true;
        for _ in 0..40 {
            let view = self.view();
            let deed = self.operator.replacement(&view, &mut self.world.rng);
            self.operator.was_taken();
            self.tell(deed.event, deed.fits);
            let after = self.world.up_to(s(8));
            self.run_until(self.world.now + after);
        }
        self.calm_down();
        self.steady = false;
        self.stop();
    }

    /// After faults stop, observed becomes desired: soon, and for good.
    fn calm_down(&mut self) {
        self.world.calm_down();
        self.operator.follow_nothing();
        self.configure();
        // Who is sick since the storm is found out within three probes.
        self.run_until(self.world.now + s(12));
        let deadline = self.world.now + CALM_MAX;
        let events = self.events;
        while let Some(missing) = self.missing() {
            assert!(self.world.now < deadline, "after {CALM_MAX:?} of calm: {missing}");
            assert!(self.events - events < CALM_EVENTS_MAX, "after so many events: {missing}");
            self.run_until(self.world.now + s(5));
        }
        let seq = self.state.journal().last_seq();
        self.run_until(self.world.now + s(60));
        let news = self.state.journal().after(seq);
        let moved = news.iter().find(|entry| entry.kind == Kind::Phase);
        assert!(moved.is_none(), "all was as desired, and then: {moved:?}");
    }

    /// What differs from what is desired, if something does.
    fn missing(&self) -> Option<String> {
        let view = self.view();
        for service in &view.services {
            let name = &service.name;
            let Some(policy) = self.operator.service(name.as_str()) else {
                return Some(format!("{name} is not gone"));
            };
            let ready = service.instances.iter().filter(|it| it.phase == Phase::Ready).count();
            let admitted = |it: &InstanceView| it.admission == AdmissionView::Admitted;
            let all_ready = ready == service.instances.len()
                && (policy.routes.is_empty() || service.instances.iter().all(admitted));
            let enough = match self.operator.addresses(policy) {
                Some(addresses) => self.serves_exactly(&addresses),
                None => ready == service.desired as usize,
            };
            let drained = |it: &InstanceView| self.operator.drained.contains(&it.id);
            let all_replaced = !is_command(policy) || !service.instances.iter().any(drained);
            let new = service.instances.iter().all(|it| it.generation == service.generation);
            if !(all_ready && enough && all_replaced && new) || service.rollout.is_some() {
                return Some(format!("{service:?}"));
            }
        }
        let known = view.services.iter().flat_map(|it| &it.instances).map(|it| &it.id);
        (!self.world.running().eq(known)).then(|| "something else runs".to_owned())
    }

    /// Whether the table has these addresses with these weights, and no other one.
    fn serves_exactly(&self, addresses: &[StaticEndpoint]) -> bool {
        let pools = self.table.pools.iter().filter(|pool| pool.service.name.as_str() == "api");
        let entry = |it: &Arc<Endpoint>| (it.addr, it.weight);
        let served: Vec<_> = pools.flat_map(|pool| pool.endpoints.iter().map(entry)).collect();
        let is_served = |it: &StaticEndpoint| served.contains(&(it.addr, it.weight));
        served.len() == addresses.len() && addresses.iter().all(is_served)
    }

    /// Applying the same configuration twice plans nothing.
    fn same_again(&mut self) {
        let before = format!("{:?}", self.view().services);
        let now = self.world.now;
        self.state.apply(now, Event::Configured(self.operator.desired())).unwrap();
        assert!(plan::next(&self.state, now).is_empty(), "the same configuration plans something");
        assert!(self.state.table().is_none(), "the same configuration makes another table");
        assert_eq!(format!("{:?}", self.view().services), before);
    }

    /// Everything ends, and then nothing runs.
    fn stop(&mut self) {
        self.operator.services.clear();
        self.tell(Event::Ordered(Order::Shutdown), true);
        let deadline = self.world.now + s(20 + 40 + 30);
        while !self.state.finished() {
            assert!(self.world.now < deadline, "not stopped in time: {:?}", self.view());
            self.run_until(self.world.now + s(1));
        }
        assert_eq!(self.world.running().next(), None, "it runs on");
    }

    fn configure(&mut self) {
        self.operator.was_taken();
        self.tell(Event::Configured(self.operator.desired()), true);
    }

    /// Lets things happen until then. Between them the state wakes up when the plan asks for it,
    /// and at no other time: a deadline that the plan forgets to ask for is missed.
    fn run_until(&mut self, end: Time) {
        loop {
            let wake = plan::wake_at(&self.state, self.world.now).filter(|at| *at <= end);
            let next = self.world.next_at().filter(|at| *at <= end);
            match (wake, next) {
                (Some(wake), next) if next.is_none_or(|next| wake < next) => {
                    self.world.now = wake;
                    self.tell(Event::Tick, true);
                }
                (_, Some(_)) => self.happen(),
                _ => break,
            }
        }
        self.world.now = end;
    }

    fn happen(&mut self) {
        let Some(due) = self.world.pop() else { return };
        if matches!(due, Due::Order) {
            return self.operate();
        }
        let table = Arc::clone(&self.table);
        if let Some(event) = self.world.happen(due, &table) {
            self.tell(event, true);
        }
    }

    /// The operator does something, while things go wrong.
    fn operate(&mut self) {
        if self.world.faults.rate == 0.0 {
            return;
        }
        let after = self.world.up_to(s(12));
        self.world.plan(after, Due::Order);
        let view = self.view();
        let deed = self.operator.deed(&view, &mut self.world.rng);
        if matches!(deed.event, Event::Configured(_)) {
            self.operator.was_taken();
        }
        if let (Event::Ordered(Order::Drain { instance }), true) = (&deed.event, deed.fits) {
            self.operator.drained.insert(instance.clone());
            let services = view.services.iter().flat_map(|service| &service.instances);
            let stays = |it: &&InstanceView| it.id == *instance && it.phase != Phase::Draining;
            let stays = services.clone().any(|it| stays(&it));
            let policy = self.operator.last(&instance.service);
            if stays && !is_command(policy) {
                self.operator.set_aside.extend(self.invariants.addr(instance));
            }
        }
        self.tell(deed.event, deed.fits);
    }

    fn view(&self) -> View {
        self.state.view(self.world.now)
    }

    /// Tells the state, and does what it orders, as the shell does.
    fn tell(&mut self, event: Event, fits: bool) {
        self.events += 1;
        let now = self.world.now;
        self.invariants.told(&event, &self.view());
        if self.tells && !matches!(event, Event::Configured(_)) {
            println!("{now} {event:?}");
        }
        if !fits {
            // What is due happens with any event.
            self.tell(Event::Tick, true);
        }
        let before = (!fits).then(|| format!("{:?}", self.view()));
        let taken = self.state.apply(now, event);
        assert_eq!(taken.is_ok(), fits, "{taken:?}");
        if let Some(before) = before {
            assert_eq!(format!("{:?}", self.view()), before, "a refusal changes nothing");
        }
        self.publish();
        for round in 0.. {
            assert!(round < ROUNDS_MAX, "the plan does not come to an end");
            let actions = plan::next(&self.state, now);
            if actions.is_empty() {
                break;
            }
            for action in &actions {
                let view = self.view();
                self.state.commit(now, action);
                self.publish();
                self.invariants.ordered(action, &view, &self.table, &self.operator);
                if self.tells {
                    println!("{now}   {}", words(action));
                }
            }
            let again: Vec<String> = plan::next(&self.state, now).iter().map(words).collect();
            assert_eq!(again, [""; 0], "planned twice after {actions:?}");
            for action in actions {
                self.world.carry_out(action);
            }
        }
        self.check();
    }

    fn publish(&mut self) {
        if let Some(table) = self.state.table() {
            assert_eq!(table.version, self.table.version + 1);
            self.table = Arc::new(table);
            let view = self.view();
            self.invariants.table(&view, &self.table, &self.operator);
        }
    }

    fn check(&mut self) {
        let news = self.state.journal().after(self.told);
        self.told = self.state.journal().last_seq();
        if self.tells {
            for entry in &news {
                println!("{} {}: {}", entry.at, entry.kind.label(), entry.text);
            }
        }
        let happened = |text: &&str| news.iter().any(|entry| entry.text.contains(*text));
        self.seen.extend(SEEN.into_iter().filter(happened));
        let view = self.view();
        for service in view.services.iter().filter(|_| self.steady) {
            let ready = service.instances.iter().filter(|it| it.phase == Phase::Ready).count();
            let ServiceView { name, desired, .. } = service;
            assert!(ready >= *desired as usize, "{name}: {ready} ready of {desired}");
        }
        self.invariants.check(&view, &news, &self.table, &self.world, &self.operator);
    }
}

/// Says how to see a failure again.
impl Drop for Sim {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let Self { seed, test, .. } = self;
            eprintln!("at {} of seed {seed}; the end of its journal:", self.world.now);
            let seq = self.state.journal().last_seq();
            for entry in self.state.journal().after(seq.saturating_sub(15)) {
                eprintln!("  {} {}: {}", entry.at, entry.kind.label(), entry.text);
            }
            eprintln!("to replay: {REPLAY}={seed} cargo test -p control --test pure {test}");
        }
    }
}
