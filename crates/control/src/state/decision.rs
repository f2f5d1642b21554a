//! How many instances a service is to have, and why.
//! It keeps what others decided, within the bounds; where a number comes from is not its to say.

use model::{Scale, Service, Source};

use crate::journal::span;
use crate::state::Remembered;

/// A desired count, with its reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Decision {
    /// Always within the bounds of the service.
    pub(crate) count: u32,
    /// Why that many, such as `min` or `scale shop 5`.
    pub(crate) reason: String,
    pub(crate) by: By,
}

/// Who decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    /// The configuration: the least that it allows.
    Configuration,
    /// An operator; kept across reloads for as long as it fits.
    Operator,
    /// The policy of the service, from what it sees of the demand.
    Autoscaler,
}

impl Decision {
    /// What holds until somebody decides otherwise.
    pub(crate) fn configured(service: &Service) -> Self {
        let reason = match &service.source {
            Source::Command(_) => "min".to_owned(),
            Source::Static(_) => "one per address".to_owned(),
        };
        Self { count: service.scale.min, reason, by: By::Configuration }
    }

    /// An operator's order.
    pub(crate) fn ordered(service: &Service, count: u32) -> Self {
        let reason = format!("scale {} {count}", service.name);
        Self { count, reason, by: By::Operator }
    }

    /// What the policy had decided before Herder ended, so that a service that was busy then does
    /// not have to grow anew.
    pub(crate) fn remembered(service: &Service, remembered: Remembered) -> Self {
        let Remembered { desired, ago } = remembered;
        let reason = format!("as before Herder ended, {} ago", span(ago));
        Self { count: desired, reason, by: By::Autoscaler }.within(service)
    }

    /// The nearest one that the bounds allow; its reason says when they changed it. A service that
    /// sleeps has none, whatever the least is that it has awake.
    pub(crate) fn within(self, service: &Service) -> Self {
        let Scale { min, max } = &service.scale;
        let may_sleep = service.autoscale.idle_after.is_some();
        if self.count == 0 && self.by == By::Autoscaler && may_sleep {
            self
        } else if self.count < *min {
            let reason = format!("{}, raised to min", self.reason);
            Self { count: *min, reason, ..self }
        } else if self.count > *max {
            let reason = format!("{}, lowered to max", self.reason);
            Self { count: *max, reason, ..self }
        } else {
            self
        }
    }
}
