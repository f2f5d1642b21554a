//! What instances use, as it was measured last.
//! It decides nothing, and what was not measured lately is told as not known.

use std::time::Duration;

use model::Time;

use crate::state::instance::Instance;
use crate::state::{State, find};
use crate::{Measured, Usage};

/// A look may come late; three in a row do not. What is older is not known any more.
const STALE_AFTER: Duration = Duration::from_secs(3);

impl State {
    /// Takes note of what was measured. What belongs to no instance came too late.
    pub(super) fn measured(&mut self, now: Time, measured: &Measured) {
        for (id, usage) in &measured.instances {
            if let Some(instance) = find(&mut self.services, id) {
                instance.used = Some((now, *usage));
            }
        }
    }
}

impl Instance {
    /// What it uses, if that is known.
    pub(crate) fn usage(&self, now: Time) -> Option<Usage> {
        let (at, usage) = self.used?;
        (now.since(at) < STALE_AFTER).then_some(usage)
    }
}
