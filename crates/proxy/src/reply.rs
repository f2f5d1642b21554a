//! The answers that Herder gives itself: a status, a label and one sentence.
//! Which status belongs to which error is the table's in `error`.

use std::io::Write;

use crate::error::{Error, reason};

/// How the answer is to be sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reply<'a> {
    pub(crate) error: Error,
    pub(crate) request_id: &'a [u8],
    pub(crate) keep_alive: bool,
    /// The request was HEAD: the head of the answer alone.
    pub(crate) head_only: bool,
}

impl Reply<'_> {
    /// Writes the answer to the end of `out`.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let status = self.error.status();
        let text = self.error.text();
        let connection = if self.keep_alive { "keep-alive" } else { "close" };
        // Writing to a Vec cannot fail; a short answer would still be closed by length.
        let written = write!(
            out,
            "HTTP/1.1 {status} {}\r\nContent-Type: text/plain; charset=utf-8\r\n\
             Content-Length: {}\r\nHerder-Error: {}\r\nConnection: {connection}\r\n",
            reason(status),
            text.len() + 1,
            self.error.label(),
        );
        debug_assert!(written.is_ok());
        if let Some(after_s) = self.error.retry_after_s() {
            let written = write!(out, "Retry-After: {after_s}\r\n");
            debug_assert!(written.is_ok());
        }
        if !self.request_id.is_empty() {
            out.extend_from_slice(b"X-Request-Id: ");
            out.extend_from_slice(self.request_id);
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(b"\r\n");
        if !self.head_only {
            out.extend_from_slice(text.as_bytes());
            out.push(b'\n');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_and_for_how_long() {
        let mut out = Vec::new();
        let reply = Reply {
            error: Error::NoInstance,
            request_id: b"abc",
            keep_alive: true,
            head_only: false,
        };
        reply.write(&mut out);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\n\
             Content-Length: 36\r\nHerder-Error: no_instance\r\nConnection: keep-alive\r\n\
             Retry-After: 1\r\nX-Request-Id: abc\r\n\r\nno instance of the service is ready\n"
        );
    }
}
