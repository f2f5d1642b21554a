//! How durations and sizes are written, read and printed.
//! It knows no key and no range: those belong to the schema.

/// The units of a duration, longest first, in milliseconds.
const DURATION_UNITS: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

/// The units of a size, largest first, in bytes.
const SIZE_UNITS: [(&str, u64); 5] =
    [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

/// The pattern of every duration that [`duration_ms`] reads, for editors; it also lets empty text
/// through.
pub(crate) const DURATION_PATTERN: &str = "^([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$";

/// The pattern of every size that [`size_bytes`] reads.
pub(crate) const SIZE_PATTERN: &str = "^[0-9]+(B|KiB|MiB|GiB|TiB)$";

/// Milliseconds of a text such as `500ms`, `2s` or `1m30s`: whole numbers with their units, each
/// unit at most once and the longer ones first. `None` for everything else. A duration too long to
/// count saturates, so that a range can refuse it as too long.
pub(crate) fn duration_ms(text: &str) -> Option<u64> {
    let mut rest = text;
    let mut sum: u64 = 0;
    let mut units = DURATION_UNITS.as_slice();
    while !rest.is_empty() {
        let (number, after) = split_number(rest)?;
        let unit_bytes = after.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, tail) = after.split_at(unit_bytes);
        let at = units.iter().position(|&(name, _)| name == unit)?;
        sum = sum.saturating_add(number.saturating_mul(units[at].1));
        units = &units[at + 1..];
        rest = tail;
    }
    if text.is_empty() { None } else { Some(sum) }
}

/// The shortest text that [`duration_ms`] reads as these milliseconds.
pub(crate) fn duration_text(ms: u64) -> String {
    let mut rest = ms;
    let mut text = String::new();
    for (unit, unit_ms) in DURATION_UNITS {
        if rest >= unit_ms {
            text.push_str(&format!("{}{unit}", rest / unit_ms));
            rest %= unit_ms;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

/// Bytes of a text such as `16KiB`: a whole number and one unit. `None` for everything else; a
/// size too large to count saturates.
pub(crate) fn size_bytes(text: &str) -> Option<u64> {
    let (number, unit) = split_number(text)?;
    let &(_, unit_bytes) = SIZE_UNITS.iter().find(|&&(name, _)| name == unit)?;
    Some(number.saturating_mul(unit_bytes))
}

/// The shortest exact text of a size.
pub(crate) fn size_text(bytes: u64) -> String {
    let fits = |unit_bytes: u64| bytes >= unit_bytes && bytes.is_multiple_of(unit_bytes);
    let (unit, unit_bytes) =
        SIZE_UNITS.into_iter().find(|&(_, unit_bytes)| fits(unit_bytes)).unwrap_or(("B", 1));
    format!("{}{unit}", bytes / unit_bytes)
}

/// The thousandths of a number that is not negative and has no more than three digits after the
/// point; `None` for everything else. It is exact as far as a float is: to 15 digits.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it is whole, not negative, and saturates"
)]
pub(crate) fn thousandths(number: f64) -> Option<u64> {
    let all = number * 1000.0;
    let is_whole = (all - all.round()).abs() <= all.abs() * 1e-12;
    (number >= 0.0 && is_whole).then(|| all.round() as u64)
}

/// Leading decimal digits as a number, which saturates, and what follows them.
fn split_number(text: &str) -> Option<(u64, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, rest) = text.split_at(digits);
    if number.is_empty() { None } else { Some((number.parse().unwrap_or(u64::MAX), rest)) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations() {
        let check = |text, ms| assert_eq!(duration_ms(text), ms, "{text}");
        check("0s", Some(0));
        check("500ms", Some(500));
        check("2s", Some(2000));
        check("1m30s", Some(90_000));
        check("1h2m3s4ms", Some(3_723_004));
        check("999999999999999999999h", Some(u64::MAX));
        for bad in ["", "2", "s", "2 s", "-2s", "1.5s", "2S", "30s1m", "1s1s", "1d", "2s ", "٣s"] {
            check(bad, None);
        }
    }

    #[test]
    fn sizes() {
        let check = |text, bytes| assert_eq!(size_bytes(text), bytes, "{text}");
        check("0B", Some(0));
        check("16KiB", Some(16_384));
        check("1MiB", Some(1 << 20));
        check("99999999999999TiB", Some(u64::MAX));
        for bad in ["", "16", "KiB", "16KB", "16k", "16 KiB", "1.5MiB", "-1B", "1KiB2B"] {
            check(bad, None);
        }
    }

    #[test]
    fn decimals() {
        let check = |number, expected| assert_eq!(thousandths(number), expected, "{number}");
        check(0.0, Some(0));
        check(5.6, Some(5600));
        check(0.001, Some(1));
        check(999_999.999, Some(999_999_999));
        check(1e18, Some(u64::MAX));
        for bad in [-1.0, -0.001, 0.0005, 1.2345, f64::NAN] {
            check(bad, None);
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back(number: u64) {
            prop_assert_eq!(duration_ms(&duration_text(number)), Some(number));
            prop_assert_eq!(size_bytes(&size_text(number)), Some(number));
        }

        #[test]
        fn what_an_editor_accepts_is_read(
            duration in DURATION_PATTERN.trim_matches(['^', '$']),
            size in SIZE_PATTERN.trim_matches(['^', '$']),
            junk in "[0-9hmsKMiB. ]{0,6}"
        ) {
            prop_assert_eq!(duration_ms(&duration).is_some(), !duration.is_empty());
            prop_assert!(size_bytes(&size).is_some());
            if let Some(ms) = duration_ms(&junk) {
                prop_assert_eq!(duration_ms(&duration_text(ms)), Some(ms));
            }
        }
    }
}
