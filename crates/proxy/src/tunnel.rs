//! Bytes both ways between two streams, after a protocol was switched or in TCP mode.
//! It knows nothing of what it carries; each direction ends on its own.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};

use crate::buffer::Buffer;
use crate::error::Error;
use crate::stream::Stream;
use crate::timers::{Deadline, Why};

/// Two streams, what was read from each already, and how long they may be silent.
pub(crate) struct Tunnel<'a, C, L> {
    pub(crate) client: &'a mut C,
    pub(crate) client_in: &'a mut Buffer,
    pub(crate) link: &'a mut L,
    pub(crate) link_in: &'a mut Buffer,
    pub(crate) deadline: &'a Deadline,
    pub(crate) timeout_idle: Duration,
}

/// What went through a tunnel, and why it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Carried {
    pub(crate) bytes_up: u64,
    pub(crate) bytes_down: u64,
    pub(crate) ended: Ended,
}

/// How a tunnel ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Both sides said that nothing more comes.
    Closed,
    /// The client's side broke.
    ClientBroke,
    /// The instance's side broke.
    LinkBroke,
    /// Nothing moved for too long.
    Idle,
}

impl Carried {
    /// What it ended with, if not in order. `why` is that of its deadline.
    pub(crate) fn error(&self, why: Why) -> Option<Error> {
        match self.ended {
            Ended::Closed => None,
            Ended::ClientBroke => Some(Error::ClientGone),
            Ended::LinkBroke => Some(Error::TunnelBroken),
            Ended::Idle => Some(Error::TunnelIdle.or_greater(why)),
        }
    }
}

/// One direction.
#[derive(Clone, Copy, Debug, Default)]
struct Half {
    stage: Stage,
    bytes: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Open,
    /// The sender said that nothing more comes; the receiver is to be told.
    Closing,
    Closed,
}

/// Which side of a direction broke.
enum Broke {
    Sender,
    Receiver,
}

impl<C, L> Tunnel<'_, C, L>
where
    C: Stream,
    L: Stream,
{
    /// Carries bytes until both directions are closed, one side breaks, or nothing moves for
    /// `timeout_idle`. A side that only stops sending still receives: half-close is passed on. Of a
    /// side that takes nothing more it is still carried what it had sent before: the reason why,
    /// often enough.
    pub(crate) async fn run(self) -> Carried {
        let (mut up, mut down) = (Half::default(), Half::default());
        let Tunnel { client, client_in, link, link_in, deadline, timeout_idle } = self;
        deadline.set(timeout_idle);
        let mut deaf = None;
        let ended = poll_fn(|cx| {
            let before = up.bytes + down.bytes;
            let mut sent = deaf == Some(Ended::LinkBroke);
            if !sent {
                match up.poll(cx, client_in, client, link) {
                    Poll::Ready(Err(Broke::Sender)) => {
                        return Poll::Ready(deaf.unwrap_or(Ended::ClientBroke));
                    }
                    Poll::Ready(Err(Broke::Receiver)) => {
                        sent = true;
                        deaf.get_or_insert(Ended::LinkBroke);
                    }
                    moved => sent = moved.is_ready(),
                }
            }
            let mut heard = deaf == Some(Ended::ClientBroke);
            if !heard {
                match down.poll(cx, link_in, link, client) {
                    Poll::Ready(Err(Broke::Sender)) => {
                        return Poll::Ready(deaf.unwrap_or(Ended::LinkBroke));
                    }
                    Poll::Ready(Err(Broke::Receiver)) if deaf.is_none() => {
                        heard = true;
                        deaf = Some(Ended::ClientBroke);
                        // The other direction was looked at before.
                        cx.waker().wake_by_ref();
                    }
                    Poll::Ready(Err(Broke::Receiver)) => heard = true,
                    moved => heard = moved.is_ready(),
                }
            }
            if sent && heard {
                return Poll::Ready(deaf.unwrap_or(Ended::Closed));
            }
            if up.bytes + down.bytes > before {
                deadline.set(timeout_idle);
            }
            if deadline.has_passed(cx) { Poll::Ready(Ended::Idle) } else { Poll::Pending }
        })
        .await;
        Carried { bytes_up: up.bytes, bytes_down: down.bytes, ended }
    }
}

impl Half {
    /// Moves what can be moved. Ready when this direction is closed.
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        input: &mut Buffer,
        from: &mut (impl AsyncRead + Unpin),
        to: &mut (impl AsyncWrite + Unpin),
    ) -> Poll<Result<(), Broke>> {
        loop {
            while !input.is_empty() {
                let written = ready!(Pin::new(&mut *to).poll_write(cx, input.unread()));
                let bytes = written.and_then(at_least_one).map_err(|_| Broke::Receiver)?;
                input.consume(bytes);
                self.bytes += u64::try_from(bytes).unwrap_or(0);
            }
            match self.stage {
                Stage::Closed => return Poll::Ready(Ok(())),
                Stage::Closing => {
                    ready!(Pin::new(&mut *to).poll_shutdown(cx)).map_err(|_| Broke::Receiver)?;
                    self.stage = Stage::Closed;
                }
                Stage::Open => {
                    let bytes = ready!(input.poll_fill(cx, from)).map_err(|_| Broke::Sender)?;
                    if bytes == 0 {
                        self.stage = Stage::Closing;
                    }
                }
            }
        }
    }
}

fn at_least_one(bytes: usize) -> io::Result<usize> {
    if bytes == 0 { Err(io::ErrorKind::WriteZero.into()) } else { Ok(bytes) }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

    use super::*;
    use crate::timers::{TICK, Timers};

    struct Ends {
        client: DuplexStream,
        instance: DuplexStream,
        carried: tokio::task::JoinHandle<Carried>,
    }

    fn tunnel(timeout_idle: Duration) -> Ends {
        let (client, mut inner) = duplex(64);
        let (instance, mut link) = duplex(64);
        let timers = Rc::new(Timers::new());
        let ticking = Rc::clone(&timers);
        let carried = tokio::task::spawn_local(async move {
            let deadline = timers.deadline();
            let (mut client_in, mut link_in) = (Buffer::new(1), Buffer::new(1));
            let tunnel = Tunnel {
                client: &mut inner,
                client_in: &mut client_in,
                link: &mut link,
                link_in: &mut link_in,
                deadline: &deadline,
                timeout_idle,
            };
            tunnel.run().await
        });
        tokio::task::spawn_local(async move {
            let mut interval = tokio::time::interval(TICK);
            loop {
                interval.tick().await;
                ticking.tick();
            }
        });
        Ends { client, instance, carried }
    }

    async fn local(test: impl AsyncFnOnce()) {
        tokio::task::LocalSet::new().run_until(test()).await;
    }

    #[tokio::test(start_paused = true)]
    async fn one_side_may_stop_sending_and_still_receive() {
        local(async || {
            let mut ends = tunnel(Duration::from_secs(5));
            ends.client.write_all(b"question").await.unwrap();
            ends.client.shutdown().await.unwrap();
            let mut asked = Vec::new();
            ends.instance.read_to_end(&mut asked).await.unwrap();
            assert_eq!(asked, b"question");
            let answer = vec![b'a'; 1000];
            let (mut instance, sent) = (ends.instance, answer.clone());
            tokio::task::spawn_local(async move { instance.write_all(&sent).await.unwrap() });
            let mut answered = Vec::new();
            ends.client.read_to_end(&mut answered).await.unwrap();
            assert_eq!(answered, answer);
            let carried = ends.carried.await.unwrap();
            assert_eq!(carried, Carried { bytes_up: 8, bytes_down: 1000, ended: Ended::Closed });
        })
        .await;
    }

    #[tokio::test(start_paused = true)]
    async fn silence_ends_it_and_traffic_does_not() {
        local(async || {
            let mut ends = tunnel(Duration::from_secs(5));
            for _ in 0..4 {
                tokio::time::advance(Duration::from_secs(3)).await;
                ends.client.write_all(b"x").await.unwrap();
                assert_eq!(ends.instance.read_u8().await.unwrap(), b'x');
            }
            assert_eq!(ends.carried.await.unwrap().ended, Ended::Idle);
        })
        .await;
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_side_said_before_it_took_nothing_more_arrives() {
        local(async || {
            let mut ends = tunnel(Duration::from_secs(5));
            ends.instance.write_all(b"the last word").await.unwrap();
            drop(ends.instance);
            ends.client.write_all(b"x").await.unwrap();
            let mut heard = Vec::new();
            ends.client.read_to_end(&mut heard).await.unwrap();
            assert_eq!(heard, b"the last word");
            assert_eq!(ends.carried.await.unwrap().ended, Ended::LinkBroke);
        })
        .await;
        local(async || {
            let mut ends = tunnel(Duration::from_secs(5));
            ends.client.write_all(b"good-bye").await.unwrap();
            drop(ends.client);
            ends.instance.write_all(b"x").await.unwrap();
            let mut heard = Vec::new();
            ends.instance.read_to_end(&mut heard).await.unwrap();
            assert_eq!(heard, b"good-bye");
        })
        .await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_side_that_takes_nothing_more_ends_it() {
        local(async || {
            let mut ends = tunnel(Duration::from_secs(5));
            drop(ends.instance);
            ends.client.write_all(b"x").await.unwrap();
            assert_eq!(ends.carried.await.unwrap().ended, Ended::LinkBroke);
        })
        .await;
    }
}
