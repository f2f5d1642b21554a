//! An origin that follows a script, byte by byte: what real servers rarely do, and may.
//! It does not know HTTP beyond the blank line behind a head.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::sleep;

use crate::wire::Wire;
use crate::{PATIENCE, wait_for};

/// One thing that the origin does on a connection.
#[derive(Clone, Debug)]
pub enum Step {
    /// Reads these bytes; anything else fails the script.
    Expect(Vec<u8>),
    /// Reads a head, whatever it is.
    ReadHead,
    /// Reads so many bytes, whatever they are.
    Read(usize),
    /// Reads until the other side ends its direction.
    ReadToEnd,
    /// Sends these bytes.
    Send(Vec<u8>),
    /// Does nothing for so long.
    Pause(Duration),
    /// Ends its sending direction.
    Finish,
    /// Breaks off with a reset. The end of a script closes in order.
    Reset,
}

/// Accepts as many connections as it has scripts, and follows them in order.
#[derive(Debug)]
pub struct ScriptedOrigin {
    addr: SocketAddr,
    ends: Arc<Mutex<Vec<Option<End>>>>,
    task: AbortHandle,
}

/// What a connection received, or how its script failed.
type End = Result<Vec<u8>, String>;

impl Step {
    /// [`Step::Send`], from text.
    pub fn send(text: impl AsRef<[u8]>) -> Self {
        Self::Send(text.as_ref().to_vec())
    }

    /// [`Step::Expect`], from text.
    pub fn expect(text: impl AsRef<[u8]>) -> Self {
        Self::Expect(text.as_ref().to_vec())
    }
}

impl ScriptedOrigin {
    /// Listens on a port of its own. The first connection follows the first of `scripts`, and so
    /// on; one more than there are scripts is closed at once and fails [`ScriptedOrigin::ended`].
    pub async fn start(scripts: impl IntoIterator<Item = Vec<Step>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has free ports");
        let addr = listener.local_addr().expect("a bound socket has an address");
        let scripts: Vec<Vec<Step>> = scripts.into_iter().collect();
        let ends = Arc::new(Mutex::new(vec![None; scripts.len()]));
        let task = tokio::spawn(accept(listener, scripts, Arc::clone(&ends))).abort_handle();
        Self { addr, ends, task }
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// What each connection received, in order, once all scripts have come to their ends.
    ///
    /// # Panics
    ///
    /// When a script failed or was not begun in time, or when there were more connections than
    /// scripts.
    pub async fn ended(&self) -> Vec<Vec<u8>> {
        wait_for(PATIENCE, "the ends of all scripts", async || {
            let ends = self.ends.lock().expect("no holder panics");
            let all: Option<Vec<End>> = ends.iter().cloned().collect();
            all.map(|all| all.into_iter().collect::<Result<Vec<_>, _>>())
        })
        .await
        .unwrap_or_else(|failure| panic!("{failure}"))
    }
}

impl Drop for ScriptedOrigin {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(
    listener: TcpListener,
    scripts: Vec<Vec<Step>>,
    ends: Arc<Mutex<Vec<Option<End>>>>,
) {
    let mut connections = JoinSet::new();
    let mut scripts = scripts.into_iter().enumerate();
    while let Ok((stream, _)) = listener.accept().await {
        let Some((index, script)) = scripts.next() else {
            let end = Some(Err("more connections than scripts".to_owned()));
            ends.lock().expect("no holder panics").push(end);
            continue;
        };
        let ends = Arc::clone(&ends);
        connections.spawn(async move {
            let mut received = Vec::new();
            let done = follow(stream, script, &mut received).await;
            let end = done.map(|()| received).map_err(|e| format!("script {index}: {e}"));
            ends.lock().expect("no holder panics")[index] = Some(end);
        });
    }
}

async fn follow(stream: TcpStream, script: Vec<Step>, received: &mut Vec<u8>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut wire = Wire::new(stream);
    for step in script {
        match step {
            Step::Expect(bytes) => {
                let got = wire.bytes(bytes.len()).await?;
                if got != bytes {
                    let (got, want) = (lossy(&got), lossy(&bytes));
                    return Err(io::Error::other(format!("expected {want:?}, got {got:?}")));
                }
                received.extend(got);
            }
            Step::ReadHead => received.extend(wire.raw_head().await?),
            Step::Read(count) => received.extend(wire.bytes(count).await?),
            Step::ReadToEnd => received.extend(wire.to_end().await?),
            Step::Send(bytes) => wire.stream().write_all(&bytes).await?,
            Step::Pause(duration) => sleep(duration).await,
            Step::Finish => wire.stream().shutdown().await?,
            Step::Reset => {
                SockRef::from(&*wire.stream()).set_linger(Some(Duration::ZERO))?;
                return Ok(());
            }
        }
    }
    Ok(())
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{RawClient, Vanished};

    #[tokio::test]
    async fn follows_each_script_and_tells_what_it_received() {
        let head = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n";
        let origin = ScriptedOrigin::start([
            vec![Step::ReadHead, Step::send(head), Step::send("a")],
            vec![Step::expect("GET"), Step::Reset],
        ])
        .await;
        let mut client = RawClient::connect(origin.addr()).await;
        assert_eq!(client.get("/a").await.unwrap().body, b"a");
        assert_eq!(client.vanished().await.unwrap(), Vanished::Closed);
        let mut client = RawClient::connect(origin.addr()).await;
        client.send("GET").await.unwrap();
        assert_eq!(client.vanished().await.unwrap(), Vanished::Reset);
        let received = origin.ended().await;
        assert_eq!(received, [&b"GET /a HTTP/1.1\r\nHost: test\r\n\r\n"[..], b"GET"]);
    }

    #[tokio::test]
    #[should_panic(expected = "script 0: expected \"b\", got \"a\"")]
    async fn fails_when_something_else_comes() {
        let origin = ScriptedOrigin::start([vec![Step::expect("b")]]).await;
        RawClient::connect(origin.addr()).await.send("a").await.unwrap();
        origin.ended().await;
    }
}
