//! Fires payloads through Herder, many connections at once and each in its own pieces.
//! It tells what each client was answered; what an origin saw is told elsewhere.

use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use testkit::{RawClient, Response, Wire};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};

use crate::payloads::{End, Event, Outcome, Payload, Request};
use crate::recorder::{Seen, UNSEEN};

/// How long an answer may take that should take milliseconds.
const PATIENCE: Duration = Duration::from_secs(10);
/// Places in a payload look alike when so many bytes before and after them are the same.
const AROUND: usize = 6;
/// How many places that look alike are cut.
const ALIKE_MAX: usize = 2;

/// One payload on one connection.
pub(crate) struct Shot<'a> {
    pub(crate) payload: &'a Payload,
    /// Where one piece ends and the next begins.
    pub(crate) cuts: Vec<usize>,
    /// Where the client comes from, which tells connections apart at the origin.
    source: Ipv4Addr,
}

/// What a client was answered.
pub(crate) struct Shown {
    answers: Vec<Answer>,
    is_closed: bool,
}

enum Answer {
    /// An instance's application answered.
    Seen,
    /// The same, before it had seen the body.
    Early,
    /// An instance's server answered by itself.
    Origin(u16),
    /// Herder answered.
    Herder(u16, String),
    /// Half an answer.
    Torn,
    /// No answer, and why.
    Odd(String),
}

/// Fires at one Herder.
pub(crate) struct Volley {
    addr: SocketAddr,
    sync: RawClient,
    fired: u32,
}

impl Shot<'_> {
    /// How Herder names this client to an instance.
    pub(crate) fn tag(&self) -> String {
        self.source.to_string()
    }

    /// What came of it, with what the origin saw of this client.
    pub(crate) fn outcome(&self, shown: &Shown, seen: &[Seen]) -> Outcome {
        let tag = self.tag();
        let mut seen = seen.iter().filter(|seen| seen.tag == tag).peekable();
        let mut events: Vec<Event> = shown
            .answers
            .iter()
            .map(|answer| match answer {
                Answer::Seen => match seen.next().map(|seen| &seen.request) {
                    Some(Ok(request)) => Event::Forwarded(request.clone()),
                    Some(Err(fault)) => Event::Odd(format!("broken at the origin: {fault}")),
                    None => Event::Unfinished,
                },
                Answer::Early => match seen.next_if(|seen| seen.is_early()).map(|s| &s.request) {
                    Some(Ok(request)) => Event::Forwarded(request.clone()),
                    Some(Err(_)) | None => Event::Unfinished,
                },
                Answer::Origin(status) => Event::RefusedByOrigin(*status),
                Answer::Herder(status, label) => Event::Refused(*status, label.clone()),
                Answer::Torn => Event::Torn,
                Answer::Odd(text) => Event::Odd(text.clone()),
            })
            .collect();
        events.extend(seen.map(|seen| match &seen.request {
            Ok(request) => Event::Odd(format!("unanswered: {}", Event::Forwarded(request.clone()))),
            Err(fault) => Event::Odd(format!("broken at the origin: {fault}")),
        }));
        let is_probed = events.last() == Some(&Event::Forwarded(Request::probe()));
        let end = match (self.payload.wants[0].end, shown.is_closed) {
            (End::Cut, false) => End::Cut,
            (_, true) => End::Closed,
            (_, false) if is_probed => {
                events.pop();
                End::Open
            }
            (_, false) => {
                events.push(Event::Odd("left open, and the probe not answered".to_owned()));
                End::Open
            }
        };
        Outcome { events, end }
    }

    fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        let bytes = &self.payload.bytes;
        let starts = std::iter::once(0).chain(self.cuts.iter().copied());
        let ends = self.cuts.iter().copied().chain(std::iter::once(bytes.len()));
        starts.zip(ends).map(|(start, end)| &bytes[start..end])
    }

    /// How many answers to wait for.
    fn answers(&self) -> usize {
        let count = |want: &Outcome| want.events.len() + usize::from(want.end == End::Open);
        self.payload.wants.iter().map(count).max().expect("a payload has a want")
    }

    fn is_head(&self, nth: usize) -> bool {
        let want = self.payload.wants.iter().find_map(|want| want.events.get(nth));
        matches!(want, Some(Event::Forwarded(request)) if request.method == b"HEAD")
    }
}

impl Volley {
    /// Fires at the listener `addr`, which leads [`UNSEEN`] to an origin that always answers.
    pub(crate) async fn new(addr: SocketAddr) -> Self {
        Self { addr, sync: RawClient::connect(addr).await, fired: 0 }
    }

    /// A shot from a place of its own.
    pub(crate) fn aim<'a>(&mut self, payload: &'a Payload, cuts: Vec<usize>) -> Shot<'a> {
        self.fired += 1;
        let source = Ipv4Addr::from(u32::from(Ipv4Addr::new(127, 1, 0, 0)) + self.fired);
        Shot { payload, cuts, source }
    }

    /// Fires `shots` together: a piece of each, and when all are read, the next.
    pub(crate) async fn fire(&mut self, shots: &[Shot<'_>]) -> Vec<Shown> {
        let mut wires = Vec::new();
        for shot in shots {
            wires.push(Wire::new(connect(self.addr, shot.source).await).patience(PATIENCE));
        }
        let mut pieces: Vec<_> = shots.iter().map(Shot::pieces).collect();
        let mut is_left = true;
        while is_left {
            is_left = false;
            for (wire, pieces) in wires.iter_mut().zip(&mut pieces) {
                let Some(piece) = pieces.next() else { continue };
                is_left = true;
                // Herder may have refused and closed by now; the answers tell.
                wire.stream().write_all(piece).await.ok();
            }
            self.wait_until_read().await;
        }
        for (shot, wire) in shots.iter().zip(&mut wires) {
            if shot.answers() == 0 {
                // An origin that serves one connection at a time waits for the rest of this one.
                wire.stream().shutdown().await.ok();
            }
        }
        let mut shown = Vec::new();
        for (shot, wire) in shots.iter().zip(wires) {
            shown.push(listen(shot, wire).await);
        }
        shown
    }

    /// Returns when Herder's one worker has read all that was sent before: it takes its
    /// connections in the order in which they became readable.
    async fn wait_until_read(&mut self) {
        let answer = self.sync.get(UNSEEN).await;
        let answer = answer.unwrap_or_else(|e| panic!("Herder does not answer any more: {e}"));
        assert_eq!(answer.status, 200, "{answer}");
    }
}

/// The places where a payload is cut: all, but of places that look alike only the first few.
pub(crate) fn boundaries(payload: &Payload) -> Vec<usize> {
    let bytes = &payload.bytes;
    let is_followed = bytes.len() > payload.probe_at;
    let end = if is_followed { payload.probe_at + 1 } else { payload.probe_at };
    let mut alike: HashMap<&[u8], usize> = HashMap::new();
    let is_new = |at: &usize| {
        let around = &bytes[at.saturating_sub(AROUND)..(at + AROUND).min(bytes.len())];
        let count = alike.entry(around).or_default();
        *count += 1;
        *count <= ALIKE_MAX
    };
    (1..end).filter(is_new).collect()
}

async fn connect(addr: SocketAddr, source: Ipv4Addr) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("there are sockets");
    socket.bind(SocketAddr::from((source, 0))).expect("all of 127.0.0.0/8 is ours");
    let stream = socket.connect(addr).await.expect("Herder listens");
    stream.set_nodelay(true).expect("a connected socket takes TCP_NODELAY");
    stream
}

/// Reads answers until there are as many as wanted, then what else comes until the end.
async fn listen(shot: &Shot<'_>, mut wire: Wire<TcpStream>) -> Shown {
    let may_go_on = shot.payload.wants.iter().any(|want| want.end != End::Closed);
    let mut answers = Vec::new();
    let mut is_finished = false;
    loop {
        if answers.len() == shot.answers() && may_go_on {
            // It fails when Herder has reset the connection, which reading tells as well.
            wire.stream().shutdown().await.ok();
            is_finished = true;
        }
        let method = if shot.is_head(answers.len()) { "HEAD" } else { "GET" };
        match wire.response(method).await {
            Ok(response) => answers.push(answer(&response)),
            Err(error) => {
                answers.extend(end(&error));
                return Shown { answers, is_closed: !is_finished };
            }
        }
    }
}

/// What an error means, but for the end of a connection between two answers.
fn end(error: &io::Error) -> Option<Answer> {
    match error.kind() {
        ErrorKind::ConnectionReset => None,
        ErrorKind::UnexpectedEof if error.to_string().contains("before") => None,
        ErrorKind::UnexpectedEof => Some(Answer::Torn),
        _ => Some(Answer::Odd(error.to_string())),
    }
}

fn answer(response: &Response) -> Answer {
    match (response.fields.all("herder-error").first(), response.fields.get("x-seen")) {
        (Some(label), _) => Answer::Herder(response.status, (*label).to_owned()),
        (None, Some("early")) if response.status == 200 => Answer::Early,
        (None, Some(_)) if response.status == 200 => Answer::Seen,
        (None, _) => Answer::Origin(response.status),
    }
}
