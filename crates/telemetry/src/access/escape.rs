//! Untrusted bytes and numbers into a log line: printable ASCII comes out, whatever goes in.
//! It only appends; it must not allocate beyond the buffer's growth.

/// Bytes of one untrusted field that are written. A longer one is cut there and ends in `...`.
/// With it a line has at most 80 KB even if every byte is escaped.
pub const FIELD_BYTES_MAX: usize = 2048;

/// What follows a field that was cut.
const CUT: &[u8] = b"...";
const HEX: &[u8; 16] = b"0123456789abcdef";

/// Text as it stands in quotes: printable ASCII but `"` and `\`; the rest as `\xNN`, which Apache
/// and nginx write as well.
pub(super) fn quoted(out: &mut Vec<u8>, bytes: &[u8]) {
    text(out, bytes, is_plain);
}

/// Text as it stands between spaces: [`quoted`], and spaces escaped too. `-` when empty.
pub(super) fn bare(out: &mut Vec<u8>, bytes: &[u8]) {
    if bytes.is_empty() {
        out.push(b'-');
    } else {
        text(out, bytes, |byte| is_plain(byte) && byte != b' ');
    }
}

/// The inside of a JSON string in printable ASCII: what is not ASCII as `\uNNNN`, so that no
/// terminal obeys it, and each broken piece of UTF-8 as `\ufffd`.
pub(super) fn json(out: &mut Vec<u8>, bytes: &[u8]) {
    let (bytes, cut) = shortened(bytes);
    if all(bytes, is_plain) {
        out.extend_from_slice(bytes);
    } else {
        for chunk in bytes.utf8_chunks() {
            chunk.valid().chars().for_each(|c| json_char(out, c));
            if !chunk.invalid().is_empty() {
                json_char(out, char::REPLACEMENT_CHARACTER);
            }
        }
    }
    out.extend_from_slice(cut);
}

/// A number in decimal.
pub(super) fn decimal(out: &mut Vec<u8>, mut number: u64) {
    let mut digits = [b'0'; 20];
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] += (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[start..]);
}

/// Printable ASCII that means nothing within quotes.
fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\'
}

/// Whether all bytes are plain. Looks at every byte instead of stopping at the first that is not,
/// so that the compiler can look at 16 at a time: nearly every field is plain.
fn all(bytes: &[u8], plain: impl Fn(u8) -> bool) -> bool {
    bytes.iter().fold(true, |all, &byte| all & plain(byte))
}

fn text(out: &mut Vec<u8>, bytes: &[u8], plain: impl Fn(u8) -> bool) {
    let (bytes, cut) = shortened(bytes);
    if all(bytes, &plain) {
        out.extend_from_slice(bytes);
    } else {
        for &byte in bytes {
            if plain(byte) {
                out.push(byte);
            } else {
                out.extend_from_slice(&[b'\\', b'x', hex(byte >> 4), hex(byte)]);
            }
        }
    }
    out.extend_from_slice(cut);
}

fn json_char(out: &mut Vec<u8>, c: char) {
    match c {
        '"' | '\\' => out.extend_from_slice(&[b'\\', c as u8]),
        ' '..='~' => out.push(c as u8),
        c => {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let [high, low] = unit.to_be_bytes();
                let digits = [hex(high >> 4), hex(high), hex(low >> 4), hex(low)];
                out.extend_from_slice(b"\\u");
                out.extend_from_slice(&digits);
            }
        }
    }
}

fn hex(nibble: u8) -> u8 {
    HEX[usize::from(nibble & 15)]
}

fn shortened(bytes: &[u8]) -> (&[u8], &'static [u8]) {
    match bytes.get(..FIELD_BYTES_MAX) {
        Some(start) if bytes.len() > FIELD_BYTES_MAX => (start, CUT),
        _ => (bytes, b""),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn with(write: fn(&mut Vec<u8>, &[u8]), bytes: &[u8]) -> String {
        let mut out = Vec::new();
        write(&mut out, bytes);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn each_form_escapes_what_would_break_it() {
        let check = |bytes: &[u8], in_quotes: &str, between_spaces: &str, in_json: &str| {
            assert_eq!(with(quoted, bytes), in_quotes);
            assert_eq!(with(bare, bytes), between_spaces);
            assert_eq!(with(json, bytes), in_json);
        };
        check(b"/cart?x=1", "/cart?x=1", "/cart?x=1", "/cart?x=1");
        check(b"", "", "-", "");
        check(b"a \"b\\", r"a \x22b\x5c", r"a\x20\x22b\x5c", r#"a \"b\\"#);
        check(b"\n\x1b[0m\x7f", r"\x0a\x1b[0m\x7f", r"\x0a\x1b[0m\x7f", r"\u000a\u001b[0m\u007f");
        check("é".as_bytes(), r"\xc3\xa9", r"\xc3\xa9", r"\u00e9");
        check("🐑".as_bytes(), r"\xf0\x9f\x90\x91", r"\xf0\x9f\x90\x91", r"\ud83d\udc11");
        check(b"a\xffb\xf0\x9f", r"a\xffb\xf0\x9f", r"a\xffb\xf0\x9f", r"a\ufffdb\ufffd");
    }

    #[test]
    fn a_long_field_is_cut_and_says_so() {
        let check = |len: usize, expected: usize| {
            for write in [quoted, bare, json] {
                let out = with(write, &vec![b'a'; len]);
                assert_eq!(
                    (out.len(), out.ends_with("a...")),
                    (expected, expected > len.min(2048))
                );
            }
        };
        check(FIELD_BYTES_MAX, FIELD_BYTES_MAX);
        check(FIELD_BYTES_MAX + 1, FIELD_BYTES_MAX + 3);
        check(10 * FIELD_BYTES_MAX, FIELD_BYTES_MAX + 3);
    }

    /// Undoes `\xNN`.
    fn unescape(text: &str) -> Vec<u8> {
        let (mut out, mut rest) = (Vec::new(), text);
        while let Some((before, after)) = rest.split_once("\\x") {
            out.extend_from_slice(before.as_bytes());
            out.push(u8::from_str_radix(&after[..2], 16).unwrap());
            rest = &after[2..];
        }
        out.extend_from_slice(rest.as_bytes());
        out
    }

    proptest! {
        #[test]
        fn text_is_printable_and_can_be_undone(bytes: Vec<u8>) {
            let in_quotes = with(quoted, &bytes);
            prop_assert!(in_quotes.bytes().all(|b| (b' '..=b'~').contains(&b) && b != b'"'));
            prop_assert_eq!(&unescape(&in_quotes), &bytes);
            let between_spaces = with(bare, &bytes);
            prop_assert!(between_spaces.bytes().all(|b| b.is_ascii_graphic() && b != b'"'));
            prop_assert!(bytes.is_empty() || unescape(&between_spaces) == bytes);
        }

        #[test]
        fn json_is_printable_and_parses_to_the_text(bytes: Vec<u8>, text: String) {
            let parse = |bytes: &[u8]| -> String {
                let inside = with(json, bytes);
                assert!(inside.bytes().all(|b| (b' '..=b'~').contains(&b)), "{inside}");
                serde_json::from_str(&format!("\"{inside}\"")).unwrap()
            };
            prop_assert_eq!(parse(&bytes), String::from_utf8_lossy(&bytes));
            prop_assert_eq!(parse(text.as_bytes()), text);
        }

        #[test]
        fn numbers_agree_with_std(number: u64, small in 0_u64..1000) {
            for n in [number, small, 0, u64::MAX] {
                let mut out = Vec::new();
                decimal(&mut out, n);
                prop_assert_eq!(String::from_utf8(out).unwrap(), n.to_string());
            }
        }
    }
}
