//! A line as text: the NCSA combined format, then `key=value` for what only a balancer knows.
//! Whatever a client sends, a line is one line of printable ASCII.

use std::fmt;
use std::io::Write;
use std::net::{IpAddr, SocketAddr};

use model::{InstanceId, Time};

use super::escape::{bare, decimal, quoted};
use super::line::Line;

const INFALLIBLE: &str = "writing to memory does not fail";
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Appends a line. `clock` is the line's second, see [`Clock`].
pub(super) fn write(out: &mut Vec<u8>, clock: &mut Clock, line: &Line<'_>) {
    address(out, line.client.ip());
    out.extend_from_slice(b" - - [");
    out.extend_from_slice(clock.at(line.at).ncsa.as_bytes());
    out.extend_from_slice(b"] ");
    request(out, line);
    number(out, b" ", line.status.into());
    number(out, b" ", line.bytes_out);
    header(out, line.referer);
    header(out, line.user_agent);
    number(out, b" ms=", line.at.as_ms() % 1000);
    number(out, b" port=", line.client.port().into());
    word(out, b" listener=", line.listener.as_bytes());
    word(out, b" service=", line.service.as_bytes());
    out.extend_from_slice(b" instance=");
    match line.instance {
        Some(id) => instance(out, id),
        None => out.push(b'-'),
    }
    number(out, b" wait_us=", line.wait_us);
    number(out, b" connect_us=", line.connect_us);
    number(out, b" first_byte_us=", line.first_byte_us);
    number(out, b" total_us=", line.total_us);
    number(out, b" bytes_in=", line.bytes_in);
    number(out, b" attempts=", line.attempts.into());
    word(out, b" error=", line.error.unwrap_or_default().as_bytes());
    word(out, b" ended_by=", line.ended_by.unwrap_or_default().as_bytes());
    word(out, b" phase=", line.phase.unwrap_or_default().as_bytes());
    word(out, b" host=", line.host);
    word(out, b" request_id=", line.request_id);
    out.push(b'\n');
}

/// The two ways in which a second is printed, made once a second and not once a line.
#[derive(Debug, Default)]
pub(super) struct Clock {
    second: Option<u64>,
    /// As `23/Nov/2026:04:05:06 +0000`.
    pub(super) ncsa: String,
    /// As `2026-11-23T04:05:06`, without fraction and zone.
    pub(super) iso: String,
}

impl Clock {
    /// Set to the second of `time`.
    pub(super) fn at(&mut self, time: Time) -> &Self {
        let second = time.as_ms() / 1000;
        if self.second != Some(second) {
            self.second = Some(second);
            self.set(time);
        }
        self
    }

    fn set(&mut self, time: Time) {
        self.iso.clear();
        fmt::Write::write_fmt(&mut self.iso, format_args!("{time}")).expect(INFALLIBLE);
        if let Some(fraction) = self.iso.find('.') {
            self.iso.truncate(fraction);
        }
        self.ncsa.clear();
        let (date, time_of_day) = self.iso.split_once('T').unwrap_or((&self.iso, ""));
        let mut parts = date.split('-');
        let (year, month, day) = (parts.next(), parts.next(), parts.next());
        let month = month.and_then(|m| MONTHS.get(m.parse::<usize>().ok()?.checked_sub(1)?));
        for part in [day, Some("/"), month.copied(), Some("/"), year, Some(":")] {
            self.ncsa.push_str(part.unwrap_or("-"));
        }
        self.ncsa.push_str(time_of_day);
        self.ncsa.push_str(" +0000");
    }
}

/// Appends an instance's id, such as `shop.3`.
pub(super) fn instance(out: &mut Vec<u8>, id: &InstanceId) {
    out.extend_from_slice(id.service.as_str().as_bytes());
    number(out, b".", id.number.into());
}

/// Appends an address and its port.
pub(super) fn address_port(out: &mut Vec<u8>, addr: SocketAddr) {
    let brackets: (&[u8], &[u8]) = if addr.is_ipv6() { (b"[", b"]") } else { (b"", b"") };
    out.extend_from_slice(brackets.0);
    address(out, addr.ip());
    out.extend_from_slice(brackets.1);
    number(out, b":", addr.port().into());
}

/// Appends `key` and a number.
pub(super) fn number(out: &mut Vec<u8>, key: &[u8], number: u64) {
    out.extend_from_slice(key);
    decimal(out, number);
}

fn address(out: &mut Vec<u8>, ip: IpAddr) {
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            let [a, b, c, d] = ip.octets();
            decimal(out, a.into());
            [b, c, d].into_iter().for_each(|octet| number(out, b".", octet.into()));
        }
        IpAddr::V6(ip) => write!(out, "{ip}").expect(INFALLIBLE),
    }
}

fn request(out: &mut Vec<u8>, line: &Line<'_>) {
    if line.method.is_empty() && line.target.is_empty() {
        out.extend_from_slice(b"\"-\"");
        return;
    }
    out.push(b'"');
    quoted(out, line.method);
    out.push(b' ');
    quoted(out, line.target);
    number(out, b" HTTP/1.", line.version.into());
    out.push(b'"');
}

fn header(out: &mut Vec<u8>, value: Option<&[u8]>) {
    out.extend_from_slice(b" \"");
    quoted(out, value.unwrap_or(b"-"));
    out.push(b'"');
}

fn word(out: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    out.extend_from_slice(key);
    bare(out, value);
}
