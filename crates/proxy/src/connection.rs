//! One accepted connection to its end: who the client is, and whether it may have one more.
//! What comes over it is for others to read.

use std::fmt::Display;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;

use model::{Listener, ProxyProtocolIn};
use proxy_protocol::Addresses;
use tokio::net::TcpStream;

use crate::client::Client;
use crate::crowd::Entry;
use crate::error::Error;
use crate::introduced::{self, Unheard};
use crate::listen::Acceptor;
use crate::record::Record;
use crate::serve::serve;
use crate::tcp::carry;
use crate::worker::Worker;

/// A connection for which room was taken at its acceptor.
pub(crate) struct Accepted {
    pub(crate) stream: TcpStream,
    pub(crate) peer: SocketAddr,
    /// As it was when the connection was accepted.
    pub(crate) listener: Arc<Listener>,
}

/// Counts a connection while it is open, and gives up the room that was taken for it.
struct Opened {
    acceptor: Arc<Acceptor>,
    worker: Rc<Worker>,
    /// Under whom it is counted in the crowd.
    counted: Option<IpAddr>,
}

/// A client has as many connections as it may.
#[derive(Debug, thiserror::Error)]
#[error("the client has connections_per_client_max connections already")]
struct Crowded;

/// Serves a connection in a task of its own. Dropping the task closes it.
pub(crate) fn begin(worker: &Rc<Worker>, acceptor: &Arc<Acceptor>, accepted: Accepted) {
    let mut opened = Opened::new(acceptor, worker);
    let Accepted { stream, peer, listener } = accepted;
    // Without a header to wait for, it costs neither a task nor a buffer to refuse.
    if listener.proxy_protocol == ProxyProtocolIn::Off
        && let Err(crowded) = opened.count(&listener, peer.ip())
    {
        return opened.refuse(&listener, peer, &stream, &crowded);
    }
    let ends = Addresses { source: peer, destination: acceptor.local };
    let deadline = worker.timers.deadline();
    // Apart: together with the task it would take the allocator's next size.
    let mut client = Box::new(Client::new(stream, ends, listener, deadline));
    client.number = worker.next_number();
    // What few connections need is apart, so that it does not make every task larger. The whole is
    // boxed because a task that holds its future copies it each time it changes its state.
    tokio::task::spawn_local(Box::pin(async move {
        if client.listener.proxy_protocol == ProxyProtocolIn::Off
            || Box::pin(opened.is_introduced(&mut client)).await
        {
            match client.listener.tcp.clone() {
                None => serve(&mut client, &opened.worker).await,
                Some(service) => Box::pin(carry(&mut client, &opened.worker, &service)).await,
            }
            opened.worker.idle.disown(client.number);
        }
    }));
}

impl Opened {
    fn new(acceptor: &Arc<Acceptor>, worker: &Rc<Worker>) -> Self {
        worker.registry.process().worker(worker.number).connection_opened();
        let (acceptor, worker) = (Arc::clone(acceptor), Rc::clone(worker));
        Self { acceptor, worker, counted: None }
    }

    /// Counts it as one of this client's, unless that has enough.
    fn count(&mut self, listener: &Listener, client: IpAddr) -> Result<(), Crowded> {
        let max = listener.limits.connections_per_client_max;
        match self.acceptor.crowd.enter(client, max) {
            Entry::Free => {}
            Entry::Counted(client) => self.counted = Some(client),
            Entry::Refused => return Err(Crowded),
        }
        Ok(())
    }

    /// Hears who the client is, from itself or from a proxy in front. False when the connection is
    /// over.
    async fn is_introduced(&mut self, client: &mut Client<TcpStream>) -> bool {
        match introduced::listen(client, &self.worker).await {
            Ok(()) => {}
            Err(Unheard::Silent) => return false,
            Err(unheard) => {
                let mut record = Record::begin();
                record.error = Some(Error::BadProxyHeader);
                record.end(client, &self.worker, None);
                self.reset(&client.listener, client.peer, &client.stream, &unheard);
                return false;
            }
        }
        match self.count(&client.listener, client.peer.ip()) {
            Ok(()) => true,
            Err(crowded) => {
                self.refuse(&client.listener, client.peer, &client.stream, &crowded);
                false
            }
        }
    }

    fn refuse(&self, listener: &Listener, peer: SocketAddr, stream: &TcpStream, why: &Crowded) {
        let process = self.worker.registry.process();
        process.worker(self.worker.number).error(Error::TooManyConnections.index());
        self.reset(listener, peer, stream, why);
    }

    /// Ends a connection with a reset as soon as the stream is dropped: nothing of it stays in the
    /// kernel either.
    fn reset(&self, listener: &Listener, peer: SocketAddr, stream: &TcpStream, why: &dyn Display) {
        if let Err(error) = stream.set_zero_linger() {
            tracing::debug!(%error, "a refused connection was closed, not reset");
        }
        if self.worker.may_warn() {
            let listener = &listener.name;
            tracing::warn!(%listener, client = %peer, %why, "a connection was refused");
        }
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        if let Some(client) = self.counted {
            self.acceptor.crowd.leave(client);
        }
        self.acceptor.leave();
        self.worker.registry.process().worker(self.worker.number).connection_closed();
    }
}
