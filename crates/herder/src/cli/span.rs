//! Spans of time on the command line, such as `90s`, `15m`, `24h` and `14d`.

use std::time::Duration;

/// Reads a span that is at most so long.
///
/// # Errors
/// What was expected.
pub(crate) fn parse(text: &str, max: Duration) -> Result<Duration, String> {
    let expected =
        || format!("expected a time up to {} s, such as 500ms, 90s or 2h", max.as_secs());
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: u64 = digits.parse().map_err(|_| expected())?;
    let in_ms: u64 = match &text[digits.len()..] {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(expected()),
    };
    let span = Duration::from_millis(number.saturating_mul(in_ms));
    if span > max { Err(expected()) } else { Ok(span) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_has_a_unit_and_an_end() {
        let check = |text: &str, ms: Option<u64>| {
            let read = parse(text, Duration::from_secs(86_400));
            assert_eq!(read.ok(), ms.map(Duration::from_millis), "{text}");
        };
        check("500ms", Some(500));
        check("90s", Some(90_000));
        check("2m", Some(120_000));
        check("24h", Some(86_400_000));
        check("1d", Some(86_400_000));
        check("25h", None);
        check("99999999999999999999s", None);
        check("18446744073709551615d", None);
        for bad in ["", "s", "5", "-5s", "1.5h", "5 s", "5w"] {
            check(bad, None);
        }
    }
}
