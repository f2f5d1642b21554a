//! Which bytes may stand where: the character classes of RFC 9110.
//! Tables and predicates only; what follows from a wrong byte is decided by the caller.

use std::net::Ipv6Addr;

/// Token characters: RFC 9110, 5.6.2.
const TOKEN: [bool; 256] = table(b"!#$%&'*+-.^_`|~");
/// Characters of a name that stands for a host, but for the escapes (RFC 3986, 3.2.2).
const REG_NAME: [bool; 256] = table(b"-._~!$&'()*+,;=");

const fn table(marks: &[u8]) -> [bool; 256] {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        #[expect(clippy::cast_possible_truncation, reason = "byte is below 256")]
        let is_letter_or_digit = (byte as u8).is_ascii_alphanumeric();
        table[byte] = is_letter_or_digit;
        byte += 1;
    }
    let mut at = 0;
    while at < marks.len() {
        table[marks[at] as usize] = true;
        at += 1;
    }
    table
}

pub(crate) fn is_token_byte(byte: u8) -> bool {
    TOKEN[usize::from(byte)]
}

/// Whether this is a token: the name of a field, or a method.
pub fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|&byte| is_token_byte(byte))
}

/// A host and perhaps a port, or nothing at all: `uri-host [ ":" port ]` of RFC 9110, 7.2. A port
/// without a host is none, because `http` has no empty hosts (RFC 9110, 4.2.1).
pub fn is_authority(text: &[u8]) -> bool {
    let host_len =
        if text.first() == Some(&b'[') { ip_literal_len(text) } else { reg_name_len(text) };
    match &text[host_len..] {
        [] => true,
        [b':', port @ ..] => host_len > 0 && port.iter().all(u8::is_ascii_digit),
        _ => false,
    }
}

/// Visible ASCII but `#`: a fragment is never sent, and servers disagree about what it would mean.
pub(crate) fn is_target(text: &[u8]) -> bool {
    let bad = text.iter().fold(false, |bad, &b| bad | !(0x21..=0x7e).contains(&b) | (b == b'#'));
    !text.is_empty() && !bad
}

/// No control byte but the tab. Bytes from 0x80 on are allowed: obs-text.
///
/// Eight bytes at once, the last eight of them twice over if need be: values are short, and a
/// loop over 16 or 32 would leave most of them to its slow end.
pub fn is_field_value(text: &[u8]) -> bool {
    let is_fine = |&b: &u8| (b >= 0x20 || b == b'\t') && b != 0x7f;
    let (words, rest) = text.as_chunks::<8>();
    let (Some(last), false) = (text.last_chunk::<8>(), rest.is_empty()) else {
        return words.iter().all(is_plain_word) && rest.iter().all(is_fine)
            || text.iter().all(is_fine);
    };
    words.iter().all(is_plain_word) && is_plain_word(last) || text.iter().all(is_fine)
}

/// Whether no byte is below 0x20 or 0x7f: the tests for any byte of a word that is less than a
/// number, and for any that is zero, of Anderson's "Bit Twiddling Hacks".
fn is_plain_word(word: &[u8; 8]) -> bool {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let word = u64::from_le_bytes(*word);
    let control = word.wrapping_sub(ONES * 0x20) & !word;
    let del = word ^ (ONES * 0x7f);
    let del = del.wrapping_sub(ONES) & !del;
    (control | del) & HIGH == 0
}

/// The text without spaces and tabs at either end: optional white space of RFC 9110, 5.6.3.
pub(crate) fn trim(text: &[u8]) -> &[u8] {
    let (start, end) = trimmed(text);
    &text[start..end]
}

/// Where the text without spaces and tabs at either end begins and ends.
pub(crate) fn trimmed(text: &[u8]) -> (usize, usize) {
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t');
    let start = text.iter().position(|byte| !is_space(byte)).unwrap_or(text.len());
    let end = text.iter().rposition(|byte| !is_space(byte)).map_or(start, |last| last + 1);
    (start, end)
}

/// The elements of a comma-separated list, trimmed, empty ones left out: RFC 9110, 5.6.1.
pub(crate) fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&byte| byte == b',').map(trim).filter(|element| !element.is_empty())
}

/// A number of decimal digits only: no sign, no space, no underscore, no overflow.
pub(crate) fn decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0_u64, |number, &byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}

fn reg_name_len(text: &[u8]) -> usize {
    let mut len = 0;
    loop {
        len += text[len..].iter().take_while(|&&byte| REG_NAME[usize::from(byte)]).count();
        let is_escape = matches!(&text[len..], [b'%', high, low, ..]
            if high.is_ascii_hexdigit() && low.is_ascii_hexdigit());
        if !is_escape {
            return len;
        }
        len += 3;
    }
}

/// `[IPv6]`; 0 for anything else. IPvFuture has no version yet, so nobody could know its meaning.
fn ip_literal_len(text: &[u8]) -> usize {
    let Some(end) = text.iter().position(|&byte| byte == b']') else {
        return 0;
    };
    let address = std::str::from_utf8(&text[1..end]).unwrap_or_default();
    if address.parse::<Ipv6Addr>().is_ok() { end + 1 } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_at_every_place_is_judged_as_the_grammar_says() {
        for len in 1..=26 {
            for at in 0..len {
                for byte in 0..=255 {
                    let mut text = vec![b'v'; len];
                    text[at] = byte;
                    let is_fine = byte == b'\t' || (byte >= 0x20 && byte != 0x7f);
                    assert_eq!(is_field_value(&text), is_fine, "{byte:#x} at {at} of {len}");
                    text[(at + 9) % len] = b'\t';
                    let stays = text[at] == byte;
                    assert_eq!(is_field_value(&text), is_fine || !stays, "a tab beside it");
                }
            }
        }
        assert!(is_field_value(b"") && is_field_value("ÿ€".as_bytes()));
    }
}
