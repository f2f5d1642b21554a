//! Who a client is when a proxy in front says so: the header of the PROXY protocol.
//! What follows it stays in the connection's buffer for whoever reads next.

use std::future::poll_fn;
use std::task::{Context, Poll};

use model::ProxyProtocolIn;
use proxy_protocol::{Header, Progress, Refusal, parse};

use crate::client::{Client, DRAIN_GRACE};
use crate::stream::Stream;
use crate::worker::Worker;

/// Why a connection ends before it began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unheard {
    /// It ended, or Herder did, before the first byte, as those do that only look whether somebody
    /// listens.
    #[error("the connection ended before a PROXY protocol header")]
    Silent,
    /// It ended in the midst of it.
    #[error("the connection ended within its PROXY protocol header")]
    Truncated,
    /// The time for it passed.
    #[error("the PROXY protocol header did not arrive within timeout_head")]
    Late,
    /// It is not one.
    #[error("{0}")]
    Refused(#[from] Refusal),
}

/// Reads the header, if this connection has to begin with one, and believes it.
///
/// # Errors
/// Why the connection cannot be served.
pub(crate) async fn listen<C>(client: &mut Client<C>, worker: &Worker) -> Result<(), Unheard>
where
    C: Stream,
{
    let is_due = match client.listener.proxy_protocol {
        ProxyProtocolIn::Off => false,
        ProxyProtocolIn::Required => true,
        ProxyProtocolIn::Trusted => client.listener.trusted_proxies.contains(client.peer.ip()),
    };
    if is_due {
        client.deadline.set(client.listener.limits.timeout_head);
        let header = poll_fn(|cx| poll_header(client, cx, worker)).await?;
        client.input.consume(header.bytes);
        if let Some(addresses) = header.addresses {
            client.speaks_for(addresses);
        }
    }
    Ok(())
}

fn poll_header<C>(
    client: &mut Client<C>,
    cx: &mut Context<'_>,
    worker: &Worker,
) -> Poll<Result<Header, Unheard>>
where
    C: Stream,
{
    loop {
        if let Progress::Complete(header) = parse(client.input.unread())? {
            return Poll::Ready(Ok(header));
        }
        let is_silent = client.input.is_empty();
        if is_silent && worker.is_draining() {
            client.deadline.limit(DRAIN_GRACE);
        }
        match client.input.poll_fill(cx, &mut client.stream) {
            Poll::Ready(Ok(bytes)) if bytes > 0 => {}
            Poll::Ready(_) if is_silent => return Poll::Ready(Err(Unheard::Silent)),
            Poll::Ready(_) => return Poll::Ready(Err(Unheard::Truncated)),
            Poll::Pending if !client.deadline.has_passed(cx) => return Poll::Pending,
            Poll::Pending if is_silent && worker.is_draining() => {
                return Poll::Ready(Err(Unheard::Silent));
            }
            Poll::Pending => return Poll::Ready(Err(Unheard::Late)),
        }
    }
}
