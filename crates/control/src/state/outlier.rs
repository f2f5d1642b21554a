//! Ejects those whose requests fare worse than they may, tries them again, and lets them back in.
//! Who is an outlier is judged in `balance`; here are the cap, the times and the journal.

use balance::{Fault, ejected_max, ejection_time, interval_faults, streak_fault};
use model::{Mode, Phase, Time, Trial};

use crate::journal::{Journal, count, span};
use crate::state::instance::Instance;
use crate::state::service::ServiceState;
use crate::{AdmissionView as Admission, Kind};

/// Ejections of one instance that are counted: the length of the next one has long reached its
/// maximum, and forgiving them one per interval must come to an end.
const TIMES_MAX: u32 = 12;

/// Why an instance stays in spite of its faults.
enum Spared {
    /// As many as may be are out already.
    Cap { out: usize, of: usize, most: usize },
    /// No other one is available.
    Last,
}

impl ServiceState {
    /// Does what is due: trials that came to an end or begin, streaks, and the interval.
    pub(crate) fn judge(&mut self, now: Time, journal: &mut Journal, rng: &mut fastrand::Rng) {
        if !self.policy.eject.is_on {
            return;
        }
        let numbers: Vec<u32> = self.instances.keys().copied().collect();
        for number in numbers {
            self.end_trial(number, now, journal, rng);
            self.judge_streak(number, now, journal, rng);
        }
        let begins = self.instances.values_mut().filter(|instance| instance.is_ready());
        for instance in begins {
            if instance.ejection.until().is_some_and(|until| now >= until) {
                instance.begin_trial(now, journal);
            }
        }
        if now >= self.judged_next {
            if self.judged_next > Time::default() {
                self.judge_interval(now, journal, rng);
            }
            self.judged_next = now + self.policy.eject.interval;
        }
    }

    /// When the time alone makes something due.
    pub(crate) fn judged_at(&self) -> impl Iterator<Item = Time> {
        let eject = &self.policy.eject;
        let interval = (eject.is_on && !self.instances.is_empty()).then_some(self.judged_next);
        let ready = self.ready().filter_map(|instance| instance.ejection.until());
        ready.chain(interval)
    }

    /// Lets everybody in once nobody is ejected any more.
    pub(crate) fn admit_all(&mut self, now: Time, journal: &mut Journal) {
        if self.policy.eject.is_on {
            return;
        }
        for instance in self.instances.values_mut().filter(|it| !it.ejection.is_admitted()) {
            instance.admit(now, "nobody is ejected any more", journal);
            instance.ejection.times = 0;
        }
    }

    fn end_trial(
        &mut self,
        number: u32,
        now: Time,
        journal: &mut Journal,
        rng: &mut fastrand::Rng,
    ) {
        let Some(instance) = self.instances.get_mut(&number) else { return };
        let Admission::Trial { since, why } = &instance.ejection.admission else { return };
        // A connection has its outcome at its end, which may be hours away.
        let is_carried = self.policy.mode == Mode::Tcp
            && instance.in_flight() > 0
            && now.since(*since) >= self.policy.eject.interval;
        let trial = instance.endpoint.as_ref().and_then(|endpoint| endpoint.trial());
        match trial {
            Some(Trial::Passed) => instance.admit(now, "its trial request succeeded", journal),
            Some(Trial::Failed) => {
                let why = format!("its trial request failed; before: {why}");
                self.eject(number, now, why, (journal, rng));
            }
            Some(Trial::Runs) if is_carried => {
                instance.admit(now, "the connection of its trial stands", journal);
            }
            Some(Trial::Runs) => {}
            // Its streak was forgotten meanwhile, and the trial with it.
            None => {
                if let Some(endpoint) = &instance.endpoint {
                    endpoint.begin_trial();
                }
            }
        }
    }

    fn judge_streak(
        &mut self,
        number: u32,
        now: Time,
        journal: &mut Journal,
        rng: &mut fastrand::Rng,
    ) {
        let bounds = self.policy.eject.streak;
        let Some(instance) = self.instances.get_mut(&number) else { return };
        let Some(endpoint) = &instance.endpoint else { return };
        match streak_fault(&endpoint.streak(), &bounds) {
            Some(fault) if instance.is_ready() && instance.ejection.is_admitted() => {
                self.eject(number, now, words(&fault), (journal, rng));
            }
            Some(_) => {}
            None => instance.ejection.is_spared = false,
        }
    }

    /// Judges the interval that ends now, and forgives those who fared well in it one ejection.
    fn judge_interval(&mut self, now: Time, journal: &mut Journal, rng: &mut fastrand::Rng) {
        for instance in self.instances.values_mut() {
            if let Some(endpoint) = &instance.endpoint {
                instance.ejection.end_interval(endpoint);
            }
        }
        let (numbers, tallies): (Vec<u32>, Vec<_>) =
            self.ready().map(|instance| (instance.id.number, instance.ejection.last)).unzip();
        let faults = interval_faults(&tallies, &self.policy.eject);
        for (number, fault) in numbers.into_iter().zip(faults) {
            let Some(instance) = self.instances.get_mut(&number) else { continue };
            if !instance.ejection.is_admitted() {
                continue;
            }
            match fault {
                Some(fault) => self.eject(number, now, words(&fault), (journal, rng)),
                None if instance.ejection.is_spared => {}
                None => instance.ejection.times = instance.ejection.times.saturating_sub(1),
            }
        }
    }

    /// Ejects an instance, unless too many are out; the journal has either. It is probed now: it
    /// may be worse than its requests tell.
    fn eject(
        &mut self,
        number: u32,
        now: Time,
        why: String,
        (journal, rng): (&mut Journal, &mut fastrand::Rng),
    ) {
        let spared = self.spares(number);
        let eject = &self.policy.eject;
        let Some(instance) = self.instances.get_mut(&number) else { return };
        if let Some(spared) = spared {
            return instance.spare(now, &why, &spared, journal);
        }
        let times = (instance.ejection.times + 1).min(TIMES_MAX);
        let time = ejection_time(eject, times, rng);
        let text = format!("{} ejected for {}, ejection {times}: {why}", instance.id, span(time));
        journal.instance(now, Kind::Ejected, &instance.id, text);
        instance.ejection.times = times;
        instance.ejection.is_spared = false;
        instance.ejection.admission = Admission::Ejected { since: now, until: now + time, why };
        if let Some(endpoint) = &instance.endpoint {
            endpoint.forget_streak();
        }
        if let Some(watched) = self.probes.get_mut(&number) {
            watched.hasten = true;
        }
        self.ejections += 1;
    }

    /// Why an instance must not be ejected, if so. Those on trial count as out, so that one that
    /// fails its trial can always go back.
    fn spares(&self, number: u32) -> Option<Spared> {
        let instance = self.instances.get(&number)?;
        let mut others = self.ready().filter(|other| other.id != instance.id);
        if !others.any(Instance::is_available) {
            return Some(Spared::Last);
        }
        let alike = || self.ready().filter(|other| other.priority() == instance.priority());
        let out = alike()
            .filter(|other| other.id != instance.id && !other.ejection.is_admitted())
            .count();
        let of = alike().count();
        let most = ejected_max(of, self.policy.eject.percent_max);
        (out >= most).then_some(Spared::Cap { out, of, most })
    }
}

impl Instance {
    /// Lets it in for one request, which decides.
    pub(crate) fn begin_trial(&mut self, now: Time, journal: &mut Journal) {
        let Admission::Ejected { since, why, .. } = &self.ejection.admission else { return };
        let Some(endpoint) = &self.endpoint else { return };
        endpoint.begin_trial();
        let after = span(now.since(*since));
        let text = format!("{} on trial after {after}: its next request decides", self.id);
        journal.instance(now, Kind::Trial, &self.id, text);
        self.ejection.admission = Admission::Trial { since: now, why: why.clone() };
    }

    fn admit(&mut self, now: Time, why: &str, journal: &mut Journal) {
        if let Some(endpoint) = &self.endpoint {
            endpoint.end_trial();
        }
        let times = count(self.ejection.times as usize, "ejection");
        let text = format!("{} admitted: {why}; {times} to be forgiven", self.id);
        journal.instance(now, Kind::Admitted, &self.id, text);
        self.ejection.admission = Admission::Admitted;
        self.ejection.admitted_at = now;
    }

    /// It stays, or comes back, because others have to go first; said once per streak.
    fn spare(&mut self, now: Time, why: &str, spared: &Spared, journal: &mut Journal) {
        if let (Some(endpoint), false) = (&self.endpoint, self.ejection.is_admitted()) {
            endpoint.end_trial();
        }
        self.ejection.admission = Admission::Admitted;
        if self.ejection.is_spared {
            return;
        }
        self.ejection.is_spared = true;
        let because = match spared {
            Spared::Last => "no other one is available".to_owned(),
            Spared::Cap { out, of, most } => {
                format!("{out} of {of} are out already, and {most} may be")
            }
        };
        let text = format!("{} stays in the pool, {because}: {why}", self.id);
        journal.instance(now, Kind::Spared, &self.id, text);
    }

    /// Whom it stands behind.
    pub(crate) fn priority(&self) -> u32 {
        self.origin.priority()
    }

    /// Whether requests are sent to it without reserve.
    pub(crate) fn is_available(&self) -> bool {
        self.phase() == Phase::Ready && self.ejection.is_admitted() && !self.wants.rests()
    }
}

/// What an instance is ejected for, with its numbers.
fn words(fault: &Fault) -> String {
    let percent = |part: &f64| format!("{:.1} %", part * 100.0);
    match fault {
        Fault::Errors(n) => format!("{n} failures in a row"),
        Fault::Gateway(n) => format!("{n} times 502, 503 or 504 in a row"),
        Fault::Silent(n) => format!("{n} times no answer in a row"),
        Fault::SuccessRate { rate, mean, deviation, least } => format!(
            "{} of its requests succeeded, less than {}: the mean of all is {}, the deviation {}",
            percent(rate),
            percent(least),
            percent(mean),
            percent(deviation)
        ),
        Fault::Failures(tally) => {
            format!("{} of its {} requests failed", tally.failures, tally.requests)
        }
    }
}
