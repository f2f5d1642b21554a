//! A connection: what was read of it and not understood yet, and what it is still to be sent.
//! It does not know what a command means.

use std::os::fd::OwnedFd;

use rustix::event::epoll::EventFlags;
use rustix::io::Errno;

use crate::resp::{Parser, Reply};

/// A client that has this much to read is not read from: it has to take its answers first.
pub(super) const OUTPUT_BYTES_PAUSE: usize = 1024 * 1024;
/// A client whose command is this long and not whole is let go; as Redis.
pub(super) const INPUT_BYTES_MAX: usize = 1024 * 1024 * 1024;
/// Memory of its own that a client keeps between commands.
const KEPT_BYTES: usize = 16 * 1024;

#[derive(Debug)]
pub(super) struct Client {
    pub(super) socket: OwnedFd,
    pub(super) parser: Parser,
    /// What was read and is no whole command yet.
    pub(super) input: Vec<u8>,
    pub(super) out: Reply,
    /// Bytes of `out` that were sent.
    sent: usize,
    /// Where the answers begin, in this round, that are not true before the disk has it.
    pub(super) unsure_from: Option<usize>,
    /// It is sent what there is, and no more is read.
    pub(super) is_leaving: bool,
    /// It has commands that wait until it takes its answers.
    pub(super) is_paused: bool,
    /// What it is watched for.
    pub(super) interest: EventFlags,
}

/// What became of sending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    All,
    Part,
    /// It has gone.
    Lost,
}

impl Client {
    pub(super) fn new(socket: OwnedFd) -> Self {
        Self {
            socket,
            parser: Parser::default(),
            input: Vec::new(),
            out: Reply::default(),
            sent: 0,
            unsure_from: None,
            is_leaving: false,
            is_paused: false,
            interest: EventFlags::IN,
        }
    }

    /// Sends what there is, as far as the socket takes it.
    pub(super) fn send(&mut self) -> Sent {
        while self.sent < self.out.len() {
            match rustix::io::write(&self.socket, &self.out.bytes()[self.sent..]) {
                Ok(0) => return Sent::Lost,
                Ok(bytes) => self.sent += bytes,
                Err(Errno::AGAIN) => return Sent::Part,
                Err(Errno::INTR) => {}
                Err(_) => return Sent::Lost,
            }
        }
        self.sent = 0;
        self.out.clear(KEPT_BYTES);
        Sent::All
    }

    /// Takes back what is not true, and says so instead; then it has to go, for it would count
    /// its answers wrong.
    pub(super) fn take_back(&mut self, from: usize, error: &str) {
        self.out.truncate(from);
        let text = format!("MISCONF Errors writing to the AOF file: {error}");
        self.out.error(text.as_bytes());
        self.is_leaving = true;
    }

    /// Puts back what was not understood yet.
    pub(super) fn keep_input(&mut self, mut input: Vec<u8>, understood: usize) {
        input.drain(..understood);
        input.shrink_to(KEPT_BYTES.max(input.len()));
        self.input = input;
    }
}
