//! What instances want, by their own account: noted, and told to the journal when it changes.
//! Who gets requests and how many then is decided with the pool.

use model::{InstanceId, Time};

use crate::journal::Journal;
use crate::state::instance::Instance;
use crate::state::service::ServiceState;
use crate::state::{Services, find};
use crate::{Feedback, Kind};

/// Percent by which what an instance wants has to change to be worth an entry.
const STEP: u32 = 10;

/// What one instance wants.
#[derive(Debug)]
pub(crate) struct Wants {
    /// Never unclear.
    now: Feedback,
    /// What the journal says.
    told: Feedback,
}

impl Default for Wants {
    fn default() -> Self {
        Self { now: Feedback::WHOLE, told: Feedback::WHOLE }
    }
}

impl Wants {
    /// Whether it wants no more requests.
    pub(crate) fn rests(&self) -> bool {
        self.now == Feedback::Drain
    }

    /// The percentage of its part that it wants; 0 for no more requests.
    pub(crate) fn percent(&self) -> u32 {
        self.now.percent()
    }

    /// The percentage of its part that it gets: all of it if it gets any though it wants none.
    pub(crate) fn granted(&self) -> u32 {
        if self.rests() { 100 } else { self.percent() }
    }
}

/// Takes note of what an instance said, if its service listens to that.
pub(super) fn take(
    services: &mut Services,
    now: Time,
    id: &InstanceId,
    feedback: Feedback,
    journal: &mut Journal,
) {
    let listens = services.get(&id.service).is_some_and(|it| it.policy.health.feedback);
    // An answer may come after its instance is gone or draining: that is no defect.
    let instance = find(services, id).filter(|instance| listens && instance.stays());
    if let Some(instance) = instance {
        instance.hear(now, feedback, journal);
    }
}

impl ServiceState {
    /// Lets everybody have their whole part once nobody listens to instances any more.
    pub(crate) fn forget_feedback(&mut self, now: Time, journal: &mut Journal) {
        if self.policy.health.feedback {
            return;
        }
        for instance in self.instances.values_mut().filter(|it| it.wants.now != Feedback::WHOLE) {
            let text = format!("{} is not listened to any more", instance.id);
            journal.instance(now, Kind::Feedback, &instance.id, text);
            instance.wants = Wants::default();
        }
    }
}

impl Instance {
    fn hear(&mut self, now: Time, feedback: Feedback, journal: &mut Journal) {
        let is_news = match (&feedback, &self.wants.told) {
            (Feedback::Percent(100), told) => *told != Feedback::WHOLE,
            (Feedback::Percent(new), Feedback::Percent(told)) => new.abs_diff(*told) >= STEP,
            (new, told) => new != told,
        };
        if is_news {
            let text = match &feedback {
                Feedback::Percent(100) => "wants its whole part of the requests".to_owned(),
                Feedback::Percent(part) => format!("wants {part} % of its part of the requests"),
                Feedback::Drain => "wants no more requests".to_owned(),
                Feedback::Unclear(said) => {
                    format!("says {said:?}, which is neither a percentage nor `drain` nor `ready`")
                }
            };
            let text = format!("{} {text}", self.id);
            journal.instance(now, Kind::Feedback, &self.id, text);
            self.wants.told = feedback.clone();
        }
        if !matches!(feedback, Feedback::Unclear(_)) {
            self.wants.now = feedback;
        }
    }
}
