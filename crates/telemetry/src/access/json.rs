//! A line as one JSON object. The keys are those of [`Line`] and part of what Herder promises.
//! Whatever a client sends, a line is valid JSON in printable ASCII.

use super::escape::json;
use super::line::Line;
use super::text::{Clock, address_port, instance, number};

/// Appends a line. `clock` is the line's second, see [`Clock`].
pub(super) fn write(out: &mut Vec<u8>, clock: &mut Clock, line: &Line<'_>) {
    out.extend_from_slice(b"{\"at\":\"");
    out.extend_from_slice(clock.at(line.at).iso.as_bytes());
    // 1789 keeps the zeros of 789 in place.
    let dot = out.len();
    number(out, b"", 1000 + line.at.as_ms() % 1000);
    out[dot] = b'.';
    out.extend_from_slice(b"Z\",\"client\":\"");
    address_port(out, line.client);
    out.push(b'"');
    string(out, b",\"listener\":", Some(line.listener.as_bytes()));
    string(out, b",\"service\":", filled(line.service.as_bytes()));
    out.extend_from_slice(b",\"instance\":");
    match line.instance {
        Some(id) => {
            out.push(b'"');
            instance(out, id);
            out.push(b'"');
        }
        None => out.extend_from_slice(b"null"),
    }
    string(out, b",\"method\":", filled(line.method));
    string(out, b",\"target\":", filled(line.target));
    string(out, b",\"host\":", filled(line.host));
    if line.method.is_empty() {
        out.extend_from_slice(b",\"version\":null");
    } else {
        number(out, b",\"version\":\"HTTP/1.", line.version.into());
        out.push(b'"');
    }
    number(out, b",\"status\":", line.status.into());
    number(out, b",\"bytes_in\":", line.bytes_in);
    number(out, b",\"bytes_out\":", line.bytes_out);
    number(out, b",\"attempts\":", line.attempts.into());
    number(out, b",\"wait_us\":", line.wait_us);
    number(out, b",\"connect_us\":", line.connect_us);
    number(out, b",\"first_byte_us\":", line.first_byte_us);
    number(out, b",\"total_us\":", line.total_us);
    string(out, b",\"error\":", line.error.map(str::as_bytes));
    string(out, b",\"ended_by\":", line.ended_by.map(str::as_bytes));
    string(out, b",\"phase\":", line.phase.map(str::as_bytes));
    string(out, b",\"request_id\":", filled(line.request_id));
    string(out, b",\"user_agent\":", line.user_agent);
    string(out, b",\"referer\":", line.referer);
    out.extend_from_slice(b"}\n");
}

/// What is empty because there is none.
fn filled(bytes: &[u8]) -> Option<&[u8]> {
    Some(bytes).filter(|bytes| !bytes.is_empty())
}

fn string(out: &mut Vec<u8>, key: &[u8], value: Option<&[u8]>) {
    out.extend_from_slice(key);
    match value {
        Some(bytes) => {
            out.push(b'"');
            json(out, bytes);
            out.push(b'"');
        }
        None => out.extend_from_slice(b"null"),
    }
}
