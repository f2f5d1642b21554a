//! A decision with everything that made it: what each signal asked for, and what limited it.
//! It explains; it does not decide.

/// How many instances, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// How many were desired before.
    pub was: u32,
    /// How many are desired now.
    pub desired: u32,
    /// What each signal said, in the order of the policy.
    pub asked: Vec<Asked>,
    /// What changed the number after that, in the order in which it was applied. The last one is
    /// the one to mend if another number is wanted.
    pub limits: Vec<Limit>,
}

/// What one signal said.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Asked {
    /// Which one.
    pub signal: Signal,
    /// What was measured, in the unit of the signal. None: nothing; such a signal asks for nothing.
    pub value: Option<f64>,
    /// What one instance is to have of it.
    pub target: f64,
    /// How many instances that makes, before it is rounded up.
    pub wants: Option<f64>,
}

/// What a number of instances is derived from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Signal {
    /// Arrivals × service time: requests that are going to be in flight.
    Arrivals,
    /// Requests in flight at instances.
    InFlight,
    /// Requests that wait, in those or before them.
    Backlog,
    /// Requests per second.
    Requests,
    /// The time that requests wait, in seconds.
    QueueTime,
    /// The response time, in seconds.
    Latency,
    /// Use of the processor, 1 for all that an instance may use.
    Cpu,
    /// Use of memory, likewise.
    Memory,
    /// Requests in flight and waiting, as Kubernetes and Knative count them.
    Concurrency,
    /// What a Prometheus says.
    Prometheus,
}

/// A number that was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// By what.
    pub by: LimitedBy,
    /// From so many.
    pub from: u32,
    /// To so many.
    pub to: u32,
}

/// What changes the number that signals ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LimitedBy {
    /// It is too close to what there is.
    Tolerance,
    /// It was more within the window, and may be again.
    Window,
    /// What is too much goes by halves.
    Decay,
    /// So many more at once are not allowed, or so many fewer.
    Rate,
    /// So many may be starting at the same time.
    Starting,
    /// Nothing is known of the last seconds, or of one of several signals.
    Missing,
    /// Instances are being replaced, which looks like demand and is none.
    Rollout,
    /// The last change was a moment ago.
    Cooldown,
    /// A panic: as many as its worst moment needed stay.
    Panic,
    /// More instances have not helped: what they all wait for is somewhere else.
    Brownout,
    /// What is started does not become ready.
    Failing,
    /// The calendar wants more.
    Calendar,
    /// More are going to be needed, as on other days.
    Forecast,
    /// `scale.min`.
    Min,
    /// `scale.max`.
    Max,
    /// The machine.
    Room,
    /// Others want the machine too.
    Share,
    /// Nobody has asked for anything for a while.
    Idle,
}

impl Decision {
    /// A decision that leaves everything as it is.
    pub(crate) fn stay(was: u32) -> Self {
        Self { was, desired: was, asked: Vec::new(), limits: Vec::new() }
    }

    /// Changes the number, and says by what, if that is a change.
    pub(crate) fn limit(&mut self, by: LimitedBy, to: u32) {
        if to != self.desired {
            self.limits.push(Limit { by, from: self.desired, to });
            self.desired = to;
        }
    }

    /// What had the last word, if the number is not simply what the signals asked for.
    pub fn limited_by(&self) -> Option<LimitedBy> {
        self.limits.last().map(|limit| limit.by)
    }
}

impl Signal {
    /// Its name in metrics, journal and API.
    pub const fn name(self) -> &'static str {
        match self {
            Signal::Arrivals => "arrivals",
            Signal::InFlight => "in_flight",
            Signal::Backlog => "backlog",
            Signal::Requests => "requests",
            Signal::QueueTime => "queue_time",
            Signal::Latency => "latency",
            Signal::Cpu => "cpu",
            Signal::Memory => "memory",
            Signal::Concurrency => "concurrency",
            Signal::Prometheus => "prometheus",
        }
    }
}

impl LimitedBy {
    /// All of them, for the metric.
    pub const ALL: [LimitedBy; 18] = [
        LimitedBy::Tolerance,
        LimitedBy::Window,
        LimitedBy::Decay,
        LimitedBy::Rate,
        LimitedBy::Starting,
        LimitedBy::Missing,
        LimitedBy::Rollout,
        LimitedBy::Cooldown,
        LimitedBy::Panic,
        LimitedBy::Brownout,
        LimitedBy::Failing,
        LimitedBy::Calendar,
        LimitedBy::Forecast,
        LimitedBy::Min,
        LimitedBy::Max,
        LimitedBy::Room,
        LimitedBy::Share,
        LimitedBy::Idle,
    ];

    /// Its name in metrics, journal and API.
    pub const fn name(self) -> &'static str {
        match self {
            LimitedBy::Tolerance => "tolerance",
            LimitedBy::Window => "window",
            LimitedBy::Decay => "decay",
            LimitedBy::Rate => "rate",
            LimitedBy::Starting => "starting",
            LimitedBy::Missing => "missing",
            LimitedBy::Rollout => "rollout",
            LimitedBy::Cooldown => "cooldown",
            LimitedBy::Panic => "panic",
            LimitedBy::Brownout => "brownout",
            LimitedBy::Failing => "failing",
            LimitedBy::Calendar => "calendar",
            LimitedBy::Forecast => "forecast",
            LimitedBy::Min => "min",
            LimitedBy::Max => "max",
            LimitedBy::Room => "room",
            LimitedBy::Share => "share",
            LimitedBy::Idle => "idle",
        }
    }
}
