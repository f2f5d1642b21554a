//! Everything that can happen to the control state: a closed list.
//! An event states a fact or an order; what follows from it is decided in `plan`.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use model::{Desired, InstanceId, Report, ServiceName};

use crate::Feedback;

/// Something that happened, or that somebody ordered.
#[derive(Clone, Debug)]
pub enum Event {
    /// A configuration was prepared and is to be obeyed from now on.
    Configured(Desired),
    /// An operator ordered something.
    Ordered(Order),
    /// The driver started an instance; it is running, and nobody knows yet whether it is fit.
    Started {
        /// Which.
        id: InstanceId,
        /// Where it is to answer.
        addr: SocketAddr,
        /// Its process, when it is one.
        pid: Option<u32>,
    },
    /// The driver could not start an instance.
    StartFailed {
        /// Which.
        id: InstanceId,
        /// What was tried, what came back and what to do.
        reason: String,
    },
    /// An instance ended, told to or not. Its whole process group is gone.
    Exited {
        /// Which.
        id: InstanceId,
        /// How.
        exit: Exit,
    },
    /// A probe of an instance came back.
    Probed {
        /// Which.
        id: InstanceId,
        /// With what.
        outcome: ProbeOutcome,
    },
    /// An instance said how many requests it wants, with an answer that passes its probe.
    FedBack {
        /// Which.
        id: InstanceId,
        /// What it said.
        feedback: Feedback,
    },
    /// A worker noticed something about an instance.
    Reported {
        /// Which.
        id: InstanceId,
        /// What.
        report: Report,
    },
    /// A draining instance has no request in flight and can get no new one.
    Quiet {
        /// Which.
        id: InstanceId,
    },
    /// Somebody looked at what instances use and what the machine has.
    Measured(Measured),
    /// The driver found out whether it can hold instances to their resources, or why not.
    Enforced(Result<(), String>),
    /// A Prometheus was asked for a service.
    Answered {
        /// For which.
        service: ServiceName,
        /// What it said, or why it said nothing.
        answer: Result<f64, String>,
    },
    /// What a service was asked in the past, in any order; it matters where there is a forecast.
    Recalled {
        /// Which.
        service: ServiceName,
        /// Minute by minute.
        minutes: Vec<scale::Minute>,
    },
    /// Time passed.
    Tick,
}

/// What a look at the machine found.
#[derive(Clone, Debug, Default)]
pub struct Measured {
    /// The instances that have processes.
    pub instances: Vec<(InstanceId, Usage)>,
    /// What most answers of the last seconds took less than, of the services that have an objective
    /// and answered anything.
    pub latencies: Vec<(ServiceName, Duration)>,
    /// What the machine has. None: it does not say.
    pub hardware: Option<Hardware>,
}

/// What the machine has, as far as Herder may use it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hardware {
    /// Memory.
    pub memory_bytes: u64,
    /// Memory that is free, or is given up by the kernel when somebody needs it.
    pub free_bytes: u64,
    /// Cores.
    pub cores: u32,
}

/// What an instance uses: all processes that it consists of.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Usage {
    /// Time of the processor since it started, that of its processes that ended included.
    pub cpu: Duration,
    /// Cores that it used since the look before: 0.5 is half of one. None: it is the first look.
    pub cores: Option<f64>,
    /// Memory; what several of its processes share counts once, as far as that is known.
    pub memory_bytes: u64,
    /// How many processes these are.
    pub processes: u32,
}

/// What an operator may order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// Run this many instances, within the service's bounds.
    Scale {
        /// Of which service.
        service: ServiceName,
        /// How many.
        count: u32,
    },
    /// Let the number follow demand again, after an order to run a certain number.
    Autoscale {
        /// Of which service.
        service: ServiceName,
    },
    /// Replace one instance: a new one is started first, then this one drains and stops.
    Drain {
        /// Which.
        instance: InstanceId,
    },
    /// Replace all instances one after the other, starting first.
    Restart {
        /// Of which service.
        service: ServiceName,
    },
    /// Drain and stop everything; nothing is started any more.
    Shutdown,
}

/// Why an order or a configuration was not taken. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refusal(pub String);

/// How an instance ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exit {
    /// What the process reported.
    pub status: ExitStatus,
    /// The last lines it wrote, oldest first; bounded by the driver.
    pub last_lines: Vec<String>,
    /// Whether its port was held by somebody else, so that the next start, with another port, is
    /// worth trying at once.
    pub port_taken: bool,
}

/// What a process reported when it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitStatus {
    /// It returned.
    Code(i32),
    /// A signal ended it.
    Signal(i32),
    /// There is no process to report anything: a static address was let go.
    Released,
}

/// What a probe found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProbeOutcome {
    /// Fit.
    Pass,
    /// It answered, and is not fit; why, such as `GET /healthz answered 500`.
    Fail(String),
    /// It did not answer: refused, reset or too late.
    Silent(String),
}

impl ProbeOutcome {
    /// What was wrong, if something was.
    pub fn failure(&self) -> Option<&str> {
        match self {
            ProbeOutcome::Pass => None,
            ProbeOutcome::Fail(why) | ProbeOutcome::Silent(why) => Some(why),
        }
    }
}

impl fmt::Display for ExitStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ExitStatus::Code(code) => write!(f, "exit code {code}"),
            ExitStatus::Signal(signal) => write!(f, "signal {signal}"),
            ExitStatus::Released => f.write_str("released"),
        }
    }
}
