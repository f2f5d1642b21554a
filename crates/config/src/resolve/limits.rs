//! Limits and queues, from what is written to what is desired.
//! Who counts and who waits is not known here.

use model::{Codel, Limits, PriorityFrom, PriorityHeader, QueuePolicy, UNLIMITED};

use crate::schema::limits as written;

/// Resolves `limits`.
pub(super) fn limits(written: &written::Limits) -> Limits {
    Limits {
        in_flight_max: limit(written.in_flight_max.get()),
        service_in_flight_max: limit(written.service_in_flight_max.get()),
    }
}

/// Resolves `queue`.
pub(super) fn queue(written: &written::Queue) -> QueuePolicy {
    let interval = written.interval.get();
    QueuePolicy {
        waiting_max: written.max.get(),
        timeout_wait: written.timeout.get(),
        codel: written.target.get().map(|target| Codel { target: target.get(), interval }),
        sheds: written.shed,
        priority: written.priority_header.as_ref().map(|name| PriorityHeader {
            name: name.value.0.clone(),
            from: match written.priority_from {
                written::PriorityFrom::Trusted => PriorityFrom::Trusted,
                written::PriorityFrom::Anyone => PriorityFrom::Anyone,
            },
        }),
    }
}

fn limit(written: u64) -> u32 {
    u32::try_from(written).map_or(UNLIMITED, |limit| limit.min(UNLIMITED))
}
