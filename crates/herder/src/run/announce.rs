//! What Herder says to whoever started it: that all is ready, or why not, or that it is hopeless.
//! Pure: it compares one view with the one before, and remembers what it has said. Failures are
//! not repeated here: the log tells each of them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use control::{BackoffView, InstanceView, ServiceView, View};
use model::{InstanceId, Phase, ServiceName, Time};

/// How long an instance may be starting before somebody is told why.
const QUIET_START: Duration = Duration::from_secs(5);

/// What was said so far.
#[derive(Debug, Default)]
pub(crate) struct Announcer {
    /// Where each service is reached.
    urls: BTreeMap<ServiceName, String>,
    services: BTreeMap<ServiceName, Said>,
    /// Instances whose slow start was mentioned.
    slow: BTreeSet<InstanceId>,
}

/// What was said of one service.
#[derive(Debug, Default)]
struct Said {
    /// The count that was last said to be ready, unless something happened since.
    ready: Option<u32>,
    /// Whether it was said that nobody is ready, and nobody has been since.
    outage: bool,
    /// Whether any instance was ever ready.
    ever_ready: bool,
}

impl Announcer {
    /// Says from now on that services are reached there.
    pub(crate) fn reached_at(&mut self, urls: BTreeMap<ServiceName, String>) {
        self.urls = urls;
    }

    /// The lines to say, now that the herd looks like this.
    pub(crate) fn observe(&mut self, view: &View) -> Vec<String> {
        let mut lines = Vec::new();
        if view.stopping {
            return lines;
        }
        for service in &view.services {
            let said = self.services.entry(service.name.clone()).or_default();
            let url = self.urls.get(&service.name);
            said.readiness(service, url.map(String::as_str), &mut lines);
            for instance in &service.instances {
                if is_slow(instance, view.at) && self.slow.insert(instance.id.clone()) {
                    lines.push(slow_start(instance, view.at));
                }
            }
        }
        let there = |id: &InstanceId| {
            view.services.iter().flat_map(|service| &service.instances).any(|i| i.id == *id)
        };
        self.slow.retain(there);
        self.services.retain(|name, _| view.services.iter().any(|service| service.name == *name));
        lines
    }

    /// Why there is no point in going on: a service that crashes again and again and had no
    /// ready instance ever.
    pub(crate) fn hopeless(&self, view: &View) -> Option<String> {
        view.services.iter().find_map(|service| {
            let backoff = service.backoff.as_ref().filter(|backoff| backoff.crash_loop)?;
            let ever_ready = self.services.get(&service.name).is_some_and(|said| said.ever_ready);
            if ever_ready {
                return None;
            }
            let text = format!(
                "{}: gave up after {} failed starts and no instance that was ever ready: {}",
                service.name, backoff.failures, backoff.reason
            );
            Some(with_last_lines(text, backoff))
        })
    }
}

impl Said {
    fn readiness(&mut self, service: &ServiceView, url: Option<&str>, lines: &mut Vec<String>) {
        let ready = service.instances.iter().filter(|inst| inst.phase == Phase::Ready).count();
        let ready = u32::try_from(ready).unwrap_or(u32::MAX);
        self.ever_ready |= ready > 0;
        let is_outage = ready == 0 && service.desired > 0 && self.ever_ready;
        if is_outage && !self.outage {
            lines.push(format!(
                "{}: NO instance is ready; requests wait for one, and get 503 if that takes too \
                 long; `herder status` says why",
                service.name
            ));
        }
        self.outage = is_outage;
        if ready < service.desired {
            self.ready = None;
        } else if self.ready != Some(service.desired) {
            self.ready = Some(service.desired);
            let (name, desired) = (&service.name, service.desired);
            let url = url.map_or_else(String::new, |url| format!("; {url}"));
            lines.push(format!("{name}: {ready} of {desired} instances ready{url}"));
        }
    }
}

fn is_slow(instance: &InstanceView, now: Time) -> bool {
    instance.phase == Phase::Starting && now.since(instance.since) >= QUIET_START
}

fn slow_start(instance: &InstanceView, now: Time) -> String {
    let InstanceView { id, reason, trouble, .. } = instance;
    let s = now.since(instance.since).as_secs();
    match trouble {
        Some(trouble) => format!(
            "{id}: not ready after {s} s, last probe: {trouble}; is it the right path, and does \
             it listen on $PORT?"
        ),
        None => format!("{id}: not ready after {s} s: {reason}"),
    }
}

fn with_last_lines(mut text: String, backoff: &BackoffView) -> String {
    if !backoff.last_lines.is_empty() {
        text.push_str("\nthe last lines it wrote:");
    }
    for line in &backoff.last_lines {
        text.push_str("\n  | ");
        text.push_str(line);
    }
    text
}

#[cfg(test)]
mod tests {
    use control::AdmissionView;
    use model::{Algorithm, SHARE_FULL, UNLIMITED};

    use super::*;

    fn instance(number: u32, phase: Phase) -> InstanceView {
        InstanceView {
            id: format!("shop.{number}").parse().unwrap(),
            phase,
            since: Time::from_ms(1000),
            reason: "min is 2".to_owned(),
            trouble: Some("GET /healthz answered 404".to_owned()),
            probed: None,
            wants_percent: 100,
            generation: 1,
            addr: None,
            pid: None,
            usage: None,
            in_flight: 0,
            requests: 0,
            failures: 0,
            boot: None,
            admission: AdmissionView::Admitted,
            ejections: 0,
            share: SHARE_FULL,
            limit: UNLIMITED,
            in_pool: phase == Phase::Ready,
        }
    }

    /// Two instances are wanted.
    fn view(at_ms: u64, phases: &[Phase]) -> View {
        let instances = (1..).zip(phases).map(|(number, &phase)| instance(number, phase)).collect();
        let service = ServiceView {
            name: "shop".parse().unwrap(),
            slot: 0,
            desired: 2,
            desired_reason: String::new(),
            min: 2,
            max: 8,
            affinity: None,
            refused_percent: 0,
            balance: Algorithm::RoundRobin,
            probe: "TCP".to_owned(),
            scaling: None,
            room: None,
            trouble: None,
            generation: 1,
            waiting: 0,
            waiting_oldest: None,
            rollout: None,
            backoff: None,
            panic: None,
            ejections: 0,
            instances,
        };
        View {
            at: Time::from_ms(at_ms),
            table_version: 1,
            stopping: false,
            services: vec![service],
        }
    }

    fn failing(at_ms: u64, failures: u32) -> View {
        let mut view = view(at_ms, &[]);
        view.services[0].backoff = Some(BackoffView {
            failures,
            until: Time::from_ms(at_ms + 2000),
            crash_loop: failures >= 3,
            reason: "exit code 1".to_owned(),
            last_lines: vec!["no such module".to_owned()],
        });
        view
    }

    #[test]
    fn says_once_that_all_are_ready_and_again_after_a_loss() {
        use Phase::{Ready, Starting};
        let mut announcer = Announcer::default();
        let url = "http://127.0.0.1:8080".to_owned();
        announcer.reached_at([("shop".parse().unwrap(), url)].into());
        let ready = "shop: 2 of 2 instances ready; http://127.0.0.1:8080";
        assert!(announcer.observe(&view(1000, &[Starting, Starting])).is_empty());
        assert!(announcer.observe(&view(1100, &[Ready, Starting])).is_empty());
        assert_eq!(announcer.observe(&view(1200, &[Ready, Ready])), [ready]);
        assert!(announcer.observe(&view(1300, &[Ready, Ready])).is_empty());
        assert!(announcer.observe(&view(1400, &[Ready])).is_empty());
        assert_eq!(announcer.observe(&view(1500, &[Ready, Ready])), [ready]);
    }

    #[test]
    fn an_outage_is_said_once_and_only_after_somebody_was_ready() {
        use Phase::{Ready, Starting, Unready};
        let mut announcer = Announcer::default();
        assert!(announcer.observe(&view(1000, &[Starting, Starting])).is_empty());
        announcer.observe(&view(1100, &[Ready, Ready]));
        let said = announcer.observe(&view(1200, &[Unready, Unready]));
        assert!(said.len() == 1 && said[0].starts_with("shop: NO instance is ready"), "{said:?}");
        assert!(announcer.observe(&view(1300, &[Unready])).is_empty());
        assert!(announcer.observe(&view(1400, &[Ready, Unready])).is_empty());
        assert_eq!(announcer.observe(&view(1500, &[Unready, Unready])).len(), 1);
    }

    #[test]
    fn says_why_an_instance_is_not_ready_once() {
        let mut announcer = Announcer::default();
        assert!(announcer.observe(&view(5999, &[Phase::Starting])).is_empty());
        let expected = "shop.1: not ready after 5 s, last probe: GET /healthz answered 404; is it \
                        the right path, and does it listen on $PORT?";
        assert_eq!(announcer.observe(&view(6000, &[Phase::Starting])), [expected]);
        assert!(announcer.observe(&view(9000, &[Phase::Starting])).is_empty());
    }

    #[test]
    fn a_crash_loop_is_hopeless_when_nothing_was_ever_ready() {
        let mut announcer = Announcer::default();
        announcer.observe(&failing(1000, 2));
        assert!(announcer.hopeless(&failing(1500, 2)).is_none());
        let expected = "shop: gave up after 3 failed starts and no instance that was ever ready: \
                        exit code 1\nthe last lines it wrote:\n  | no such module";
        assert_eq!(announcer.hopeless(&failing(3000, 3)).as_deref(), Some(expected));
        announcer.observe(&view(3500, &[Phase::Ready]));
        assert!(announcer.hopeless(&failing(5000, 3)).is_none());
    }

    #[test]
    fn is_silent_while_everything_is_being_stopped() {
        let stopping = View { stopping: true, ..view(60_000, &[Phase::Starting]) };
        assert!(Announcer::default().observe(&stopping).is_empty());
    }
}
