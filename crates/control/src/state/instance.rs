//! One running copy of a service as the control state knows it: its phase, its probes, its end.
//! It decides nothing; the moves it offers are those that `model::Phase` allows.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use model::{Endpoint, Health, InstanceId, Phase, StaticEndpoint, Time};

use crate::journal::{Journal, count, span};
use crate::state::ejection::Ejection;
use crate::state::feedback::Wants;
use crate::{Kind, ProbeOutcome, Usage};

/// One instance, from the order to start it until it is gone.
#[derive(Debug)]
pub(crate) struct Instance {
    pub(crate) id: InstanceId,
    pub(crate) origin: Origin,
    /// The generation of its service that it was started with.
    pub(crate) generation: u64,
    /// When it was ordered to start.
    pub(crate) ordered_at: Time,
    /// When it must be ready. Later, a process is given up and an address is complained about.
    pub(crate) boot_deadline: Time,
    /// Whether that complaint is in the journal.
    pub(crate) boot_missed: bool,
    /// Whether an operator ordered it to be replaced.
    pub(crate) to_be_replaced: bool,
    /// Its process, when it is one and the driver has told.
    pub(crate) pid: Option<u32>,
    /// Where it is, once the driver has told.
    pub(crate) addr: Option<SocketAddr>,
    /// Where requests reach it: made when it has started, unless it was told to go before.
    pub(crate) endpoint: Option<Arc<Endpoint>>,
    /// From the order to start it to its first ready.
    pub(crate) boot: Option<Duration>,
    /// Whether it counts as a failure of its service already, though it has not ended yet.
    pub(crate) failed: bool,
    /// Whether it is let into the pool while it is ready.
    pub(crate) ejection: Ejection,
    /// How many requests it wants.
    pub(crate) wants: Wants,
    /// When its last probe came back, and what was wrong if something was.
    pub(crate) probed: Option<(Time, Option<String>)>,
    /// Whether it answered when it failed its last probe, and was not refusing since: see
    /// [`ProbeOutcome`].
    pub(crate) answers: bool,
    /// What it used, and when that was looked at; it is looked at every second.
    pub(crate) used: Option<(Time, Usage)>,
    /// How far it is on its way out. Some exactly while it drains.
    pub(crate) ending: Option<Ending>,
    phase: Phase,
    since: Time,
    reason: String,
    streak: Streak,
    /// What its last failed probe found, since it was ready last.
    probe_failure: Option<String>,
}

/// What an instance is a copy of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A process that Herder starts and stops.
    Process,
    /// An address that somebody else runs.
    Address(StaticEndpoint),
}

/// How far a draining instance is on its way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Its requests may finish until then; less, once it is quiet.
    Finishing { until: Time, quiet: bool },
    /// SIGTERM was sent at `at`. SIGKILL follows at `until`.
    Terminated { at: Time, until: Time },
    /// SIGKILL was sent, first at `at`, `times` times in all. The next one follows at `until`,
    /// unless that is nothing: then there is no point in more.
    Killed { at: Time, times: u32, until: Option<Time> },
}

/// Probes in a row with the same outcome.
#[derive(Clone, Copy, Debug)]
enum Streak {
    Passed(u32),
    Failed(u32),
}

/// SIGKILLs sent to one instance before Herder gives up on it; it stays in the view.
pub(crate) const KILLS_MAX: u32 = 5;

/// Between two of them.
pub(crate) const KILL_AGAIN_AFTER: Duration = Duration::from_secs(5);

impl Instance {
    /// An instance of a generation that is ordered to start now, for the given reason.
    pub(crate) fn ordered(
        id: InstanceId,
        origin: Origin,
        generation: u64,
        now: Time,
        boot_deadline: Time,
        reason: String,
    ) -> Self {
        Self {
            id,
            origin,
            generation,
            ordered_at: now,
            boot_deadline,
            boot_missed: false,
            to_be_replaced: false,
            pid: None,
            addr: None,
            endpoint: None,
            boot: None,
            probe_failure: None,
            failed: false,
            ejection: Ejection::default(),
            wants: Wants::default(),
            probed: None,
            answers: false,
            used: None,
            ending: None,
            phase: Phase::Starting,
            since: now,
            reason,
            streak: Streak::Passed(0),
        }
    }

    /// Where it is in its life.
    pub(crate) fn phase(&self) -> Phase {
        self.phase
    }

    /// Since when it is in its phase.
    pub(crate) fn since(&self) -> Time {
        self.since
    }

    /// Why it is in its phase.
    pub(crate) fn reason(&self) -> &str {
        &self.reason
    }

    /// The one way from phase to phase: an entry in the journal, with the reason. A move that is
    /// not legal is not made, and is an entry too.
    pub(crate) fn enter(&mut self, phase: Phase, now: Time, reason: String, journal: &mut Journal) {
        match self.phase.to(phase) {
            Ok(phase) => {
                let text = format!("{} {phase}: {reason}", self.id);
                journal.instance(now, Kind::Phase, &self.id, text);
                self.phase = phase;
                (self.since, self.reason, self.streak) = (now, reason, Streak::Passed(0));
                if phase == Phase::Ready {
                    self.probe_failure = None;
                }
            }
            Err(illegal) => {
                let text = format!("{}: {illegal} ({reason})", self.id);
                journal.instance(now, Kind::Defect, &self.id, text);
            }
        }
    }

    /// Whether it is not on its way out, nor gone.
    pub(crate) fn stays(&self) -> bool {
        matches!(self.phase, Phase::Starting | Phase::Ready | Phase::Unready)
    }

    /// Whether it may receive requests.
    pub(crate) fn is_ready(&self) -> bool {
        self.phase == Phase::Ready
    }

    /// Whether the driver has said that it runs.
    pub(crate) fn has_started(&self) -> bool {
        self.addr.is_some()
    }

    /// Requests in flight.
    pub(crate) fn in_flight(&self) -> u32 {
        self.endpoint.as_ref().map_or(0, |endpoint| endpoint.in_flight())
    }

    /// Whether it was to be ready by now, is not, and is given up. An address that somebody else
    /// runs is not, once the driver has it: it is probed for ever.
    pub(crate) fn is_overdue(&self, now: Time) -> bool {
        self.phase == Phase::Starting
            && now >= self.boot_deadline
            && (self.origin == Origin::Process || !self.has_started())
    }

    /// Whether it was to be ready by now, is not, is not given up, and nobody said so yet.
    pub(crate) fn misses_boot(&self, now: Time) -> bool {
        self.phase == Phase::Starting
            && now >= self.boot_deadline
            && !self.boot_missed
            && !self.is_overdue(now)
    }

    /// Counts one probe. Returns the phase that it leads to and why, when it leads to another.
    pub(crate) fn count_probe(
        &mut self,
        now: Time,
        outcome: ProbeOutcome,
        health: &Health,
    ) -> Option<(Phase, String)> {
        self.answers = !matches!(outcome, ProbeOutcome::Silent(_));
        self.probed = Some((now, outcome.failure().map(str::to_owned)));
        self.streak = match (outcome, self.streak) {
            (ProbeOutcome::Pass, Streak::Passed(n)) => Streak::Passed(n.saturating_add(1)),
            (ProbeOutcome::Pass, Streak::Failed(_)) => Streak::Passed(1),
            (ProbeOutcome::Fail(why) | ProbeOutcome::Silent(why), streak) => {
                self.probe_failure = Some(why);
                match streak {
                    Streak::Failed(n) => Streak::Failed(n.saturating_add(1)),
                    Streak::Passed(_) => Streak::Failed(1),
                }
            }
        };
        match (self.phase, self.streak) {
            (Phase::Starting, Streak::Passed(n)) if n >= health.healthy => {
                let after = span(now.since(self.ordered_at));
                let why = format!("passed {} after {after}", count(n as usize, "probe"));
                Some((Phase::Ready, why))
            }
            (Phase::Unready, Streak::Passed(n)) if n >= health.healthy => {
                let after = span(now.since(self.since));
                let why = format!("passed {} again after {after}", count(n as usize, "probe"));
                Some((Phase::Ready, why))
            }
            (Phase::Ready, Streak::Failed(n)) if n >= health.unhealthy => {
                let last = self.probe_failure.as_deref().unwrap_or("unknown");
                let why = format!("failed {}, the last: {last}", count(n as usize, "probe"));
                Some((Phase::Unready, why))
            }
            _ => None,
        }
    }

    /// What its last failed probe found, while that keeps it out of the pool.
    pub(crate) fn trouble(&self) -> Option<&str> {
        let probed = matches!(self.phase, Phase::Starting | Phase::Unready);
        self.probe_failure.as_deref().filter(|_| probed)
    }

    /// Why it is not ready yet, as far as its probes tell.
    pub(crate) fn boot_trouble(&self) -> String {
        match &self.probe_failure {
            Some(failure) => format!("its last failed probe: {failure}"),
            None if self.has_started() => "no probe failed, and too few came back".to_owned(),
            None => "its start never came to an end".to_owned(),
        }
    }
}

impl Origin {
    /// The address, of what has one before it has started.
    pub(crate) fn addr(&self) -> Option<SocketAddr> {
        match self {
            Origin::Process => None,
            Origin::Address(entry) => Some(entry.addr),
        }
    }

    /// Whom it stands behind; processes are all first.
    pub(crate) fn priority(&self) -> u32 {
        match self {
            Origin::Process => 0,
            Origin::Address(entry) => entry.priority,
        }
    }
}

impl Ending {
    /// What follows a SIGTERM at `now`.
    pub(crate) fn terminated(now: Time, timeout_grace: Duration) -> Self {
        Ending::Terminated { at: now, until: now + timeout_grace }
    }

    /// What follows a SIGKILL at `now`, after whatever came before it.
    pub(crate) fn killed(before: Option<Ending>, now: Time) -> Self {
        let (at, times) = match before {
            Some(Ending::Killed { at, times, .. }) => (at, times + 1),
            _ => (now, 1),
        };
        let until = (times < KILLS_MAX).then(|| now + KILL_AGAIN_AFTER);
        Ending::Killed { at, times, until }
    }

    /// When the next step is due, if there is one.
    pub(crate) fn until(&self) -> Option<Time> {
        match *self {
            Ending::Finishing { until, .. } | Ending::Terminated { until, .. } => Some(until),
            Ending::Killed { until, .. } => until,
        }
    }
}
