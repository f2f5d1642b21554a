//! Rules at work: what a service wants changed, with the facts of the request at hand.
//! What a rule does to a head is `http1`'s; without rules nothing here is called.

use std::fmt::Display;
use std::io::Write;
use std::net::IpAddr;

use http1::{Facts, RequestEdit, RequestHead, Ruling, write_request};
use model::{InstanceId, Rules};

use crate::error::Error;

/// Room for an address or the name of an instance: a service's, of at most 48 bytes, a dot and a
/// number.
const TEXT_BYTES_MAX: usize = 64;

/// The rules of a service, and what they may mention of a request to it.
pub(crate) struct Ruled<'a> {
    pub(crate) rules: &'a Rules,
    pub(crate) head: &'a RequestHead,
    /// What the head was read from.
    pub(crate) buffer: &'a [u8],
    pub(crate) client: IpAddr,
    pub(crate) request_id: &'a [u8],
    pub(crate) instance: &'a InstanceId,
    pub(crate) target_bytes_max: usize,
}

impl Ruled<'_> {
    /// Writes the head of the request as the instance is to get it, and into `lines` what the rules
    /// put onto the response: when that comes, the head of the request is gone.
    ///
    /// # Errors
    /// [`Error::RewriteFailed`]; no head was written then.
    pub(crate) fn write(
        &self,
        edit: &RequestEdit<'_>,
        out: &mut Vec<u8>,
        lines: &mut Vec<u8>,
    ) -> Result<(), Error> {
        let path = self.head.path(self.buffer);
        let rewrite = &self.rules.rewrite;
        let rewritten =
            (!rewrite.is_empty()).then(|| rewrite.apply(path, self.target_bytes_max)).transpose();
        let rewritten = rewritten.map_err(|_| Error::RewriteFailed)?;
        let (mut client, mut instance) = ([0; TEXT_BYTES_MAX], [0; TEXT_BYTES_MAX]);
        let facts = Facts {
            client: text(&mut client, self.client),
            host: self.head.host(self.buffer),
            path,
            request_id: self.request_id,
            instance: text(&mut instance, self.instance),
            service: self.instance.service.as_str().as_bytes(),
            scheme: edit.claims.and_then(|claims| claims.scheme()).unwrap_or(edit.scheme),
        };
        lines.clear();
        Ruling { rules: &self.rules.response, facts }.write(lines);
        let ruling = Some(Ruling { rules: &self.rules.request, facts });
        let edit = RequestEdit { ruling, rewritten: rewritten.as_ref(), ..*edit };
        write_request(out, self.buffer, self.head, &edit);
        Ok(())
    }
}

/// A short text without allocating.
fn text(room: &mut [u8; TEXT_BYTES_MAX], what: impl Display) -> &[u8] {
    let mut free = &mut room[..];
    let written = write!(free, "{what}");
    debug_assert!(written.is_ok(), "addresses and names are bounded");
    let bytes = TEXT_BYTES_MAX - free.len();
    &room[..bytes]
}
