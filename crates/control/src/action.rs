//! What the plan asks the shell to do: a closed list.
//! An action is recorded in the state before it is carried out, so that planning twice orders once.

use std::net::SocketAddr;
use std::sync::Arc;

use model::{Endpoint, InstanceId, Service};

/// One thing to do to the outside world. Carrying one out never fails in place: what came of it
/// arrives as an event.
#[derive(Clone, Debug)]
pub enum Action {
    /// Start an instance. Ends in `Started` or `StartFailed`.
    Start {
        /// Which.
        id: InstanceId,
        /// A copy of what; the policies as of the order.
        service: Arc<Service>,
        /// The address of a static instance; none for a process.
        addr: Option<SocketAddr>,
    },
    /// Begin to probe an instance; it answers with `Probed` until `Forget`.
    Watch {
        /// Where.
        endpoint: Arc<Endpoint>,
        /// By which policy.
        service: Arc<Service>,
    },
    /// Probe an instance now, not at its next turn.
    Hasten {
        /// Which.
        id: InstanceId,
    },
    /// Stop probing an instance.
    Forget {
        /// Which.
        id: InstanceId,
    },
    /// Close the endpoint, which the published table no longer has, and send `Quiet` once no
    /// request is in flight there.
    Drain {
        /// Where.
        endpoint: Arc<Endpoint>,
    },
    /// SIGTERM to the instance's process group. Ends in `Exited`.
    Terminate {
        /// Which.
        id: InstanceId,
    },
    /// SIGKILL to the instance's process group. Ends in `Exited`.
    Kill {
        /// Which.
        id: InstanceId,
    },
}
