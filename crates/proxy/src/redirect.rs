//! The answer that sends a client elsewhere, as a redirect of the configuration says.
//! Which requests get it is the table's to say; where it leads to is made in `http1`.

use std::io::Write;

use http1::{Facts, Method, Refusal};
use model::Redirect;

use crate::client::Client;
use crate::error::Error;

const INFALLIBLE: &str = "writing to memory does not fail";

/// Writes the first lines of the answer to the request that the client is at, whose head is still
/// there: what it says, and where it leads.
///
/// # Errors
/// The request names no host, and the other place needs one; `down_out` is of no use then.
pub(crate) fn begin<C>(client: &mut Client<C>, redirect: &Redirect) -> Result<(), Error> {
    let buffer = client.input.unread();
    let facts = Facts {
        host: client.head.host(buffer),
        path: client.head.path(buffer),
        client: b"",
        request_id: b"",
        instance: b"",
        service: b"",
        scheme: b"",
    };
    let (code, reason) = (redirect.status.code(), redirect.status.reason());
    let out = &mut client.down_out;
    out.clear();
    write!(out, "HTTP/1.1 {code} {reason}\r\nLocation: ").expect(INFALLIBLE);
    redirect.to.write(out, &facts).map_err(|_| Error::Malformed(Refusal::HostMissing))
}

/// Writes the rest, once it is known what becomes of the connection.
pub(crate) fn finish<C>(client: &mut Client<C>, redirect: &Redirect, connection: &str) {
    let (code, reason) = (redirect.status.code(), redirect.status.reason());
    let body_bytes = "308 \n".len() + reason.len();
    let out = &mut client.down_out;
    write!(
        out,
        "\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {body_bytes}\r\n\
         Connection: {connection}\r\nX-Request-Id: ",
    )
    .expect(INFALLIBLE);
    out.extend_from_slice(&client.request_id);
    out.extend_from_slice(b"\r\n\r\n");
    if client.head.method() != Method::Head {
        writeln!(out, "{code} {reason}").expect(INFALLIBLE);
    }
}
