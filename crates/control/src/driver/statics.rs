//! Instances that somebody else runs: an address is taken on and let go, nothing is started.
//! Whether anything answers there is for the probes to find out.

use std::net::SocketAddr;
use std::rc::Rc;

use model::InstanceId;
use tokio::sync::Notify;

use super::Shared;
use crate::{Event, Exit, ExitStatus};

/// Reports an address as started and, once `released` is notified, as gone. One task does both,
/// so that they arrive in this order.
pub(super) async fn attend(
    shared: Rc<Shared>,
    id: InstanceId,
    addr: SocketAddr,
    released: Rc<Notify>,
) {
    shared.send(Event::Started { id: id.clone(), addr, pid: None }).await;
    released.notified().await;
    shared.forget(&id);
    let exit = Exit { status: ExitStatus::Released, last_lines: Vec::new(), port_taken: false };
    shared.send(Event::Exited { id, exit }).await;
}
