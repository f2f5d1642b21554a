//! Replies on the wire, in RESP2 or RESP3: each kind of answer is a function.
//! It does not send: what it writes is the caller's to send.

use crate::resp::push_i64;

/// The protocol that a client speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// What every client can, and how each begins.
    #[default]
    Resp2,
    /// With maps, sets and a null of its own, after `HELLO 3`.
    Resp3,
}

/// The most that a client can be sent at once; more ends its connection.
pub(crate) const BYTES_MAX: usize = 1024 * 1024 * 1024;
/// What a number takes, with its mark and the end of its line, or a word that is always the same.
const SHORT_BYTES: usize = 32;

/// What a client is to be sent.
#[derive(Debug)]
pub struct Reply {
    bytes: Vec<u8>,
    bytes_max: usize,
    /// There was more to write than it takes, so it is no answer any more.
    is_overfull: bool,
    /// The protocol that the next answer is written in.
    pub protocol: Protocol,
}

impl Default for Reply {
    fn default() -> Self {
        Self::bounded(BYTES_MAX)
    }
}

impl Reply {
    /// Nothing yet, and never more than `bytes_max` bytes.
    pub fn bounded(bytes_max: usize) -> Self {
        Self { bytes: Vec::new(), bytes_max, is_overfull: false, protocol: Protocol::default() }
    }

    /// Nothing yet, in the protocol of this one and as bounded.
    pub(crate) fn another(&self) -> Self {
        Self { protocol: self.protocol, ..Self::bounded(self.bytes_max) }
    }

    /// Whether there was more to write than it takes: then nothing of it can be sent.
    pub fn is_overfull(&self) -> bool {
        self.is_overfull
    }

    /// Whether `more` bytes fit. If not, all are forgotten, and none will ever fit again.
    fn has_room(&mut self, more: usize) -> bool {
        if self.bytes.len() + more <= self.bytes_max && !self.is_overfull {
            return true;
        }
        self.is_overfull = true;
        self.bytes = Vec::new();
        false
    }

    /// What has been written.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How much has been written.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether there is nothing to send.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Forgets what was written, from `len` on.
    pub fn truncate(&mut self, len: usize) {
        self.bytes.truncate(len);
    }

    /// Forgets everything, and keeps no more than `kept` bytes of memory.
    pub fn clear(&mut self, kept: usize) {
        self.bytes.clear();
        self.bytes.shrink_to(kept);
    }

    /// Forgets the first `sent` bytes.
    pub fn drain(&mut self, sent: usize) {
        self.bytes.drain(..sent);
    }

    /// `+OK`.
    pub(crate) fn ok(&mut self) {
        self.word(b"+OK\r\n");
    }

    /// A word that is no value.
    pub(crate) fn status(&mut self, text: &str) {
        self.line(b'+', text.as_bytes());
    }

    /// An error with its code in front; line ends in it become spaces.
    pub(crate) fn error(&mut self, text: &[u8]) {
        if !self.has_room(text.len() + SHORT_BYTES) {
            return;
        }
        self.bytes.push(b'-');
        let clean = |&byte: &u8| if matches!(byte, b'\r' | b'\n') { b' ' } else { byte };
        self.bytes.extend(text.iter().map(clean));
        self.bytes.extend_from_slice(b"\r\n");
    }

    pub(crate) fn integer(&mut self, number: i64) {
        match number {
            0 => self.word(b":0\r\n"),
            1 => self.word(b":1\r\n"),
            _ => self.number(b':', number),
        }
    }

    /// A number of things.
    pub(crate) fn count(&mut self, things: usize) {
        self.integer(i64::try_from(things).unwrap_or(i64::MAX));
    }

    pub(crate) fn bulk(&mut self, text: &[u8]) {
        if !self.has_room(text.len() + 2 * SHORT_BYTES) {
            return;
        }
        self.length(b'$', text.len());
        self.bytes.extend_from_slice(text);
        self.bytes.extend_from_slice(b"\r\n");
    }

    /// A value, or that there is none.
    pub(crate) fn bulk_or_null(&mut self, text: Option<&[u8]>) {
        match text {
            Some(text) => self.bulk(text),
            None => self.null(),
        }
    }

    /// Text for people, marked as such in RESP3.
    pub(crate) fn verbatim(&mut self, text: &[u8]) {
        match self.protocol {
            Protocol::Resp2 => self.bulk(text),
            Protocol::Resp3 => {
                if !self.has_room(text.len() + 2 * SHORT_BYTES) {
                    return;
                }
                self.length(b'=', text.len() + 4);
                self.bytes.extend_from_slice(b"txt:");
                self.bytes.extend_from_slice(text);
                self.bytes.extend_from_slice(b"\r\n");
            }
        }
    }

    /// No value.
    pub(crate) fn null(&mut self) {
        self.word(match self.protocol {
            Protocol::Resp2 => b"$-1\r\n",
            Protocol::Resp3 => b"_\r\n",
        });
    }

    /// No array, where there would have been one.
    pub(crate) fn null_array(&mut self) {
        self.word(match self.protocol {
            Protocol::Resp2 => b"*-1\r\n",
            Protocol::Resp3 => b"_\r\n",
        });
    }

    /// So many replies follow.
    pub(crate) fn array(&mut self, items: usize) {
        self.length(b'*', items);
    }

    /// So many pairs follow, each a reply and another.
    pub(crate) fn map(&mut self, pairs: usize) {
        match self.protocol {
            Protocol::Resp2 => self.length(b'*', pairs * 2),
            Protocol::Resp3 => self.length(b'%', pairs),
        }
    }

    /// So many replies follow, in no order.
    pub(crate) fn set(&mut self, items: usize) {
        self.length(if self.protocol == Protocol::Resp2 { b'*' } else { b'~' }, items);
    }

    /// What was written elsewhere.
    pub(crate) fn append(&mut self, other: &Reply) {
        if other.is_overfull || !self.has_room(other.len()) {
            self.is_overfull = true;
            self.bytes = Vec::new();
            return;
        }
        self.bytes.extend_from_slice(&other.bytes);
    }

    /// An array whose length is known when it is written.
    pub(crate) fn array_of(&mut self, write: impl FnOnce(&mut Reply) -> usize) {
        let mut inner = self.another();
        let items = write(&mut inner);
        self.array(items);
        self.append(&inner);
    }

    /// What is always the same, and short.
    fn word(&mut self, word: &[u8]) {
        if self.has_room(word.len()) {
            self.bytes.extend_from_slice(word);
        }
    }

    fn line(&mut self, mark: u8, text: &[u8]) {
        if !self.has_room(text.len() + SHORT_BYTES) {
            return;
        }
        self.bytes.push(mark);
        self.bytes.extend_from_slice(text);
        self.bytes.extend_from_slice(b"\r\n");
    }

    fn length(&mut self, mark: u8, length: usize) {
        self.number(mark, i64::try_from(length).unwrap_or(i64::MAX));
    }

    fn number(&mut self, mark: u8, number: i64) {
        if !self.has_room(SHORT_BYTES) {
            return;
        }
        self.bytes.push(mark);
        push_i64(&mut self.bytes, number);
        self.bytes.extend_from_slice(b"\r\n");
    }
}
